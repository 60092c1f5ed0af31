"""The ten-minute introduction: interactive pages on the policy gradient, each one HTML file.

Each page carries a small MDP, and the numbers that this library computes for it. A script in the
page computes the same numbers again, shows how far they differ from the library's, and recomputes
them whenever the reader changes something.

`pages` lists the pages with their data, `references` computes the library's numbers, and `worlds`
and `garden` make the MDPs. `documents` fills the HTML templates in `assets`, and `writing` writes
the files. `lines`, `symbols`, `bridge`, `cards` and `exercises` hold the texts; `budget` counts how
long the path takes to read; `figures` and `sheets` write single figures and printable sheets.
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
