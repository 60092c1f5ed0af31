"""One figure of the lessons, to be put into somebody's own page or notebook."""

from dataclasses import dataclass
from html import escape

from logtrick.errors import ConfigError
from logtrick.lessons.documents import figures_of, single_figure
from logtrick.lessons.pages import PAGES, Page, book
from logtrick.lessons.stills import stills
from logtrick.mdp.model import FiniteMDP
from logtrick.support.names import unknown_name

#: Pixels, where nobody has measured.
_HEIGHT = 560


@dataclass(frozen=True)
class Figure:
    """A figure that shows itself in a notebook.

    Args:
        name: one of `figure_names()`.
        html: a whole document, which asks for nothing from outside.
        height: in pixels, where it is about 720 wide.
    """

    name: str
    html: str
    height: int

    def __repr__(self) -> str:
        return f"Figure({self.name!r}, height={self.height})"

    def _repr_html_(self) -> str:
        """The figure in a frame of its own: neither can touch the other."""
        return (
            f'<iframe srcdoc="{escape(self.html)}" width="100%" height="{self.height}" '
            f'title="{escape(self.name)}" style="border:0" sandbox="allow-scripts"></iframe>'
        )


def figure_names() -> list[str]:
    """The figures that there are, in the order of the pages.

    Example:
        >>> "scales" in figure_names()
        True
    """
    return [name for page in PAGES for name in figures_of(page.name)]


def figure(name: str, mdp: FiniteMDP | None = None) -> Figure:
    """One figure of the lessons, which shows itself in a notebook.

    Args:
        name: one of `figure_names()`.
        mdp: in the garden's place; γ below 1, at most 64 states. Where its episodes end, the
            figures about the long run send every end back to a start.

    Returns:
        The figure: `html` is a whole document, `height` its height in pixels.

    Raises:
        ConfigError: there is no such figure, or it knows the garden only.
        MDPError: the MDP is too large to draw, has γ = 1, or more than one closed class.

    Example:
        >>> figure("landscape").height > 300
        True
    """
    page = _page_of(name)
    if mdp is not None and not page.any_world:
        others = ", ".join(n for p in PAGES if p.any_world for n in figures_of(p.name))
        raise ConfigError(
            f"the figure {name} is about its own small world, another MDP has no place in it; "
            f"leave the MDP out, or take one of {others}"
        )
    html = single_figure(book(mdp).content(page), name)
    return Figure(name, html, stills(page.name).get("heights", {}).get(name, _HEIGHT))


def _page_of(name: str) -> Page:
    for page in PAGES:
        if name in figures_of(page.name):
            return page
    raise ConfigError(unknown_name("No figure is called", name, figure_names()))
