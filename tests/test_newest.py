"""tools/newest.py names the package that broke, and no other."""

import newest

TESTED = {"a": "1", "b": "1", "c": "1", "needs-c": "1"}


class Machine:
    """Packages that break a test from some version on; `needs-c` 2 installs with c 2 alone."""

    def __init__(self, newer, breaking):
        self.newer, self.breaking, self.installed, self.log = newer, breaking, dict(TESTED), ""

    def resolved(self, *options):
        return TESTED if options else TESTED | self.newer

    def pip(self, *arguments):
        wanted = dict(line.split("==") for line in arguments if "==" in line)
        if "needs-c" in wanted:
            wanted["c"] = "2"
        self.installed |= wanted or self.newer

    def move(self, versions):
        assert versions  # pip refuses an empty line
        self.installed |= versions

    def versions(self):
        return dict(self.installed)

    def failures(self, tests):
        broken = [test for name, test in self.breaking if self.installed[name] != "1"]
        self.log = f"E  {' '.join(broken)}"
        return broken


def told(newer, *breaking, seconds=60.0):
    return newest.verdict(Machine(newer, breaking), ["all"], seconds)


def test_nothing_is_newer():
    assert told({}) == ["the tested versions are the newest; nothing to try"]


def test_what_is_newer_works():
    assert told({"a": "2", "b": "3"}) == ["the core tests pass with a 1 -> 2, b 1 -> 3"]


def test_the_package_that_broke_is_named_alone():
    lines = told({"a": "2", "b": "3", "c": "2"}, ("b", "t.py::one"), ("b", "t.py::two"))
    assert lines == ["BROKEN by b 1 -> 3: t.py::one, t.py::two"]


def test_each_of_two_is_named():
    lines = told({"a": "2", "b": "2", "c": "2"}, ("a", "t.py::one"), ("c", "t.py::two"))
    assert lines == [f"BROKEN by {name} 1 -> 2: t.py::one, t.py::two" for name in "ac"]


def test_what_had_to_move_with_it_is_told():
    (line,) = told({"needs-c": "2", "c": "2"}, ("needs-c", "t.py::one"))
    assert line == "BROKEN by needs-c 1 -> 2 (with c 1 -> 2, which it needs): t.py::one"


def test_a_package_that_the_newest_need_is_not_moved_alone():
    lines = told({"a": "2", "new": "1"}, ("a", "t.py::one"))
    assert lines == ["BROKEN by a 1 -> 2: t.py::one"]


def test_a_failure_of_the_tested_versions_is_no_packages_fault():
    machine = Machine({"a": "2"}, [])
    machine.failures = lambda tests: ["t.py::one"]
    (line,) = newest.verdict(machine, ["all"], 60)
    assert line == "t.py::one failed with the tested versions too: no package's fault"


def test_without_time_it_says_what_it_does_not_know():
    (line,) = told({"a": "2"}, ("a", "t.py::one"), seconds=-1.0)
    assert line == "BROKEN, t.py::one, by no package alone that was tried of a 1 -> 2"


def test_packages_that_the_failures_name_come_first():
    log = "E   File site-packages/zz_top/model.py\nE   zz_top, umbi"
    assert newest.suspects(["alpha", "umbi", "zz-top"], log) == ["zz-top", "umbi", "alpha"]


def test_what_holds_others_back_is_left_out():
    editable, checkout, *others = newest.wanted()
    assert (editable, checkout) == ("--editable", ".[docs,watch]")
    assert "pytest>=8.4" in others
    assert not any(line.startswith(newest.HOLDS_BACK) for line in others)


def test_the_core_tests_are_there():
    for line in (newest.ROOT / "tests" / "core.txt").read_text().splitlines():
        path, _, name = line.partition("::")
        assert (newest.ROOT / path).exists()
        if name:
            assert f"def {name}(" in (newest.ROOT / path).read_text()
