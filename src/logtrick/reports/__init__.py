"""Drawing and summing up, for rooms that have numbers to show: this room knows no run and no MDP.

`statistics` computes means, intervals and interquartile means over seeds, with their bootstrap;
`plots` draws curves and grids with Matplotlib, which it loads when it draws; `html` writes a page
as one file that needs no network, with every text from outside escaped.
"""
