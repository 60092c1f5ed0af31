"""Functions that write the pages, figures and sheets as files."""

from pathlib import Path

from logtrick.errors import RunError
from logtrick.lessons import sheets
from logtrick.lessons.figures import Figure
from logtrick.lessons.pages import PAGES, book
from logtrick.mdp.model import FiniteMDP
from logtrick.support.files import PathLike, write_bytes_atomic


def write(folder: PathLike, mdp: FiniteMDP | None = None) -> list[Path]:
    """Write all pages into a folder, which is made if need be.

    Args:
        folder: where to.
        mdp: in the garden's place on the pages about values, policies, the derivation and the
            scales; γ below 1, at most 64 states. Where its episodes end, the last two send every
            end back to a start, and say so.

    Returns:
        The files, the first page first.

    Raises:
        RunError: the folder or a file cannot be written.
        MDPError: the MDP is too large to draw, has γ = 1, or more than one closed class.
    """
    pages = book(mdp)
    texts = [pages.html(page) for page in PAGES]
    out = _made(folder)
    for page, text in zip(PAGES, texts, strict=True):
        write_bytes_atomic(out / page.file, text.encode())
    return [out / page.file for page in PAGES]


def write_figure(shown: Figure, folder: PathLike) -> Path:
    """Write a figure into a folder as NAME.html.

    Args:
        shown: what `figure` returned.
        folder: where to; it is made if need be.

    Raises:
        RunError: the folder or the file cannot be written.
    """
    return _one(folder, shown.name, shown.html)


def write_sheet(folder: PathLike) -> Path:
    """Write sheet.html, which prints: the symbols, the seven lines, the bridge."""
    return _one(folder, "sheet", sheets.sheet())


def write_answers(folder: PathLike) -> Path:
    """Write answers.html: the exercises, each with its worked solution."""
    return _one(folder, "answers", sheets.answers())


def _one(folder: PathLike, name: str, text: str) -> Path:
    path = _made(folder) / f"{name}.html"
    write_bytes_atomic(path, text.encode())
    return path


def _made(folder: PathLike) -> Path:
    out = Path(folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise RunError(f"{out} is a file; the lessons need a folder: name another") from error
    except OSError as error:
        raise RunError(f"{out} cannot be made: {error.strerror or error}") from error
    return out
