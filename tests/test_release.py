"""What a release needs: one version in every place, and a dated list of its changes."""

import re
import tomllib
from datetime import date
from pathlib import Path

import logtrick as lt

ROOT = Path(__file__).parents[1]


def test_the_version_is_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), flags=re.MULTILINE)
    assert project["version"] == lt.__version__ == cited[1]


def test_the_changelog_has_a_dated_section_for_the_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\](?: - (.+))?$", text, flags=re.MULTILINE)
    assert headings[0] == ("Unreleased", "")
    versions = {version: date.fromisoformat(day) for version, day in headings[1:]}
    assert lt.__version__ in versions
    assert list(versions.values()) == sorted(versions.values(), reverse=True)
