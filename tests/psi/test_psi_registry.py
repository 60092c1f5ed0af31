"""The registry is data, and everything that it names exists."""

import dataclasses

import pytest

from logtrick import psi
from logtrick.psi import registry
from logtrick.psi.registry import CHOICES, ESTIMATORS, Claim

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


def test_every_choice_is_a_function_or_a_known_word():
    words = {"q_value", "discounted", "undiscounted", "score", "none"}
    for choice in CHOICES:
        assert choice.effect
        assert choice.reference
        if choice.name in words:
            continue
        name = f"{choice.name}_weights" if choice.axis == "normaliser" else choice.name
        name = name.split("_")[0] if choice.axis == "kl" else name
        assert callable(getattr(psi, name))


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
