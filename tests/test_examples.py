"""The examples that a person would copy, run as they would run them, in small."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SHORT = {
    "train_and_watch": (["--steps", "4000", "--seeds", "2"], "return "),
    "exact_gradient": (["--steps", "50"], "J 0.53"),
    "audit_own_loss": ([], "without γ^t            gradient of: no function"),
    "custom_environment": (["--steps", "6000"], "docking at once is worth 10"),
    "custom_psi": ([], " 0.00  0.0000"),
    "resume_and_export": (["--steps", "8000"], "same policy, bit for bit: True"),
}
WITH_OTHERS = {"audit_sb3", "audit_trl"}
"""Those that need another library: tests/auditing/test_torch.py runs them."""


def test_every_example_is_run():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == SHORT.keys() | WITH_OTHERS


@pytest.mark.parametrize("name", SHORT)
def test_examples_run(name, tmp_path):
    arguments, shown = SHORT[name]
    ran = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *arguments],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert shown in ran.stdout
