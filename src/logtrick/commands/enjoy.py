"""`logtrick enjoy RUN`: watch an episode of a run's policy."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from logtrick.commands.env_flags import Imports


@dataclass(frozen=True, kw_only=True)
class EnjoyCommand:
    """Watch an episode: in a window where there is a display, else as a GIF.

    Example: logtrick enjoy runs/CartPole-v1-ppo-20260101-120000 --out episode.gif
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    imports: Imports = ()
    out: str | None = None
    """Write the episode to this file, NAME.gif, or to this folder, as a PNG file per frame."""
    policy: Literal["latest", "best"] = "latest"
    """The first seed's latest policy, or the policy of its best evaluation during training."""
    seed: int = 0
    """The seed of the episode."""
    greedy: bool = True
    """Take the most probable actions, not sampled ones."""
    max_steps: int | None = None
    """Most steps of the episode; needed if the environment has no known time limit."""
    env_timeout: float | None = None
    """Seconds that a host environment may take to reset or to step; as in training if not given."""


def run(options: EnjoyCommand) -> None:
    """Play an episode, and show it or write it."""
    from logtrick.runs.folder import shown as as_typed
    from logtrick.runs.run import load
    from logtrick.support.programs import use_compilation_cache
    from logtrick.support.terminal import console, say

    use_compilation_cache()
    # Resolved now: an environment may change the working directory.
    out = None if options.out is None else Path(options.out).absolute()
    result = load(options.run)
    shown = options.out is None and has_display() and not result.config.env.startswith("mdp:")
    film = result.film(
        seed=options.seed,
        greedy=options.greedy,
        policy=options.policy,
        max_steps=options.max_steps,
        mode="human" if shown else "rgb_array",
        timeout=options.env_timeout,
    )
    to = console()
    say(to, f"return {film.episode_return:.1f}")
    if not shown:
        path = out or result.path / "episode.gif"
        film.save(path)
        say(to, f"{len(film.frames)} frames in {as_typed(path)}")


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
