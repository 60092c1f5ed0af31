"""Do `starts` and `outcomes` say what `reset` and `step` do? A chi-squared test for `check_env`."""

from collections import Counter, defaultdict
from typing import Any

import jax
import numpy as np
from scipy import stats

from logtrick.errors import EnvError

#: Samples for each state and action, and how many of these are looked at.
DRAWS, PLACES = 4000, 8

#: The chance that an environment which is right is refused, over all its places.
FALSE_ALARM = 1e-6


def check_chances(env: Any, states: Any, actions: np.ndarray, ended: np.ndarray, seed: int) -> str:
    """Compare what an environment counts with what it samples.

    Args:
        env: a device environment that is `Enumerable`.
        states: a pytree of [T, N, ...], the state before each step.
        actions: [T, N].
        ended: bool[T, N].
        seed: of the draws.

    Returns:
        What was checked, in words.

    Raises:
        EnvError: where they differ.
    """
    rng = np.random.default_rng(seed)
    steps = np.concatenate([rng.permutation(np.argwhere(where)) for where in (ended, ~ended)])
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(seed), DRAWS)
        starts = env.starts()
        _compare(
            f"{env.id}: starts",
            np.asarray(starts.probability),
            (starts.state, starts.obs),
            jax.jit(jax.vmap(env.reset))(keys),
        )
        outcomes = jax.jit(env.outcomes)
        sample = jax.jit(jax.vmap(env.step, (0, None, None)))
        for t, row in steps[:PLACES]:
            state = jax.tree.map(lambda leaf, t=t, row=row: leaf[t, row], states)
            found = outcomes(state, actions[t, row])
            _compare(
                f"{env.id}, row {row}, step {t}: outcomes",
                np.asarray(found.probability),
                found.step,
                sample(keys, state, actions[t, row]),
            )
    return "its starts and outcomes have the frequencies that it counts"


def _compare(where: str, probabilities: np.ndarray, listed: Any, drawn: Any) -> None:
    if not (probabilities >= 0).all() or abs(probabilities.sum() - 1) > 1e-9:
        raise EnvError(f"{where} have the probabilities {probabilities}, which are no distribution")
    expected: defaultdict[bytes, float] = defaultdict(float)
    for key, probability in zip(_keys(listed), probabilities, strict=True):
        expected[key] += DRAWS * float(probability)
    seen = Counter(_keys(drawn))
    if unlisted := [key for key in seen if not expected[key] > 0]:
        number = sum(seen[key] for key in unlisted)
        raise EnvError(
            f"{where} leave out what was sampled {number} times of {DRAWS}; list every state, "
            "observation, reward and flag that can come"
        )
    counts = np.array([(seen[key], mean) for key, mean in expected.items() if mean > 0])
    rare = counts[:, 1] < 5
    counts = np.vstack([counts[~rare], counts[rare].sum(axis=0)])
    counts = counts[counts[:, 1] > 0]
    distance = float(((counts[:, 0] - counts[:, 1]) ** 2 / counts[:, 1]).sum())
    chance = stats.chi2.sf(distance, max(len(counts) - 1, 1))
    if chance < FALSE_ALARM / (PLACES + 1):
        raise EnvError(
            f"{where} were expected {counts[:, 1].round(1).tolist()} times of {DRAWS} and sampled "
            f"{counts[:, 0].astype(int).tolist()} times; chance does that with p = {chance:.0e}"
        )


def _keys(tree: Any) -> list[bytes]:
    """One key for each row of a pytree's leaves, compared as float64 rounded to float32."""
    leaves = [np.asarray(leaf, np.float64).astype(np.float32) for leaf in jax.tree.leaves(tree)]
    flat = np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1) + np.float32(0)
    return [row.tobytes() for row in flat]
