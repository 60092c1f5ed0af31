"""Settings side by side: one compiled program trains every point of a sweep with every seed.

The numbers of an algorithm are arguments of the compiled loop, so points that differ in nothing
else are one more axis of the `vmap` over seeds.
"""

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.loop import Loop
from logtrick.algorithms.program import TrainState
from logtrick.envs import EnvSpec
from logtrick.runs.config import RunConfig
from logtrick.support.row_masks import over_axes


def shape(algorithm: Algorithm) -> Hashable:
    """What has to agree for algorithms to be trained by one program: all but the numbers."""
    settings = algorithm.to_dict() | dict.fromkeys(algorithm.floats(), "a number")
    return tuple(sorted((name, repr(value)) for name, value in settings.items()))


class SideBySide(Loop):
    """Algorithms that differ in numbers only, for the same seeds, on a device environment.

    Its members, in the place of a `Loop`'s seeds, are points × seeds. A member whose numbers cease
    to be finite stands still from then on, as if it had learned from all its steps, and the others
    go on.

    Args:
        algorithms: one for each point, all of one `shape`.
        spec: the environment.
        seed: of the first run of every point.
        num_seeds: runs of every point.
        steps: as for `Loop`.
    """

    def __init__(
        self,
        algorithms: Sequence[Algorithm],
        spec: EnvSpec,
        *,
        seed: int,
        num_seeds: int,
        steps: int,
    ) -> None:
        super().__init__(algorithms[0], spec, seed=seed, num_seeds=num_seeds, steps=steps)
        points = len(algorithms)
        self.params = jax.tree.map(lambda x: np.concatenate([x] * points), self.params)
        self.seeds = np.tile(self.seeds, points)
        self.settings: dict[str, Any] = {
            name: np.repeat(np.array([a.floats()[name] for a in algorithms], np.float32), num_seeds)
            for name in self.settings
        }

    def initial(self) -> TrainState:
        """The state before the first update."""

        def start(settings: Any, seed: Array, params: Any) -> TrainState:
            algorithm = self.algorithm.with_values(settings)
            return dataclasses.replace(self.program, algorithm=algorithm).start(seed, params)

        over = self._over_seeds(start)
        return self.programs.run("start", over, self.settings, self.seeds, self.params)

    def _advance_seeds(self, state: TrainState, settings: Any, total: Array) -> Any:
        following, metrics = self._over_seeds(self.program.advance, (0, 0, None))(
            state, settings, total
        )
        sound = jnp.all(metrics["finite"], axis=1)
        stopped = state._replace(steps=jnp.full_like(state.steps, total))

        def choose(new: Array, old: Array) -> Array:
            return jnp.where(over_axes(sound, new), new, old)

        following = jax.tree.map(choose, following, stopped)
        running = metrics["active"]
        metrics |= {
            "active": running & sound,
            "diverged": running & ~sound,
            "first_bad": jnp.argmin(metrics["finite"], axis=1),
            "finite": jnp.ones_like(metrics["finite"]),
        }
        return following, metrics


def loop_of(configs: Sequence[RunConfig], spec: EnvSpec, policy: Any = None) -> Loop:
    """What trains these runs, which differ in numbers only; one alone may have its own policy."""
    config = configs[0]
    seed, num_seeds, steps = config.seed, config.seeds, config.steps
    if len(configs) > 1:
        algorithms = [c.algorithm for c in configs]
        return SideBySide(algorithms, spec, seed=seed, num_seeds=num_seeds, steps=steps)
    return Loop(
        config.algorithm,
        spec,
        seed=seed,
        num_seeds=num_seeds,
        steps=steps,
        workers=config.workers,
        policy=policy,
        timeout=config.timeout,
    )
