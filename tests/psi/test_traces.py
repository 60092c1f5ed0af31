"""The recursive ψ: against slow sums, in their limits, and at the ends of episodes."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest
import slow
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick import psi
from logtrick.errors import NonFiniteError

BATCHES = [(), (2, 2)]
#: The lengths that are drawn: each is compiled for itself, and those between say nothing new.
LENGTHS = st.sampled_from([1, 2, 5, 8])


def fragment(seed, shape, ends=0.3):
    """Random rows [..., T]; next_values[t] is values[t+1] in an episode, and its own at cuts."""
    rng = np.random.default_rng(seed)
    values, own = rng.normal(size=(2, *shape))
    terminated, truncated = rng.random((2, *shape)) < ends
    following = np.concatenate([values[..., 1:], own[..., -1:]], axis=-1)
    return {
        "rewards": rng.normal(size=shape),
        "values": values,
        "next_values": np.where(terminated | truncated, own, following),
        "terminated": terminated,
        "truncated": truncated,
        "action_values": rng.normal(size=shape),
        "ratios": rng.lognormal(size=shape),
    }


ARGUMENTS = {
    "reward_to_go": "rewards next_values terminated truncated",
    "episode_return": "rewards next_values terminated truncated",
    "total_return": "rewards next_values terminated truncated",
    "baselined_return": "rewards values next_values terminated truncated",
    "td_residual": "rewards values next_values terminated truncated",
    "n_step": "rewards values next_values terminated truncated",
    "gae": "rewards values next_values terminated truncated",
    "lambda_return": "rewards next_values terminated truncated",
    "vtrace_targets": "rewards values next_values ratios terminated truncated",
    "vtrace": "rewards values next_values ratios terminated truncated",
    "retrace": "rewards action_values next_values ratios terminated truncated",
}
SETTINGS = {
    "n_step": {"n": 3},
    "gae": {"lambda_": 0.7},
    "lambda_return": {"lambda_": 0.7},
    "vtrace_targets": {"lambda_": 0.9, "rho_bar": 1.5, "c_bar": 1.2},
    "vtrace": {"lambda_": 0.9, "rho_bar": 1.5, "c_bar": 1.2, "advantage_rho_bar": 2.0},
    "retrace": {"lambda_": 0.9, "c_bar": 1.1},
}


def arguments(name, rows):
    return [rows[argument] for argument in ARGUMENTS[name].split()]


def compute(name, rows, gamma=0.9, **more):
    given = {argument: rows[argument] for argument in ARGUMENTS[name].split()}
    return getattr(psi, name)(**given, gamma=gamma, **{**SETTINGS.get(name, {}), **more})


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arrays_come_in_one_order(name):
    """Those that may be left out are given by name."""
    parameters = inspect.signature(getattr(psi, name)).parameters.values()
    arrays = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    by_name = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert arrays == [array for array in ARGUMENTS[name].split() if array not in by_name]
    assert all(p.default is p.empty for p in parameters if p.name in arrays)


@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=LENGTHS,
    batch=st.sampled_from(BATCHES),
    ends=st.sampled_from([0.0, 0.3, 1.0]),
    gamma=st.sampled_from([0.3, 0.9, 1.0]),
)
def test_equals_the_defining_sum(name, seed, length, batch, ends, gamma):
    rows = fragment(seed, (*batch, length), ends)
    got = compute(name, rows, gamma)
    options = {**SETTINGS.get(name, {})}
    if name == "vtrace":
        options["front"] = options.pop("advantage_rho_bar")
    for index in np.ndindex(*batch):
        one = arguments(name, {key: array[index] for key, array in rows.items()})
        expected = getattr(slow, name)(*one, gamma=gamma, **options)
        np.testing.assert_allclose(got[index], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(LENGTHS, min_size=1, max_size=3),
    terminate=st.booleans(),
)
def test_joined_trajectories_are_those_computed_apart(name, seed, lengths, terminate):
    parts = [fragment(seed + i, (length,)) for i, length in enumerate(lengths)]
    for part in parts:  # the last row of a part ends its episode one way or the other
        part["truncated"][-1] = True
        part["terminated"][-1] = terminate
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    together = compute(name, joined)
    # A fused multiply-add may round differently in code compiled for another length.
    apart = np.concatenate([compute(name, part) for part in parts])
    np.testing.assert_allclose(together, apart, rtol=1e-13, atol=1e-14)
    # In the same code, not one bit of a trajectory depends on the others.
    for first, last in zip(np.cumsum([0, *lengths[:-1]]), np.cumsum(lengths), strict=True):
        others = np.ones(sum(lengths), bool)
        others[first:last] = False
        alone = {
            key: np.where(others, np.nan, array) if array.dtype == float else array
            for key, array in joined.items()
        }
        np.testing.assert_array_equal(compute(name, alone)[first:last], together[first:last])


@pytest.mark.parametrize("name", ARGUMENTS)
def test_nothing_crosses_a_cut(name):
    rows = fragment(1, (8,), ends=0.0)
    rows["truncated"][3] = True
    before = compute(name, rows)
    for key in ("rewards", "values", "next_values", "action_values", "ratios"):
        rows[key][4:] = np.nan
    after = compute(name, rows)
    np.testing.assert_array_equal(after[:4], before[:4])
    assert np.isnan(after[4:]).all()


@pytest.mark.parametrize("name", ARGUMENTS)
def test_truncation_bootstraps_and_termination_does_not(name):
    rows = fragment(2, (6,), ends=0.0)
    rows["truncated"][2] = True
    cut = compute(name, rows, gamma=1.0)
    rows["next_values"][2] += 1
    moved = compute(name, rows, gamma=1.0)
    assert np.abs(moved - cut)[2] > 0.1
    np.testing.assert_array_equal(moved[3:], cut[3:])
    rows["terminated"][2] = True
    ended = compute(name, rows, gamma=1.0)
    rows["next_values"][2] = np.nan
    np.testing.assert_array_equal(compute(name, rows, gamma=1.0), ended)
    rows["next_values"][2] = 0.0
    rows["terminated"][2] = False
    np.testing.assert_array_equal(compute(name, rows, gamma=1.0), ended)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_the_last_row_is_a_cut(name):
    rows = fragment(3, (3, 6), ends=0.2)
    for convert in (np.asarray, jnp.asarray):
        open_ended = {key: convert(array) for key, array in rows.items()}
        cut = {**open_ended, "truncated": convert(rows["truncated"] | (np.arange(6) == 5))}
        np.testing.assert_array_equal(compute(name, cut), compute(name, open_ended))


@pytest.mark.parametrize(
    "name", ["reward_to_go", "episode_return", "total_return", "baselined_return"]
)
def test_without_next_values_the_rest_is_left_out(name):
    rows = fragment(4, (3, 7))
    zero = compute(name, {**rows, "next_values": np.zeros((3, 7))})
    np.testing.assert_array_equal(compute(name, {**rows, "next_values": None}), zero)


def test_gae_limits():
    rows = fragment(5, (4, 12))
    np.testing.assert_array_equal(compute("gae", rows, lambda_=0.0), compute("td_residual", rows))
    np.testing.assert_allclose(
        compute("gae", rows, lambda_=1.0),
        compute("reward_to_go", rows) - rows["values"],
        rtol=1e-13,
        atol=1e-13,
    )


def test_n_step_limits():
    rows = fragment(6, (4, 12))
    np.testing.assert_array_equal(compute("n_step", rows, n=1), compute("td_residual", rows))
    baselined = compute("baselined_return", rows)
    for n in (12, 13, 10**9):
        np.testing.assert_allclose(compute("n_step", rows, n=n), baselined, rtol=1e-13, atol=1e-14)


def test_gae_is_the_lambda_average_of_n_steps():
    rows = fragment(7, (10,), ends=0.0)
    weights = [0.3 * 0.7**i for i in range(9)] + [0.7**9]
    average = sum(w * compute("n_step", rows, n=n) for n, w in enumerate(weights, start=1))
    # Where fewer than n steps are left all longer returns agree, so the weights still add up.
    np.testing.assert_allclose(compute("gae", rows), average, rtol=1e-12, atol=1e-13)


def test_lambda_return_limits_and_gae():
    rows = fragment(8, (4, 12))
    one_step = compute("td_residual", rows) + rows["values"]
    np.testing.assert_allclose(compute("lambda_return", rows, lambda_=0.0), one_step, atol=1e-14)
    np.testing.assert_allclose(
        compute("lambda_return", rows, lambda_=1.0), compute("reward_to_go", rows), atol=1e-13
    )
    np.testing.assert_allclose(
        compute("lambda_return", rows), compute("gae", rows) + rows["values"], atol=1e-13
    )


def test_on_policy_vtrace_is_gae_and_retrace_the_lambda_return_of_q():
    rows = fragment(9, (4, 12))
    rows["ratios"][:] = 1.0
    bars = {"rho_bar": 1.0, "c_bar": 1.0, "advantage_rho_bar": None}
    for lambda_ in (0.0, 0.7, 1.0):
        advantages = compute("gae", rows, lambda_=lambda_)
        np.testing.assert_allclose(
            compute("vtrace", rows, lambda_=lambda_, **bars), advantages, atol=1e-13
        )
        targets = compute("vtrace_targets", rows, lambda_=lambda_, rho_bar=1.0, c_bar=1.0)
        np.testing.assert_allclose(targets, advantages + rows["values"], atol=1e-13)
        as_q = {**rows, "action_values": rows["values"]}
        returned = compute("retrace", as_q, lambda_=lambda_, c_bar=1.0)
        np.testing.assert_allclose(returned, advantages + rows["values"], atol=1e-13)


def test_unclipped_vtrace_is_importance_sampling():
    rows = fragment(10, (7,), ends=0.0)
    rows["values"][:], rows["next_values"][:] = 0.0, 0.0
    bars = {"lambda_": 1.0, "rho_bar": np.inf, "c_bar": np.inf}
    weights = np.cumprod(rows["ratios"])
    expected = np.sum(weights * 0.9 ** np.arange(7) * rows["rewards"])
    np.testing.assert_allclose(compute("vtrace_targets", rows, **bars)[0], expected, rtol=1e-13)


def test_total_return_is_the_episode_return_over_its_weight():
    rows = fragment(11, (3, 9))
    total, whole = compute("total_return", rows), compute("episode_return", rows)
    steps = np.zeros((3, 9), int)
    for index in np.ndindex(3, 9):
        row, t = index
        steps[index] = t - slow.first_of(t, rows["terminated"][row], rows["truncated"][row])
    np.testing.assert_allclose(total * 0.9**steps, whole, rtol=1e-13)
    np.testing.assert_array_equal(
        compute("total_return", rows, gamma=1.0), compute("episode_return", rows, gamma=1.0)
    )


def test_the_weighted_total_return_does_not_overflow():
    rewards, never = np.ones(500, np.float32), np.zeros(500, bool)
    whole = psi.episode_return(rewards, never, never, gamma=0.5)
    np.testing.assert_allclose(whole, 2.0, rtol=1e-6)
    with pytest.raises(NonFiniteError, match=r"total_return at \(127,\) is inf.*float32"):
        psi.total_return(rewards, never, never, gamma=0.5)  # 2^128 is no float32


def test_gamma_zero():
    rows = fragment(12, (5,), ends=0.0)
    np.testing.assert_array_equal(compute("reward_to_go", rows, gamma=0.0), rows["rewards"])
    np.testing.assert_array_equal(compute("episode_return", rows, gamma=0.0), rows["rewards"][0])
    np.testing.assert_array_equal(compute("gae", rows, gamma=0.0), rows["rewards"] - rows["values"])


def test_random_walk_values_have_no_mean_residual():
    """Five states, ±1 with probability ½, reward 1 on the right: V = k/6 (gate of MATH.md)."""
    position = np.array([3, 4, 5])
    values = position / 6
    up = psi.td_residual([0.0, 0.0, 1.0], values, (position + 1) / 6, [0, 0, 1], [0] * 3, gamma=1)
    down = psi.td_residual([0.0] * 3, values, (position - 1) / 6, [0] * 3, [0] * 3, gamma=1)
    np.testing.assert_allclose(up + down, 0, atol=1e-15)
