"""An estimator that is no function of its trajectories is refused, and the cause is named."""

# ruff: noqa: NPY002 (the global generator of NumPy is what people use, and what is looked for)

import itertools
import random
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from own_estimators import masked, score_sum
from trees import random_softmax, random_tree

import logtrick as lt
from logtrick.auditing.function_checks import examine
from logtrick.auditing.moment_methods import Foreign
from logtrick.auditing.policies import read_policy
from logtrick.errors import EstimatorError

MDP = random_tree(0)
POLICY = random_softmax(MDP, 0)


@eqx.filter_grad
def honest(policy, batch):
    return score_sum(policy, batch, jnp.sum(masked(batch), axis=1, keepdims=True))


def times(draw):
    """The honest estimate times a number that `draw` returns."""

    def estimator(policy, batch):
        factor = draw()
        return jax.tree.map(lambda leaf: leaf * factor, honest(policy, batch))

    return estimator


def check(estimator):
    policy = read_policy(MDP, POLICY)
    foreign = Foreign(policy.runner(estimator), 4, False, None)
    return examine(estimator, foreign, policy, None)


def of_numpy(draw):
    """The same for code that only NumPy can run."""

    def estimator(policy, batch):
        logits = np.asarray(policy.logits)
        return eqx.tree_at(lambda p: p.logits, policy, logits * 0 + draw())

    return estimator


GENERATOR = np.random.default_rng(0)


class Counts:
    """An estimator with a counter."""

    def __init__(self):
        self.calls = 0

    def __call__(self, policy, batch):
        self.calls += 1
        return times(lambda: self.calls)(policy, batch)


def remembers_a_tracer():
    """A running mean of the rewards as the baseline."""
    mean = [0.0]

    def estimator(policy, batch):
        mean[0] = 0.9 * mean[0] + 0.1 * jnp.mean(masked(batch))
        baseline = mean[0]
        return eqx.filter_grad(lambda p, b: score_sum(p, b, masked(b) - baseline))(policy, batch)

    return estimator


def in_a_callback(policy, batch):
    """It draws while the compiled function runs."""
    shape = jax.ShapeDtypeStruct((), np.float64)
    noise = jax.pure_callback(lambda: np.random.normal(), shape, vmap_method="sequential")
    return jax.tree.map(lambda leaf: leaf * noise, honest(policy, batch))


CAUSES = [
    ("draws from np.random", times(np.random.normal)),
    ("draws from np.random", of_numpy(np.random.normal)),
    ("draws from np.random", eqx.filter_jit(times(np.random.normal))),
    ("draws from np.random", jax.jit(times(np.random.normal))),
    ("draws from np.random", in_a_callback),
    ("draws from Python's random", times(random.random)),
    ("draws from Python's random", of_numpy(random.random)),
    ("draws from GENERATOR, a Generator", times(lambda: GENERATOR.normal())),
    (r"draws from np\.random\.default_rng\(\)", times(lambda: np.random.default_rng().normal())),
    ("reads the clock", times(lambda: time.time())),
    ("reads the clock", of_numpy(lambda: time.perf_counter())),
    ("a hidden state", Counts()),
    ("a hidden state", times(itertools.count(1).__next__)),
    ("a hidden state", remembers_a_tracer()),
]


@pytest.mark.parametrize(("cause", "estimator"), CAUSES)
def test_the_cause_is_named(cause, estimator):
    before = np.random.get_state()[1].tobytes(), random.getstate()
    with pytest.raises(EstimatorError, match=f"two calls .* differ: the estimator .*{cause}"):
        check(estimator)
    assert np.random.get_state()[1].tobytes() == before[0]


def test_the_audit_refuses_it():
    with pytest.raises(EstimatorError, match=r"np\.random"):
        lt.audit(times(np.random.normal), MDP, POLICY, batch_size=4)


def seeds_itself():
    np.random.seed(0)
    return 1 + abs(np.random.normal())


@pytest.mark.parametrize(
    "draw",
    [
        lambda: 2.0,
        lambda: np.random.default_rng(0).normal(),
        lambda: jax.random.normal(jax.random.key(0)),
        lambda: random.Random(0).random(),
        seeds_itself,
    ],
    ids=["constant", "the advice", "the advice in jax", "Random", "seeds itself"],
)
def test_a_fixed_seed_inside_is_a_function(draw):
    """The advice of the messages, followed."""
    assert check(times(draw)).is_mean


def test_what_only_the_first_call_does_is_no_state():
    """As a cache does that fills itself."""
    known = {}
    assert check(times(lambda: known.setdefault("factor", 2.0))).is_mean
    calls = itertools.count()
    assert check(times(lambda: 3.0 if next(calls) == 0 else 2.0)).is_mean
