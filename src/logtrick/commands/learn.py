"""`logtrick learn`: the ten-minute introduction, whole, in one figure, or on paper."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logtrick.mdp.model import FiniteMDP


@dataclass(frozen=True, kw_only=True)
class LearnCommand:
    """Open the ten-minute introduction: every formula with numbers that move.

    Example: logtrick learn --figure scales --out figures/
    """

    out: str | None = None
    """Write into this folder instead of opening."""
    figure: str | None = None
    """Write this figure alone, as NAME.html, to put into a page of your own; a wrong name gets the
    near ones."""
    mdp: str | None = None
    """In the garden's place: a problem (frozen_lake, garnet:5,3,2 …), a Gymnasium id with a table,
    or a file; at most 64 states."""
    gamma: float | None = None
    """The discount factor of --mdp; the problem's own where not given."""
    sheet: bool = False
    """Write sheet.html, to print: symbols, seven lines, and how other books write them."""
    answers: bool = False
    """Write answers.html: the exercises, each with its worked solution."""


def run(options: LearnCommand) -> None:
    """Write what was asked for; open it where no folder was named."""
    from logtrick import lessons
    from logtrick.support.compilation import cache_folder, use_compilation_cache

    mdp = _mdp(options)
    use_compilation_cache()
    folder = options.out or cache_folder().parent / "lessons"
    written: list[Path] = []
    if options.figure is not None:
        shown = lessons.figure(options.figure, mdp)
        written.append(lessons.write_figure(shown, folder))
        print(f"{written[-1]}: embed it as")
        print(
            f'<iframe src="{written[-1].name}" width="100%" height="{shown.height}" '
            f'style="border:0" title="{shown.name}"></iframe>'
        )
    if options.sheet:
        written.append(lessons.write_sheet(folder))
        print(written[-1])
    if options.answers:
        written.append(lessons.write_answers(folder))
        print(written[-1])
    if not written:
        written = lessons.write(folder, mdp)
        print(f"{written[0]} and {len(written) - 1} more pages")
    _open(written[0], options)


def _mdp(options: LearnCommand) -> "FiniteMDP | None":
    from logtrick.errors import ConfigError
    from logtrick.mdp import problems

    if options.mdp is None:
        if options.gamma is not None:
            raise ConfigError("--gamma is the discount of --mdp; name an MDP too, or leave it out")
        return None
    if (options.sheet or options.answers) and options.figure is None:
        raise ConfigError(
            "--sheet and --answers are about no particular MDP; leave --mdp out, or ask for the "
            "pages in a command of their own"
        )
    return problems.make(options.mdp, gamma=options.gamma)


def _open(first: Path, options: LearnCommand) -> None:
    import webbrowser

    if options.out is None and not webbrowser.open(first.resolve().as_uri()):
        print("No browser could be started; open the file above in one.")
