"""The faults of `benchmarks/faults`: every one can be planted, and (slow) every one is caught.

    python -m pytest -m slow tests/test_planted_faults.py
    LOGTRICK_FAULTS=$(git rev-parse HEAD) python -m pytest -m slow tests/test_planted_faults.py

With the environment variable only the tenth that its text draws is planted.
"""

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import planted_faults  # noqa: E402
from faults import Fault, a_tenth, all_faults  # noqa: E402

FAULTS = all_faults()
COMMIT = os.environ.get("LOGTRICK_FAULTS")


def test_every_fault_can_be_planted_and_names_its_tests():
    """Its text stands in the file exactly once, what replaces it is Python, its tests are there."""
    texts = {}
    for fault in FAULTS:
        right = (ROOT / "src" / fault.file).read_text()
        faulty = planted_faults.planted(fault, ROOT / "src")
        assert faulty != right, fault.name
        for test in fault.tests:
            path, _, function = test.partition("::")
            source = texts.setdefault(path, (ROOT / path).read_text())
            assert f"def {function}(" in source or not function, f"{fault.name}: {test}"


def test_there_are_faults_of_every_kind_of_work():
    counts = Counter(fault.area for fault in FAULTS)
    assert sum(counts[area] for area in ("exact", "planning", "algorithms", "runs", "envs")) >= 120
    assert min(counts.values()) >= 20
    assert len(counts) == 7
    assert all_faults() == FAULTS  # whoever asks again, to write the table, finds them too


def test_a_tenth_follows_from_the_commit():
    one, same, other = (a_tenth(FAULTS, commit) for commit in ("a1", "a1", "b2"))
    assert one == same != other
    assert len(one) == -(-len(FAULTS) // 10)
    drawn = {fault for k in range(300) for fault in a_tenth(FAULTS, str(k))}
    assert drawn == set(FAULTS)  # 500 · 0.9³⁰⁰ = 9e-12 is the chance that one is left out


def toy(tmp_path, **changes):
    """A checkout of one module and one test, and a fault in it."""
    for folder in ("src/toy", "tests"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "src/toy/__init__.py").touch()
    (tmp_path / "src/toy/sums.py").write_text(
        "def mean(x):\n    return sum(x) / len(x)\n\n\nUNUSED = 1\n"
    )
    (tmp_path / "tests/test_sums.py").write_text(
        "from toy.sums import mean\n\n\ndef test_mean():\n    assert mean([1.0, 2.0]) == 1.5\n"
    )
    fields = {
        "area": "toy", "name": "not divided", "module": "toy.sums", "text": " / len(x)",
        "replacement": "", "tests": ("tests/test_sums.py::test_mean",),
    }  # fmt: skip
    return Fault(**fields | changes)


def test_a_fault_is_caught_or_it_is_not_and_leaves_nothing_behind(tmp_path):
    """The fault in the middle has the length of what it replaces, and is undone all the same."""
    faults = [
        toy(tmp_path),
        toy(tmp_path, name="the same length", text="x) / len", replacement="x) * len"),
        toy(tmp_path, name="no test looks at it", text="UNUSED = 1", replacement="UNUSED = 2"),
    ]
    found = list(planted_faults.plant(faults, root=tmp_path))
    assert [one.test for one in found] == ["tests/test_sums.py::test_mean"] * 2 + [None]
    assert all(one.seconds > 0 for one in found)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"text": "len"}, "no fault"),
        ({"text": "x"}, "holds 'x' 3 times"),
        ({"replacement": " /"}, "no Python"),
        ({"module": "toy.nothing"}, "no toy/nothing.py"),
        ({"tests": ("tests/test_sums.py::test_median",)}, "not found"),
    ],
)
def test_what_decides_nothing_is_an_error(changes, words, tmp_path):
    fault = toy(tmp_path, **changes)
    if words == "no fault":
        (tmp_path / "tests/test_sums.py").write_text("def test_mean():\n    assert False\n")
        words = "test_mean fails without any fault"
    with pytest.raises(planted_faults.Unplanted, match=words):
        list(planted_faults.plant([fault], root=tmp_path))


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    planted_faults.running.prepare(folder / "jax")
    return planted_faults.Copy(folder / "0")


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault", a_tenth(FAULTS, COMMIT) if COMMIT else FAULTS, ids=lambda fault: fault.name
)
def test_every_fault_is_caught(fault, copy):
    assert copy.caught(fault).test is not None
