"""Atari through ale-py's vector environment: its threads step, preprocess and stack the frames."""

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from logtrick.envs.host.rows import VectorHostEnvs
from logtrick.envs.host.vector import SeededVector
from logtrick.envs.spec import EnvRow, EnvSpec, Workers
from logtrick.errors import UnknownEnvError
from logtrick.support import extras

FRAME_SKIP = 4
MAX_FRAMES = 108_000


def resolve(name: str) -> EnvSpec:
    """Find a game: `pong`, `Pong`, `ms_pacman` or `MsPacman`.

    The preprocessing is the field's: 84 × 84 grey frames, the last 4 stacked [4, 84, 84], the
    maximum of the last two of 4 frames to an action, up to 30 idle frames at the start, FIRE where
    a game waits for it, no sticky actions, a loss of life ends nothing, rewards as they are, and at
    most 108,000 frames.

    Raises:
        MissingExtraError: ale-py is not installed.
        UnknownEnvError: There is no such game.

    Source: Mnih et al. (2015); Machado et al. (2018) for what is left open.
    """
    game = {id.replace("_", ""): id for id in names()}.get(name.replace("_", "").lower())
    if game is None:
        raise UnknownEnvError(f"ale-py has no game {name!r}.")
    id = f"atari:{game}"
    probe = _Atari(game, 1)
    observation, action = probe.single_observation_space, probe.single_action_space
    probe.close()
    limit = MAX_FRAMES // FRAME_SKIP

    def build(num_envs: int, workers: Workers, timeout: float) -> VectorHostEnvs:
        vector = _Atari(game, num_envs)
        return VectorHostEnvs(vector, id=id, max_episode_steps=limit, timeout=timeout)

    return EnvSpec(id, "host", observation, action, limit, build)


def rows() -> list[EnvRow]:
    """One line: there are 108 games."""
    install = extras.install("ale_py", "atari")
    return [EnvRow("atari:pong", "host", "Box[4, 84, 84] uint8", "Discrete", None, install)]


def names() -> list[str]:
    """The names of all games that ale-py has, as `resolve` takes them."""
    return list(extras.load("ale_py.roms", "atari").get_all_rom_ids())


class _Atari(SeededVector):
    """ale-py's rows, each reset on command and with its own seed, so that episodes can be replayed.

    ale-py knows no mode without its own reset, but a reset on command forestalls the one that the
    next step would make.
    """

    def __init__(self, game: str, num_envs: int, max_frames: int = MAX_FRAMES):
        module = extras.load("ale_py.vector_env", "atari")
        self._inner = module.AtariVectorEnv(
            game,
            num_envs,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            frameskip=FRAME_SKIP,
            max_num_frames_per_episode=max_frames,
            reward_clipping=False,
        )
        self.metadata = {"autoreset_mode": AutoresetMode.DISABLED}
        self.num_envs = num_envs
        self.single_observation_space: spaces.Box = self._inner.single_observation_space
        self.single_action_space: spaces.Discrete[Any] = self._inner.single_action_space
        self.observation_space = self._inner.observation_space
        self.action_space = self._inner.action_space

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Start the rows of the mask in `options`, all without one, with their seeds."""
        mask = np.ones(self.num_envs, bool) if options is None else options["reset_mask"]
        seeds = np.asarray(seed, np.int64)[mask] >> 1  # it takes 31 bits
        obs, _ = self._inner.reset(seed=seeds, options={"reset_mask": mask})
        return obs.copy(), {}

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        """Step all rows."""
        obs, reward, terminated, truncated, _ = self._inner.step(actions)
        return obs.copy(), reward, terminated, truncated, {}

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators."""
        self._inner.close()
