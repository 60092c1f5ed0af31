"""The standard problems: by name, and against what their sources say of them."""

import numpy as np
import pytest

from logtrick import exact
from logtrick.errors import ConfigError, MDPError
from logtrick.mdp import problems


@pytest.mark.parametrize("name", problems.REGISTRY)
def test_each_problem_by_name(name):
    mdp = problems.make(name.replace("_", "-"))
    assert mdp.num_states == problems.REGISTRY[name]().num_states
    uniform = mdp.available / mdp.available.sum(axis=1, keepdims=True)
    found = exact.evaluate(mdp, uniform)
    assert np.isfinite(found.objective)
    assert found.error_bound < 1e-8 * max(1, np.abs(found.values).max())
    assert problems.make(name, gamma=0.5).gamma == 0.5
    assert problems.REGISTRY[name].__doc__


def test_arguments_in_a_name():
    mdp = problems.make("garnet(20, 3, branching=2, seed=5)", gamma=0.5)
    same = problems.garnet(20, 3, 2, seed=5, gamma=0.5)
    assert np.array_equal(mdp.successors, same.successors)
    assert np.array_equal(mdp.rewards, same.rewards)
    assert problems.make("FrozenLake-v1(map_name='8x8')").num_states == 64
    assert problems.make("FrozenLake-v1").gamma == 0.99


def test_arguments_that_no_shell_needs_quoted():
    quoted = problems.make("garnet(20, 3, branching=2, seed=5)")
    plain = problems.make("garnet:20,3,branching=2,seed=5")
    assert np.array_equal(plain.successors, quoted.successors)
    lake = problems.make("frozen-lake:map_name=8x8,is_slippery=False")
    assert lake.num_states == 64
    assert lake.num_outcomes == lake.num_pairs


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("coridor", MDPError, r"Did you mean corridor\?"),
        ("zzzz", MDPError, "Known: chain, cliff_walking"),
        ("garnet(3, 4, 5, 6, 7)", ConfigError, "too many positional arguments"),
        ("garnet(size=3)", ConfigError, "size"),
        ("garnet('many')", ConfigError, "garnet"),
        ("garnet(branching=200)", ConfigError, "200 does not fit 100"),
        ("garnet(__import__('os'))", ConfigError, "write the arguments as"),
        ("garnet(3) + 1", ConfigError, "write the arguments as"),
        ("garnet(3", ConfigError, "write the arguments as"),
        ("garnet:3,,4", ConfigError, "write the arguments as"),
        ("garnet:many", ConfigError, "garnet"),
        ("nothing.npz", MDPError, "cannot be read"),
        ("nothing.umb", MDPError, "cannot be read: No such file"),
        ("nothing.tra", MDPError, "cannot be read"),
    ],
)
def test_names_that_mean_nothing(name, error, words):
    with pytest.raises(error, match=words):
        problems.make(name)


def test_names_of_files(tmp_path):
    (tmp_path / "m.tra").write_text("2 1 1\n0 0 1 1\n")
    (tmp_path / "m.lab").write_text('0="init"\n0: 0\n')
    (tmp_path / "m.rew").write_text("0 3\n")
    mdp = problems.make(str(tmp_path / "m.tra"))
    assert exact.objective(mdp, np.zeros(2, int)) == 3


@pytest.mark.parametrize("window", [None, 7])
def test_garnet(window):
    mdp = problems.garnet(50, 3, 4, seed=1, window=window, ends=0.3)
    successors = mdp.successors.reshape(150, 4)
    assert (np.diff(successors, axis=1) > 0).all()
    if window is not None:
        ahead = (successors - mdp.pair_states[:, None]) % 50
        assert (ahead < window).all()
    assert 0.2 < mdp.terminated.mean() < 0.4
    same = problems.garnet(50, 3, 4, seed=1, window=window)
    assert np.array_equal(mdp.rewards, same.rewards)
    assert not np.array_equal(mdp.rewards, problems.garnet(50, 3, 4, seed=2).rewards)


def test_garnet_with_all_states_as_successors():
    mdp = problems.garnet(4, 2, 4)
    assert mdp.successors.reshape(8, 4).tolist() == [[0, 1, 2, 3]] * 8


def test_vanishing_chain_vanishes():
    # Agarwal et al. (2021), proposition 4.1: below a quarter, ‖∇V(s₀)‖ ≤ (1/3)^{H/4}.
    for length in (8, 16, 32):
        mdp = problems.vanishing_chain(length)
        table = np.tile([0.2, 0.3, 0.3, 0.2], (length + 2, 1))
        gradient = exact.policy_gradient(mdp, table, tol=1e-6)
        assert np.linalg.norm(gradient) < (1 / 3) ** (length / 4)


def test_salad_and_poison_never_ends_and_evens_out():
    mdp = problems.salad_and_poison()
    assert not mdp.terminated.any()
    table = np.full((11, 4), 0.25)
    gain = exact.objective(mdp, table, "average")
    spread = [
        np.ptp((1 - gamma) * exact.state_values(mdp.replace(gamma=gamma), table))
        for gamma in (0.9, 0.99, 0.999)
    ]
    assert spread[0] > 5 * spread[1] > 25 * spread[2]
    near = (1 - 0.9999) * exact.state_values(mdp.replace(gamma=0.9999), table)
    assert near == pytest.approx(np.full(11, gain), abs=2e-4)


def test_river_swim_rewards_the_upstream_swimmer():
    mdp = problems.river_swim()
    left, right = (exact.objective(mdp, np.full(6, a), "average") for a in (0, 1))
    assert left == pytest.approx(0.005)
    assert right == pytest.approx(0.4286, abs=5e-4)  # Osband et al. (2013): about 0.43
