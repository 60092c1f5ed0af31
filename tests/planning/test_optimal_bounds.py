"""Bounds really bound: every number against exact arithmetic, on MDPs full of traps."""

import itertools
from fractions import Fraction

import rational
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from logtrick import planning
from logtrick.errors import ConvergenceError, ImproperPolicyError, MDPError, MultichainError
from logtrick.mdp.model import FiniteMDP
from logtrick.planning.methods import METHODS

methods = st.sampled_from(sorted(METHODS))
many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pairs(mdp, actions):
    """The policy as pairs."""
    return tuple(
        int(first) + mdp.pair_actions[first:last].tolist().index(action)
        for first, last, action in zip(
            mdp.pair_offsets[:-1], mdp.pair_offsets[1:], actions.tolist(), strict=True
        )
    )


def assert_bounded(solution, best, attained):
    """|V_* − v| and V_* − V_π are at most the bound, in exact arithmetic."""
    bound = Fraction(solution.error_bound)
    for value, exact, own in zip(solution.values.tolist(), best, attained, strict=True):
        assert abs(exact - Fraction(value)) <= bound
        assert 0 <= exact - own <= bound


@many
@given(rational.tables(), st.sampled_from([0.0, 0.5, 0.9, 0.99, 1 - 2**-8]), methods)
def test_discounted(table, gamma, method):
    mdp = FiniteMDP.from_outcomes(table, gamma=gamma)
    solution = planning.solve(mdp, method=method)
    best = rational.best(mdp, Fraction(gamma), list(rational.policies(mdp)))
    attained = rational.evaluate(mdp, pairs(mdp, solution.policy), Fraction(gamma))
    assert_bounded(solution, best, attained)


@many
@given(rational.tables(), methods)
def test_total(table, method):
    """V6: V_* over proper policies, or the error that says why there is none."""
    mdp = FiniteMDP.from_outcomes(table, gamma=1.0)
    proper, gains, paying = [], [], False
    for policy in rational.policies(mdp):
        classes = rational.never_ending(mdp, policy)
        proper += [policy] if not classes else []
        for members in classes:
            gains.append(rational.gain(mdp, policy, members))
            rewards = [r for s in members for _, _, r, _ in rational.outcomes(mdp, policy[s])]
            paying |= gains[-1] == 0 and any(rewards)
    try:
        solution = planning.solve(mdp, method=method)
    except ImproperPolicyError:
        event("no proper policy")
        assert not proper
    except ConvergenceError:
        event("a cycle that pays and earns nothing")
        assert paying or max(gains) > 0
    except MDPError:
        event("a cycle that earns")
        assert max(gains) > 0
    else:
        event("solved")
        policy = pairs(mdp, solution.policy)
        assert policy in proper
        best = rational.best(mdp, Fraction(1), proper)
        assert_bounded(solution, best, rational.evaluate(mdp, policy, Fraction(1)))


@many
@given(rational.tables(terminating=False), methods.filter("gauss_seidel".__ne__))
def test_average(table, method):
    """V7, for the policy as well; an error only if some policy has two closed classes."""
    mdp = FiniteMDP.from_outcomes(table, gamma=0.5)
    if mdp.terminated.any():
        event("an absorbing state that pays nothing")
        return
    gains = {
        policy: [rational.gain(mdp, policy, c) for c in rational.never_ending(mdp, policy)]
        for policy in rational.policies(mdp)
    }
    try:
        solution = planning.solve(mdp, kind="average", method=method)
    except MultichainError:
        event("multichain")
        assert max(map(len, gains.values())) > 1
        return
    event("solved")
    bound = Fraction(solution.error_bound)
    best = max(gain for own in gains.values() for gain in own)
    assert abs(best - Fraction(solution.gain)) <= bound
    assert all(best - gain <= bound for gain in gains[pairs(mdp, solution.policy)])


@many
@given(rational.tables(), st.integers(0, 6))
def test_finite_horizon(table, horizon):
    mdp = FiniteMDP.from_outcomes(table, gamma=0.75)
    solution = planning.solve(mdp, horizon=horizon)
    values = [Fraction(0)] * mdp.num_states
    for t in reversed(range(horizon)):
        q = [
            sum(
                p * (r + (0 if end else Fraction(3, 4) * values[s_next]))
                for p, s_next, r, end in rational.outcomes(mdp, pair)
            )
            for pair in range(mdp.num_pairs)
        ]
        offsets = mdp.pair_offsets.tolist()
        values = [max(q[a:b]) for a, b in itertools.pairwise(offsets)]
        for s in range(mdp.num_states):
            assert abs(values[s] - Fraction(float(solution.values[t, s]))) <= solution.error_bound
            chosen = pairs(mdp, solution.policy[t])[s]
            assert values[s] - q[chosen] <= solution.error_bound
