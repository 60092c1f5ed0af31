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
    """Write the pages into this folder, and do not open them."""
    figure: str | None = None
    """Write only this figure, as NAME.html, for a page of your own. An unknown name prints similar
    names."""
    mdp: str | None = None
    """The MDP that replaces the garden: a problem (frozen_lake, garnet:5,3,2 …), a Gymnasium id
    with a transition table, or a file; at most 64 states."""
    gamma: float | None = None
    """The discount factor of --mdp; the problem's own if not given."""
    sheet: bool = False
    """Write sheet.html for printing: symbols, the seven lines, and the notation of other books."""
    answers: bool = False
    """Write answers.html, the exercises with their worked solutions."""


def run(options: LearnCommand) -> None:
    """Write what was asked for; open it where no folder was named."""
    from logtrick import lessons
    from logtrick.support.programs import cache_folder, use_compilation_cache

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
            raise ConfigError(
                "--gamma has no effect without --mdp; name an MDP, or leave --gamma out"
            )
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
