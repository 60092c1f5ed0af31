"""Faults planted in somebody else's estimators: the audit tells each from the honest one."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import planted_estimators as planted


@pytest.mark.parametrize("honest", [None, "leave one out"])
def test_honest_code_passes(honest):
    assert planted.verdict(honest) is None


@pytest.mark.parametrize("name", [*planted.TRAJECTORY_FAULTS, *planted.GROUP_FAULTS])
def test_faults_are_caught(name):
    assert planted.verdict(name)


def test_there_are_enough():
    assert len(planted.TRAJECTORY_FAULTS) + len(planted.GROUP_FAULTS) >= 40
