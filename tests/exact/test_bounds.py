"""Every number against rational arithmetic: the error is within its bound, and the bound is small.

The rational truth takes the float64 inputs as they are, and the probabilities as the evaluation
reports them.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick import exact
from random_mdps import random_mdp, random_table
from rationals import Rational, error

STORAGES = ("dense", "sparse")


def check(found, truth, bound, size):
    assert found <= bound
    assert bound <= 1e-12 * max(1.0, size), (found, bound, size)
    assert truth is not None


@pytest.mark.parametrize("storage", STORAGES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_discounted_and_total(storage, seed):
    mdp = random_mdp(seed, storage=storage)
    table = random_table(mdp, seed)
    truth = Rational(mdp, table, mdp.gamma)
    found = exact.evaluate(mdp, table)
    values, visits = truth.values(), truth.visits()
    assert error(found.values, values) <= found.error_bound
    assert error(found.visitation, visits) <= found.visitation_error
    assert error(found.objective, [truth.objective()]) <= found.objective_error
    finite = np.where(mdp.available, found.action_values, 0.0)
    assert error(finite, truth.action_values()) <= 2 * found.error_bound
    assert error(found.table_gradient, truth.gradient()) <= found.gradient_error
    size = float(max(map(abs, values)))
    length = float(sum(visits))
    assert found.error_bound <= 1e-14 * (100 + length) * max(1, size) * max(1, length)
    assert error(found.values, values) <= 1e-12 * max(1, size)
    assert error(found.table_gradient, truth.gradient()) <= 1e-12 * max(1, size * length)


@pytest.mark.parametrize("storage", STORAGES)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_average(storage, seed):
    mdp = random_mdp(seed, ends=False, storage=storage)
    table = random_table(mdp, seed)
    gain, distribution = Rational(mdp, table, 1.0).average()
    found = exact.evaluate(mdp, table, "average")
    assert error(found.objective, [gain]) <= found.objective_error <= 1e-11
    assert error(found.visitation, distribution) <= found.visitation_error <= 1e-11
