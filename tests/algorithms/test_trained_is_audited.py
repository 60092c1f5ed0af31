"""Every row of the registry: what the training loop computes is what the audit measures.

The gradient of the loop's own loss on a fixed batch against the audited estimate on the same batch,
with the numbers that the two have by default; and the law by which both draw their batches.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from learners import loss
from logtrick.algorithms import grouped
from logtrick.algorithms.configs import A2C, ALGORITHMS, IMPALA
from logtrick.algorithms.estimation import estimate
from logtrick.algorithms.group_base import GroupAlgorithm
from logtrick.auditing.moment_methods import sampled_groups
from logtrick.auditing.policies import read_policy
from logtrick.auditing.rules import Rule
from logtrick.auditing.settings import Settings
from logtrick.mdp import problems
from logtrick.policies import SoftmaxTable, ValueTable
from logtrick.policies.actor_critic import ActorCritic
from logtrick.psi.registry import ESTIMATORS, Scope, named

MDP = problems.make("garnet(4, 2, 2, ends=0.3, gamma=0.8)")
GROUPS, SIZE, HORIZON, GAMMA = 6, 4, 5, 0.8
AUDITED_ALONE = {"q_value", "advantage", "all_action_sum", "optimal_baseline", "remax"}
"""ψ that need Q_π, or the return of the greedy policy, which no loop here has."""
TRAINED = [row for row in ESTIMATORS if row.psi not in AUDITED_ALONE]


def algorithm_of(row):
    """The configuration that trains by this row, its own numbers left as they are."""
    if row.rule.of_sequences:
        cls = ALGORITHMS.get(row.name)
        fields = {"num_envs": GROUPS * SIZE, "minibatches": 1, "gamma": GAMMA}
        if row.name == "opo":
            return ALGORITHMS["rloo"](psi="opo", group_size=SIZE, **fields)
        return cls(**fields, **({} if row.rule.scope is Scope.BATCH else {"group_size": SIZE}))
    fields = {"num_envs": GROUPS * SIZE, "num_steps": HORIZON, "weighting": row.weighting}
    fields |= {"gamma": GAMMA, "value_coef": 0.0, "lambda_": 0.95}
    cls = IMPALA if row.rule.needs_ratios else A2C
    return cls(psi=row.psi, **fields, entropy_coef=0.0)


def settings_of(row, reference, behaviour, values):
    size = GROUPS * SIZE if row.rule.scope is Scope.BATCH else SIZE
    return Settings(
        gamma=GAMMA,
        weighting=row.weighting,
        group_size=size,
        max_length=HORIZON,
        horizon=HORIZON,
        reference=reference,
        behaviour=behaviour,
        values=values,
    )


@eqx.filter_jit
def gradient(algorithm, model, reference, trajectory):
    """Of what the loop ascends."""
    if isinstance(algorithm, GroupAlgorithm):
        batch = grouped.estimate(algorithm, reference, trajectory)
    else:
        batch, _ = estimate(algorithm, model, trajectory)
    return jax.grad(lambda m: -loss(algorithm, m, batch)[0])(model).policy.logits


def informative(trajectory):
    returns = np.sum(trajectory.reward * GAMMA ** np.arange(HORIZON), axis=1).reshape(GROUPS, SIZE)
    return np.ptp(returns, axis=1) > 0


@pytest.mark.parametrize("row", TRAINED, ids=lambda row: row.name)
def test_the_loop_ascends_the_audited_estimate(row):
    algorithm = algorithm_of(row)
    for seed, drift in enumerate((0.0, 0.6)):  # on-policy, and away from the policy that acted
        rng = np.random.default_rng(seed)
        tables = rng.normal(size=(3, MDP.num_states, 2))
        values = rng.normal(size=MDP.num_states)
        with jax.enable_x64(True):
            acting, reference = (SoftmaxTable(MDP, logits=jnp.array(x)) for x in tables[:2])
            policy = SoftmaxTable(MDP, logits=jnp.array(tables[0] + drift * tables[2]))
            told = settings_of(row, reference, acting if drift else None, values)
            rule, read, actor = Rule(row, told), read_policy(MDP, policy), read_policy(MDP, acting)
            units = GROUPS * SIZE // rule.group_size
            paths = sampled_groups(actor, rule, units, rng, HORIZON)
            each = rule.at(read)(paths)
            flat = jax.tree.map(
                lambda x: x.reshape(GROUPS * SIZE, *x.shape[2:]),
                paths.trajectory(actor.probabilities),
            )
            critic = eqx.tree_at(lambda t: t.values, ValueTable(MDP.num_states), jnp.array(values))
            kept = ActorCritic(reference, None) if algorithm.needs_reference else None
            got = gradient(
                algorithm, ActorCritic(policy, critic), kept, jax.tree.map(jnp.asarray, flat)
            )
        if getattr(algorithm, "groups", "all") == "informative":
            each = each[informative(flat)]
        expected = each.mean(axis=0)
        if not row.rule.of_sequences:  # the loop divides by steps, the audit by trajectories
            expected = expected * len(each) / np.sum(flat.valid)
        np.testing.assert_allclose(np.ravel(got), expected, rtol=0, atol=1e-12)
        assert np.abs(expected).max() > 1e-3


def test_every_row_that_can_be_trained_is_compared():
    for row in ESTIMATORS:
        needs_more = row.rule.scope is Scope.ACTIONS or "greedy_returns" in row.rule.takes
        assert (row.psi in AUDITED_ALONE) == needs_more


@pytest.mark.parametrize("row", [r for r in TRAINED if r.rule.of_sequences], ids=lambda r: r.name)
def test_prompts_are_drawn_as_in_the_loop(row):
    """How many sequences are compared with each other, and how many of them share a start."""
    algorithm = algorithm_of(row)
    rule = Rule(row, settings_of(row, None, None, None))
    assert rule.group_size == algorithm.num_envs // algorithm.num_groups
    assert rule.same_start == (algorithm.rows_per_start == rule.group_size)
    policy = read_policy(MDP, SoftmaxTable(MDP))
    rng = np.random.default_rng(0)
    starts = sampled_groups(policy, rule, 50, rng, HORIZON).states[..., 0]
    assert (np.ptp(starts, axis=1) == 0).all() == rule.same_start


@pytest.mark.parametrize("row", [r for r in TRAINED if r.rule.of_sequences], ids=lambda r: r.name)
def test_both_have_the_same_numbers(row):
    if row.name == "opo":
        return  # no algorithm of its own
    algorithm = ALGORITHMS[row.name]()
    trained = {
        "epsilon": algorithm.std_eps,
        "epsilon_low": algorithm.clip_eps_low,
        "epsilon_high": algorithm.clip_eps_high,
    }
    used = {*row.rule.settings, *named("ratio", row.ratio).settings}
    for name in used & trained.keys():
        assert row.setting(name) == trained[name]
    if row.kl != "none":
        assert row.setting("beta") == algorithm.beta


def test_a_row_may_be_taken_apart():
    row = next(row for row in ESTIMATORS if row.name == "rloo")
    assert dataclasses.replace(row, psi="whiten").rule.scope is Scope.BATCH
    assert dataclasses.replace(row, ratio="gspo").setting("epsilon_high") == 4e-4
