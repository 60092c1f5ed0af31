"""Published numbers and closed forms, by every method that applies."""

import numpy as np
import pytest

from logtrick import planning
from logtrick.mdp import problems
from logtrick.planning.methods import METHODS

ALL = sorted(METHODS)
AVERAGE = [name for name in ALL if name != "gauss_seidel"]


def assert_certified(solution, expected):
    """The bound is what the default tolerance allows, and the numbers are within it."""
    size = np.abs(solution.values).max() if solution.gain is None else abs(solution.gain)
    assert solution.error_bound <= 1e-8 * max(1.0, size)
    np.testing.assert_allclose(solution.values, expected, rtol=0, atol=solution.error_bound)


@pytest.mark.parametrize("method", ALL)
def test_puterman_two_states(method):
    gamma = 0.95
    expected = [(5 - 5.5 * gamma) / ((1 - 0.5 * gamma) * (1 - gamma)), -1 / (1 - gamma)]
    assert_certified(planning.solve(problems.puterman_two_state(), method=method), expected)


@pytest.mark.parametrize("method", ALL)
def test_forest(method):
    solution = planning.solve(problems.forest(gamma=0.9), method=method)
    assert_certified(solution, [26.244, 29.484, 33.484])
    assert solution.policy.tolist() == [0, 0, 0]


@pytest.mark.parametrize("method", AVERAGE)
def test_forest_on_average(method):
    solution = planning.solve(problems.forest(gamma=0.9), kind="average", method=method)
    assert solution.gain == pytest.approx(3.24, abs=solution.error_bound)
    assert solution.error_bound <= 3.24e-8
    assert solution.values[0] == 0


def test_forest_over_three_steps():
    solution = planning.solve(problems.forest(gamma=0.9), kind="total", horizon=3)
    assert_certified(solution, [[3.33, 6.93, 10.93], [0.9, 3.6, 7.6], [0, 1, 4], [0, 0, 0]])


@pytest.mark.parametrize("method", ALL)
def test_exercise_3_5_grid(method):
    solution = planning.solve(problems.example_3_5_grid(), method=method)
    top = 10 / (1 - 0.9**5)
    assert solution.values.max() == pytest.approx(top, abs=solution.error_bound)
    first_row = [22.0, 24.4, 22.0, 19.4, 17.5]
    np.testing.assert_allclose(solution.values[:5], first_row, atol=0.05)


@pytest.mark.parametrize("method", ALL)
def test_frozen_lake_discounted(method):
    solution = planning.solve(problems.frozen_lake(gamma=0.99), method=method)
    assert solution.values[0] == pytest.approx(0.5420259320, abs=1e-10 + solution.error_bound)


@pytest.mark.parametrize("guess", [0.0, 1.0])
@pytest.mark.parametrize("method", ALL)
def test_frozen_lake_undiscounted_from_either_side(method, guess):
    """From v = 1 plain value iteration stays at 1, with a residual of zero (V6)."""
    mdp = problems.frozen_lake(gamma=1.0)
    solution = planning.solve(mdp, method=method, guess=np.full(16, guess))
    assert solution.values[0] == pytest.approx(14 / 17, abs=1e-8)
    assert solution.error_bound <= 1e-8
    assert solution.kind == "total"


def test_frozen_lake_over_a_hundred_steps():
    solution = planning.solve(problems.frozen_lake(gamma=1.0), horizon=100)
    assert solution.values.shape == (101, 16)
    assert solution.policy.shape == (100, 16)
    assert solution.values[0, 0] == pytest.approx(0.7441903, abs=1e-7)
    assert solution.method == "backward_induction"


@pytest.mark.parametrize("method", ALL)
def test_cliff_walking(method):
    mdp = problems.cliff_walking()
    solution = planning.solve(mdp, method=method)
    assert mdp.start @ solution.values == pytest.approx(-13, abs=solution.error_bound + 1e-14)


@pytest.mark.parametrize("method", ALL)
def test_taxi(method):
    mdp = problems.taxi()
    solution = planning.solve(mdp, method=method)
    assert mdp.start @ solution.values == pytest.approx(7.93, abs=solution.error_bound)
    starts = solution.values[mdp.start > 0]
    assert (starts.min(), starts.max()) == pytest.approx((3, 15), abs=solution.error_bound)
