"""Episodes as pictures: `run.film()` records one, `logtrick enjoy RUN` shows it.

Gymnasium draws its own environments, and the core's, which have the same states; a finite MDP with
a layout is drawn as its grid. Other ecosystems are not drawn.
"""

import contextlib
import functools
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import equinox as eqx
import gymnasium
import jax
import numpy as np
from jaxtyping import Float, UInt8

from logtrick.envs.finite import FiniteMDPEnv
from logtrick.envs.protocol import DeviceEnv
from logtrick.envs.spec import TIMEOUT, EnvSpec
from logtrick.errors import EnvError, MissingExtraError, RunError
from logtrick.mdp.gridworlds import Gridworld, gridworld
from logtrick.policies.actor_critic import Acting
from logtrick.policies.memory import call, initial_carry
from logtrick.reports.plots import COLORS
from logtrick.rollouts.device import executable
from logtrick.rollouts.evaluation import Evaluator, step_limit
from logtrick.support.files import PathLike, one_line_cause, write_bytes_atomic
from logtrick.support.numbers import checked_whole
from logtrick.support.safe_paths import SafePath

CELL = 32
"""Pixels of a grid's cell."""
GRID_FPS = 4
_STATES: dict[str, Callable[[Any], list[Any]]] = {
    "CartPole-v1": lambda s: list(s.position),
    "Acrobot-v1": lambda s: list(s.joints),
    "MountainCar-v0": lambda s: [s.position, s.velocity],
    "MountainCarContinuous-v0": lambda s: [s.position, s.velocity],
    "Pendulum-v1": lambda s: [s.theta, s.theta_dot],
}
"""The core's environments, and their states as Gymnasium's environments hold them."""
Mode = Literal["rgb_array", "human"]


@dataclass(frozen=True)
class Film:
    """One episode as pictures, with its undiscounted return."""

    frames: UInt8[np.ndarray, "frames height width 3"]
    """The start, and what each step led to; no frames where a window showed them."""
    episode_return: float
    """The undiscounted sum of the rewards."""
    frames_per_second: int

    def gif(self) -> bytes:
        """The frames as an animated GIF that repeats."""
        from PIL import Image

        images = [Image.fromarray(frame) for frame in self.frames]
        data = io.BytesIO()
        # Browsers slow down what asks for less than 2/100 s.
        duration = max(20, round(1000 / self.frames_per_second))
        images[0].save(
            data, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0
        )
        return data.getvalue()

    def save(self, path: PathLike) -> None:
        """Write `NAME.gif`, or for any other name a folder of PNG files, a frame each.

        Raises:
            RunError: it cannot be written.
        """
        path = Path(path).absolute()
        with one_line_cause(f"Could not write {path}"):
            if path.suffix.lower() == ".gif":
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes_atomic(path, self.gif())
                return
            path.mkdir(parents=True, exist_ok=True)
            self._save_frames(SafePath(path))

    def _save_frames(self, folder: SafePath) -> None:
        from PIL import Image

        if (folder / f"frame-{len(self.frames):05d}.png").exists():
            raise RunError(f"{folder} holds the frames of a longer film; choose another folder.")
        for number, frame in enumerate(self.frames):
            place = folder / f"frame-{number:05d}.png"
            place.remove()  # what has the name, a link say, is not written through
            with os.fdopen(place.open(os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
                Image.fromarray(frame).save(file, "PNG")


def film(
    model: Any,
    spec: EnvSpec,
    *,
    seed: int = 0,
    greedy: bool = True,
    max_steps: int | None = None,
    mode: Mode = "rgb_array",
    env: Any = None,
    timeout: float = TIMEOUT,
) -> Film:
    """Play one episode and record it, or show it in a window.

    Args:
        model: policy and value function.
        spec: the environment.
        seed: of the episode.
        greedy: take the most probable action instead of a sample.
        max_steps: where the episode is cut; None: at the environment's own time limit.
        mode: "rgb_array" records; "human" shows Gymnasium's window.
        env: what makes the environment, where it has no id: it is called with `render_mode`.
        timeout: seconds that an environment on the host may take to answer.

    Raises:
        ConfigError: a seed or a number of steps that cannot be meant.
        EnvError: this environment cannot be drawn.
        MissingExtraError: what draws it is not installed.
    """
    seed, limit = checked_whole("seed", seed, 0), step_limit(spec, max_steps)
    with _drawing(spec, mode):
        if spec.kind == "host":
            make = _maker(spec, mode, env)
            return _film_on_host(model, spec, seed, greedy, limit, mode, make, timeout)
        device: Any = spec.build(1)
        moments, episode_return = _play(device, model, seed, greedy, limit)
        if isinstance(device, FiniteMDPEnv) and (grid := gridworld(device.mdp)) is not None:
            frames = [_draw_grid(grid, int(moment.state.state)) for moment in moments]
            return Film(np.stack(frames), episode_return, GRID_FPS)
        if spec.id in _STATES:
            return _film_by_gymnasium(spec.id, moments, episode_return, mode)
    raise EnvError(
        f"{spec.id} cannot be drawn: Gymnasium's environments (gym:…), the core's and finite MDPs "
        "on a grid can."
    )


@contextlib.contextmanager
def _drawing(spec: EnvSpec, mode: Mode) -> Iterator[None]:
    """Gymnasium's renderers without sound, without a window where none is wanted; their errors."""
    quiet = {"SDL_AUDIODRIVER": "dummy"} | ({"SDL_VIDEODRIVER": "dummy"} if mode != "human" else {})
    added = {name: value for name, value in quiet.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    except gymnasium.error.DependencyNotInstalled as error:
        raise MissingExtraError(
            f'{spec.id} is drawn by a package that is missing: pip install "logtrick[watch]" '
            f"({error})"
        ) from error
    finally:
        for name in added:
            os.environ.pop(name, None)


# --- Gymnasium's environments -------------------------------------------------------------------


class _Filmed(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Keeps the frames of every episode, apart."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.episodes: list[list[Any]] = []

    def reset(self, **arguments: Any) -> Any:
        reached = self.env.reset(**arguments)
        self.episodes.append([self.env.render()])
        return reached

    def step(self, action: Any) -> Any:
        reached = self.env.step(action)
        self.episodes[-1].append(self.env.render())
        return reached


def _film_on_host(
    model: Any,
    spec: EnvSpec,
    seed: int,
    greedy: bool,
    limit: int,
    mode: Mode,
    make: Callable[[], Any],
    timeout: float,
) -> Film:
    from logtrick.envs.adapters.gymnasium import from_factory

    made: list[_Filmed] = []

    def filmed() -> _Filmed:
        try:
            made.append(_Filmed(make()))
        except TypeError as error:
            raise EnvError(f"{spec.id} cannot be made with render_mode={mode!r}: {error}") from None
        return made[-1]

    drawn = from_factory(filmed, spec.id, timeout=timeout)
    with Evaluator(drawn, 1, greedy=greedy, max_steps=limit, timeout=timeout) as evaluator:
        returns, lengths = evaluator.play([model], seed)
        played = [e for one in made for e in one.episodes if len(e) == lengths[0, 0] + 1]
        frames = played[0] if played and mode == "rgb_array" else []
        fps = int(made[0].metadata.get("render_fps") or 30)
    if mode == "rgb_array" and (not frames or frames[0] is None):
        raise EnvError(f"{spec.id} does not draw: its render() returned no picture.")
    return Film(_stacked(frames), float(returns[0, 0]), fps)


def _maker(spec: EnvSpec, mode: Mode, env: Any) -> Callable[[], Any]:
    if callable(env) and not isinstance(env, gymnasium.Env):
        return functools.partial(env, render_mode=mode)
    if not spec.id.startswith("gym:"):
        raise EnvError(
            f"{spec.id} cannot be drawn: pass a class or function that makes it and takes "
            "render_mode, as Gymnasium's environments do."
        )
    name = spec.id.removeprefix("gym:")
    return functools.partial(gymnasium.make, name, render_mode=mode, disable_env_checker=True)


# --- environments on the device -----------------------------------------------------------------


class _Moment(NamedTuple):
    state: Any
    action: Any
    """The action that led here; that of the start means nothing."""


def _play(
    env: DeviceEnv, model: Any, seed: int, greedy: bool, limit: int
) -> tuple[list[_Moment], float]:
    """One episode: its moments, the start first, and its return."""
    params, static = eqx.partition(model, eqx.is_array)

    @jax.jit
    def play(params: Any, key: Any) -> Any:
        policy = Acting(eqx.combine(params, static))
        key_start, key = jax.random.split(key)
        state, obs = env.reset(key_start)

        def step(before: Any, key: Any) -> Any:
            state, obs, carry = before
            key_act, key_step = jax.random.split(key)
            distribution, carry = call(policy, obs, carry)
            action = distribution.mode if greedy else distribution.sample(key_act)
            reached = env.step(key_step, state, executable(env.action_space, action))
            ended = reached.terminated | reached.truncated
            moment = _Moment(reached.state, action), reached.reward, ended
            return (reached.state, reached.obs, carry), moment

        start = state, obs, initial_carry(policy)
        return state, jax.lax.scan(step, start, jax.random.split(key, limit))[1]

    start, (moments, rewards, ended) = jax.device_get(play(params, jax.random.key(seed)))
    length = int(np.argmax(ended)) + 1 if ended.any() else limit
    found = [jax.tree.map(lambda x, t=t: x[t], moments) for t in range(length)]
    return [_Moment(start, found[0].action), *found], float(np.sum(rewards[:length]))


def _film_by_gymnasium(id: str, moments: list[_Moment], total: float, mode: Mode) -> Film:
    frames = []
    with contextlib.closing(gymnasium.make(id, render_mode=mode)) as drawing:
        inner: Any = drawing.unwrapped
        drawing.reset()
        for moment in moments:
            inner.state = np.array(_STATES[id](moment.state), np.float64)
            if id == "Pendulum-v1":  # drawn as an arrow
                inner.last_u = float(np.clip(np.ravel(moment.action)[0], -2, 2))
            frames.append(drawing.render())
        fps = int(inner.metadata["render_fps"])
    return Film(_stacked(frames if mode == "rgb_array" else []), total, fps)


def _stacked(frames: list[Any]) -> np.ndarray:
    return np.stack(frames) if frames else np.zeros((0, 1, 1, 3), np.uint8)


def _draw_grid(grid: Gridworld, state: int) -> UInt8[np.ndarray, "height width 3"]:
    """The grid's cells, and a square where the agent is."""

    def rgb(role: str) -> Float[np.ndarray, "3"]:
        return np.array([int(COLORS[role][k : k + 2], 16) for k in (1, 3, 5)], np.float64)

    colors = np.stack([rgb("paper"), rgb("seed"), rgb("muted")])
    kind = np.where(grid.layout < 0, 2, np.where(grid.idle[grid.layout], 1, 0))
    picture = np.kron(colors[kind], np.ones((CELL, CELL, 1)))
    picture[::CELL], picture[:, ::CELL] = rgb("grid"), rgb("grid")
    for row, column in np.argwhere(grid.layout == state):
        inside = slice(CELL // 4, 3 * CELL // 4 + 1)
        cell = picture[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
        cell[inside, inside] = rgb("mark")
    return picture.astype(np.uint8)
