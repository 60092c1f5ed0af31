"""An environment that needs a mask, a memory, a dict observation and a hybrid action, all at once.

A cue is shown at the first step only. After a wait the gate opens: the agent must open the door of
the cue (a Discrete action) and push it as hard as the lock that it then sees asks for (a Box
action), both in one step. Opening a door that is barred ends the episode and costs; which doors
are barred is drawn anew at every step and only the mask tells. So

- without the mask, every step risks the end, and nothing in the rest of the observation warns;
- without a memory, the cue is forgotten when the gate opens;
- without the second part of the observation (the lock), the push cannot be right;
- without the continuous part of the action, the push cannot be right either.
"""

from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from logtrick.envs.protocol import DeviceEnv, Step

DOORS, WAIT = 4, 3
BARRED = 2
"""Doors that are barred at each step; never that of the cue once the gate is open."""


@dataclass(frozen=True)
class FourInOne(DeviceEnv):
    """The environment, with any of the four switched off."""

    id: ClassVar[str] = "FourInOne"
    max_episode_steps: ClassVar[int] = WAIT + 1
    mask: bool = True
    lock: bool = True
    push: bool = True

    @property
    def observation_space(self):
        parts = {
            "cue": spaces.MultiBinary(DOORS),
            "gate": spaces.Discrete(2),
            "lock": spaces.Box(-1, 1, (1,), np.float32),
            "action_mask": spaces.Dict({"door": spaces.MultiBinary(DOORS)}),
        }
        if not self.mask:
            del parts["action_mask"]
        if not self.lock:
            del parts["lock"]
        return spaces.Dict(parts)

    @property
    def action_space(self):
        door = spaces.Discrete(DOORS)
        if not self.push:
            return spaces.Dict({"door": door})
        return spaces.Dict({"door": door, "push": spaces.Box(-1, 1, (1,), np.float32)})

    def reset(self, key):
        key_cue, key = jax.random.split(key)
        state = self._drawn(key, jax.random.randint(key_cue, (), 0, DOORS), jnp.zeros((), int))
        return state, self._obs(state)

    def step(self, key, state, action):
        cue, t, allowed, lock = state
        legal = allowed[action["door"]]
        opened = t >= WAIT
        push = action["push"][0] if self.push else 0.0
        close = jnp.abs(push - lock) < 0.4
        won = opened & legal & (action["door"] == cue) & close
        reward = jnp.where(legal, won.astype(jnp.float32), -1.0)
        following = self._drawn(key, cue, t + 1)
        return Step(following, self._obs(following), reward, ~legal | opened, t < 0)

    def _drawn(self, key, cue, t):
        key_bars, key_lock = jax.random.split(key)
        order = jax.random.uniform(key_bars, (DOORS,))
        order = jnp.where((jnp.arange(DOORS) == cue) & (t >= WAIT), 2.0, order)
        allowed = jnp.argsort(jnp.argsort(order)) >= BARRED
        return cue, t, allowed, jax.random.uniform(key_lock, (), minval=-1, maxval=1)

    def _obs(self, state):
        cue, t, allowed, lock = state
        shown = (jnp.arange(DOORS) == cue) & (t == 0)
        parts = {
            "cue": shown.astype(jnp.int8),
            "gate": (t >= WAIT).astype(int),
            "lock": lock[None],
            "action_mask": {"door": allowed.astype(jnp.int8)},
        }
        return {key: parts[key] for key in self.observation_space.spaces}
