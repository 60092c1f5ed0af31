"""The configurations of group rules: the registry's names and claims, and what is refused."""

import pytest

import logtrick as lt
from logtrick.algorithms.configs import ALGORITHMS
from logtrick.algorithms.group_configs import (
    CISPO,
    DAPO,
    GRPO,
    GSPO,
    RLOO,
    DrGRPO,
    GroupAlgorithm,
    REINFORCEPlusPlus,
)
from logtrick.errors import ConfigError
from logtrick.psi.registry import ESTIMATORS

NAMED = [RLOO, GRPO, DrGRPO, DAPO, GSPO, CISPO, REINFORCEPlusPlus]
ROWS = {row.name: row for row in ESTIMATORS}


@pytest.mark.parametrize("cls", NAMED)
def test_the_names_and_the_claims_are_the_registrys(cls):
    row, algorithm = ROWS[cls.name], cls()
    ours = algorithm.psi, algorithm.normaliser, algorithm.ratio, algorithm.kl
    assert ours == (row.psi, row.normaliser, row.ratio, row.kl)
    assert row.claim in algorithm.estimates
    assert ALGORITHMS[cls.name] is cls
    assert getattr(lt, cls.__name__) is cls


@pytest.mark.parametrize(
    ("cls", "settings", "words"),
    [
        (GRPO, {"group_size": 1}, "a group of one has nothing to compare with"),
        (RLOO, {"num_envs": 10, "group_size": 4}, "group_size=4; it must be a divisor of"),
        (GRPO, {"minibatches": 3}, "a divisor of the 8 groups"),
        (REINFORCEPlusPlus, {"minibatches": 2}, "a divisor of the 1 groups"),
        (REINFORCEPlusPlus, {"num_envs": 1}, "one return whitened is 0"),
        (REINFORCEPlusPlus, {"ratio": "gspo"}, "'gspo' has one ψ a sequence"),
        (REINFORCEPlusPlus, {"groups": "informative"}, "the batch is one group"),
        (GRPO, {"psi": "gae"}, "psi='gae'; it must be one of 'rloo'"),
        (GRPO, {"kl": "k4"}, "kl='k4'"),
        (GRPO, {"kl": "none"}, "beta=0.04; it must be 0 exactly where kl is 'none'"),
        (RLOO, {"kl": "k3_in_loss"}, "beta=0.0; it must be 0 exactly where"),
        (GRPO, {"beta": -1.0}, "at least 0"),
        (GRPO, {"std_eps": -1.0}, "at least 0"),
        (GRPO, {"clip_eps_low": 1.5}, r"in \[0, 1\]"),
        (GRPO, {"clip_eps_high": -0.5}, "at least 0"),
        (GRPO, {"dual_clip": 1.1}, "more than 1 \\+ clip_eps_high = 1.2"),
        (GRPO, {"num_steps": 5}, "left at None: a group rule does not use it"),
        (GRPO, {"weighting": "undiscounted"}, "left at 'discounted'"),
        (GRPO, {"lambda_": 0.5}, "left at 0.95"),
        (GRPO, {"normalise": "batch"}, "left at 'none'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(cls, settings, words):
    with pytest.raises(ConfigError, match=words):
        cls(**settings)


def test_the_algorithms_are_group_algorithms():
    assert {c for c in ALGORITHMS.values() if issubclass(c, GroupAlgorithm)} == set(NAMED)
