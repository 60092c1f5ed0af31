"""The ten-minute introduction: pages in which every formula moves, each one HTML file.

A page carries its MDPs and reference numbers of this library. Its script computes the same numbers
again, says by how much they differ, and goes on computing them as the reader moves things.
"""

from logtrick.lessons.figures import Figure, figure, figure_names
from logtrick.lessons.pages import PAGES
from logtrick.lessons.writing import write, write_answers, write_figure, write_sheet

__all__ = [
    "PAGES",
    "Figure",
    "figure",
    "figure_names",
    "write",
    "write_answers",
    "write_figure",
    "write_sheet",
]
