"""The registry is data, and everything that it names exists and does what the row says."""

import dataclasses
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from logtrick import psi
from logtrick.algorithms import base, group_base
from logtrick.errors import ConfigError
from logtrick.psi import registry
from logtrick.psi.registry import CHOICES, ESTIMATORS, PSIS, Claim, Scope

AXES = ("psi", "weighting", "normaliser", "ratio", "kl")
NAMES = {axis: [c.name for c in CHOICES if c.axis == axis] for axis in AXES}


def test_names_are_unique():
    assert {choice.axis for choice in CHOICES} == set(AXES)
    for names in (*NAMES.values(), [row.name for row in ESTIMATORS]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("row", ESTIMATORS, ids=lambda row: row.name)
def test_estimators_are_made_of_choices(row):
    for axis in AXES:
        assert getattr(row, axis) in NAMES[axis]
    assert isinstance(row.claim, Claim)
    assert row.reference
    with pytest.raises(dataclasses.FrozenInstanceError):
        row.claim = Claim.UNBIASED


WITHOUT_FUNCTION = {"discounted", "undiscounted", "none"}


@pytest.mark.parametrize("choice", CHOICES, ids=lambda c: f"{c.axis} {c.name}")
def test_every_choice_has_its_function(choice):
    assert choice.effect
    assert choice.reference
    if choice.name in WITHOUT_FUNCTION:
        return
    assert choice.function is getattr(psi, choice.function.__name__)
    parameters = inspect.signature(choice.function).parameters
    for name in choice.settings:
        # β stands in front of a penalty in the loss, and is no part of it.
        assert name in parameters or name == "beta"


@pytest.mark.parametrize("row", PSIS, ids=lambda row: row.name)
def test_a_psi_says_what_its_function_takes(row):
    """Every parameter that has no default is an array or a setting of the row, and none is more."""
    parameters = inspect.signature(row.function).parameters
    required = {name for name, p in parameters.items() if p.default is p.empty}
    assert required <= {*row.takes, *row.settings} <= set(parameters)
    for other in filter(None, (row.weighted, row.target)):
        also = inspect.signature(getattr(psi, other)).parameters
        assert {*row.takes, *row.settings} <= set(also)
    with pytest.raises(ConfigError, match=f"{row.name} needs {row.takes[0]}"):
        row.evaluate({})


@pytest.mark.parametrize("row", [row for row in PSIS if row.recursion], ids=lambda row: row.name)
def test_the_recursion_of_a_row_is_its_function(row):
    """ψ_t = δ_t + c ψ_{t+1}, or its first n terms, by loops; on-policy, where all ratios are 1."""
    rng = np.random.default_rng(0)
    numbers = {"gamma": 0.9, "lambda_": 0.7, "n": 3}
    rewards, values, after = rng.normal(size=(3, 8))
    ends = np.arange(8) == 4
    data = {
        "rewards": rewards,
        "values": values,
        "next_values": np.where(ends, after, np.append(values[1:], after[-1])),
        "ratios": np.ones(8),
        "terminated": ends,
        "truncated": np.zeros(8, bool),
    }
    delta = rewards.copy()
    if row.recursion.delta == "td_residual":
        delta += 0.9 * np.where(ends, 0, data["next_values"]) - values
    elif row.recursion.decay is not None:
        data["next_values"] = None
    c = 0.0 if row.recursion.decay is None else np.prod([numbers[x] for x in row.recursion.decay])
    most = 8 if row.recursion.window is None else numbers[row.recursion.window]
    expected = []
    for t in range(8):
        last = min(4 if t <= 4 else 7, t + most - 1)
        expected.append(sum(c ** (k - t) * delta[k] for k in range(t, last + 1)))
    np.testing.assert_allclose(row.evaluate(data | numbers), expected, rtol=1e-12, atol=1e-14)


def test_the_weighted_function_is_the_psi_times_its_weight():
    (row,) = (row for row in PSIS if row.weighted)
    data = {"rewards": np.arange(1.0, 5.0), "terminated": np.arange(4) == 3, "gamma": 0.5}
    data["truncated"] = np.zeros(4, bool)
    weighted = row.evaluate(data, function=row.weighted)
    np.testing.assert_allclose(weighted, 0.5 ** np.arange(4) * row.evaluate(data), rtol=1e-14)


def test_what_can_be_trained_is_what_a_loop_has():
    """The literals that the command line offers; a loop has no Q_π and no greedy policy."""
    trajectories = {row.name for row in PSIS if row.scope is Scope.TRAJECTORY}
    assert set(get_args(base.Psi)) == trajectories
    sequences = {row.name for row in PSIS if row.of_sequences} - {"remax"}
    assert set(get_args(group_base.GroupPsi)) == sequences
    for axis in ("normaliser", "ratio", "kl"):
        literal = {"normaliser": "Normaliser", "ratio": "Ratio", "kl": "Penalty"}[axis]
        assert set(get_args(getattr(group_base, literal))) == set(NAMES[axis])


def test_reading_the_registry_loads_no_jax():
    code = (
        "import sys; from logtrick.algorithms.configs import A2C; "
        "assert A2C(trunk='shared').has_critic; "
        "from logtrick.psi import registry; registry.psi_named('gae'); "
        "assert not {'jax', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


SOURCES = Path(psi.__file__).parent.parent


def test_each_equation_stands_once():
    """π/π_old, k3, γ^k, δ and the whitening, by the patterns in which they were copied."""
    patterns = {
        r"exp\([^)\n]*log_?prob": {"psi/ratios.py"},  # π/π_old from the logarithms
        r"expm1\(": {"psi/kl.py", "psi/ratios.py"},
        r"gamma[^\n]*\*\* *(t\.)?steps?\b": {"psi/returns.py"},
        r"(?i)gamma \* (bootstrap|after)\b": {"psi/returns.py"},
        r"- mean\) / \(": set(),
    }
    rows = "|".join(row.name for row in PSIS if row.scope is not Scope.ACTIONS)
    patterns[rf'case "({rows})"|[!=]= "({rows})"'] = set()
    for pattern, allowed in patterns.items():
        for folder in ("psi", "algorithms", "auditing", "rollouts.py", "objectives.py"):
            root = SOURCES / folder
            for path in [root] if root.is_file() else root.rglob("*.py"):
                name = str(path.relative_to(SOURCES))
                found = re.search(pattern, path.read_text())
                assert name in allowed or not found, f"{name}: {found and found.group()}"


def test_the_names_that_the_audit_promises():
    promised = (
        "total_return reward_to_go baselined_return q_value advantage td_residual n_step gae "
        "vtrace rloo grpo dr_grpo dapo"
    )
    assert set(promised.split()) <= {row.name for row in ESTIMATORS}


def test_a_dropped_discount_is_never_claimed_unbiased():
    for row in ESTIMATORS:
        if row.name.endswith("_undiscounted"):
            assert row.weighting == "undiscounted"
            assert row.claim is Claim.NO_FUNCTION


def test_references_are_written_once():
    written = [v for k, v in vars(registry).items() if k.isupper() and isinstance(v, str)]
    assert len(set(written)) == len(written)
