"""Policies that act in rows of host environments: a small program a step, all else beforehand."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PRNGKeyArray

from logtrick.policies.memory import call, initial_carry, restart
from logtrick.support.programs import Programs, over_seeds

BLOCK = 256
"""Steps for which noise is drawn at once."""

Step = Callable[[int, Any, Any, np.ndarray], tuple[Any, np.ndarray, Any]]
"""(t, obs [S, N, ...], carry, begins [S, N]) -> (action, log_prob, carry), NumPy arrays."""


class HostActor:
    """One policy for each of S seeds, in N host environments each.

    Every call of a program costs some ten microseconds, and more for every argument that is a tree
    of modules or a JAX key. So parameters are laid out once for a rollout, and noise is drawn for
    many steps at once.

    Args:
        policy: parameters of one seed -> the policy.
        num_seeds: S.
        programs: where the compiled programs are kept.
        greedy: take the mode of the policy instead of a sample.
    """

    def __init__(
        self,
        policy: Callable[[Any], Any],
        num_seeds: int,
        programs: Programs,
        *,
        greedy: bool = False,
    ) -> None:
        self.policy, self.num_seeds = policy, num_seeds
        self.programs, self.greedy = programs, greedy

    def __call__(self, params: Any, keys: Key[Array, " S"]) -> Step:
        """How these parameters [S, ...] act during one rollout, with keys [S] of its own."""
        leaves, structure = jax.tree.flatten(params)
        act, draw = over_seeds(self._act, self.num_seeds), over_seeds(self._draw, self.num_seeds)
        noise: list[Any] = []

        def program(leaves: Any, *rest: Any) -> Any:
            return act(jax.tree.unflatten(structure, leaves), *rest)

        def step(t: int, obs: Any, carry: Any, begins: np.ndarray) -> Any:
            if t % BLOCK == 0 and not self.greedy:
                block = np.full(self.num_seeds, t // BLOCK, np.uint32)
                drawn = self.programs.run("noise", draw, params, keys, block, obs, carry)
                noise[:] = _by_step(drawn)
            at_t = None if self.greedy else noise[t % BLOCK]
            acted = self.programs.run("act", program, leaves, at_t, obs, carry, begins)
            return jax.tree.map(np.asarray, acted)

        return step

    def _draw(self, params: Any, key: PRNGKeyArray, block: Array, obs: Any, carry: Any) -> Any:
        """The noise of BLOCK steps of all rows [BLOCK, N, ...]."""
        policy, rows = self.policy(params), len(jax.tree.leaves(obs)[0])
        obs, carry = jax.tree.map(lambda x: x[0], (obs, carry))
        shape, _ = jax.eval_shape(call, policy, obs, carry)
        keys = jax.random.split(jax.random.fold_in(key, block), (BLOCK, rows))
        return jax.tree.map(_data, jax.vmap(jax.vmap(shape.draw_noise))(keys))

    def _act(self, params: Any, noise: Any, obs: Any, carry: Any, begins: Array) -> Any:
        """(actions, log-probabilities, memories) of one seed's rows [N, ...]."""
        policy = self.policy(params)
        fresh = initial_carry(policy)

        def one_row(noise: Any, obs: Any, carry: Any, begins: Array) -> Any:
            distribution, carry = call(policy, obs, restart(begins, fresh, carry))
            if self.greedy:
                action = distribution.mode
            else:
                action = distribution.from_noise(_as_drawn(noise, distribution))
            return action, distribution.log_prob(action), carry

        return jax.vmap(one_row)(noise, obs, carry, begins)


def _is_key(x: Any) -> bool:
    return jnp.issubdtype(x.dtype, jax.dtypes.prng_key)


def _data(x: Array) -> Array:
    """Noise that is a key, as the Beta distribution's, crosses to the host as numbers."""
    return jax.random.key_data(x) if _is_key(x) else x


def _as_drawn(noise: Any, distribution: Any) -> Any:
    """The keys that `_data` made numbers of."""
    like = jax.eval_shape(distribution.draw_noise, jax.random.key(0))
    return jax.tree.map(lambda s, x: jax.random.wrap_key_data(x) if _is_key(s) else x, like, noise)


def _by_step(noise: Any) -> list[Any]:
    """Noise [S, BLOCK, N, ...] as a list of BLOCK times [S, N, ...]."""
    moved = jax.tree.map(lambda x: np.ascontiguousarray(np.moveaxis(np.asarray(x), 1, 0)), noise)
    return [jax.tree.map(lambda x, t=t: x[t], moved) for t in range(BLOCK)]
