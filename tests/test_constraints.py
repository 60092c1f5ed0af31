"""constraints.txt pins one version of every dependency, in its range, wherever logtrick runs."""

import re
import tomllib
from itertools import product
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import constraints

SYSTEMS = {"linux": "x86_64", "darwin": "arm64"}


@pytest.fixture(scope="module")
def pins():
    lines = constraints.CONSTRAINTS.read_text().splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def environments():
    for python, (system, machine) in product(constraints.PYTHONS, SYSTEMS.items()):
        yield default_environment() | {
            "python_version": python,
            "python_full_version": f"{python}.9",
            "sys_platform": system,
            "platform_machine": machine,
        }


def applying(requirements, environment):
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate(environment | {"extra": ""}):
            yield requirement


def test_every_dependency_of_every_extra_has_one_version_in_its_range(pins):
    project = tomllib.loads((constraints.ROOT / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    needed = [Requirement(line) for group in groups for line in group]
    for environment in environments():
        versions = {}
        for pin in applying(pins, environment):
            (exact,) = pin.specifier
            assert exact.operator == "=="
            assert canonicalize_name(pin.name) not in versions
            versions[canonicalize_name(pin.name)] = exact.version
        for requirement in applying(needed, environment):
            name = canonicalize_name(requirement.name)
            if name != "logtrick":
                assert requirement.specifier.contains(versions[name], prereleases=True), name


def test_it_names_no_host_no_path_and_no_option(pins):
    text = constraints.CONSTRAINTS.read_text()
    assert "://" not in text
    assert not any(line.startswith("-") for line in text.splitlines())
    assert not any(pin.url for pin in pins)


def test_the_pythons_are_those_of_the_project():
    project = tomllib.loads((constraints.ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={constraints.PYTHONS[0]}"
    named = [line.rpartition(" :: ")[2] for line in project["classifiers"] if ":: 3." in line]
    assert named == list(constraints.PYTHONS)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/index.md"])
def test_every_install_from_the_checkout_takes_the_tested_versions(page):
    for line in (Path(constraints.ROOT) / page).read_text().splitlines():
        if re.search(r"pip install .*(-e |(?<=\s)\.(?=\s|$))", line):
            assert "-c constraints.txt" in line, line
