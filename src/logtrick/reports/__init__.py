"""Drawings, pages, tables and statistics, for rooms that have numbers to show.

This room knows no run and no MDP: it gets arrays, numbers and texts.

`statistics` computes means, standard deviations and interquartile means over seeds, with bootstrap
intervals. `plots` draws learning curves with Matplotlib, which it imports when it draws. `html`
writes a page as one file that needs no network, and escapes every text from outside. `plain` writes
Markdown tables and turns results into what JSON can hold: null for NaN and infinity.
"""
