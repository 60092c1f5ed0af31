"""Where there is no browser, the lessons' tests are skipped with the reason, and fail under CI."""

import pytest
from playwright.sync_api import Error

import chromium


class Driver:
    """Playwright, on a machine where only some browsers start."""

    def __init__(self, *starts):
        self.chromium, self.starts, self.tried = self, starts, []

    def launch(self, executable_path, args):
        self.tried.append(executable_path)
        if executable_path not in self.starts:
            raise Error("no such executable")
        return executable_path or "Playwright's own"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """install("google-chrome") puts an executable of this name on an otherwise empty PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(chromium, "PLACES", ())
    for name in ("CI", "LOGTRICK_CHROMIUM"):
        monkeypatch.delenv(name, raising=False)

    def install(name):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        return str(tmp_path / name)

    return install


def test_no_browser_is_a_reason_to_skip(machine):
    with pytest.raises(pytest.skip.Exception, match=r"no Chromium, Chrome or Edge.*apt-get"):
        chromium.launch(Driver())


@pytest.mark.parametrize("value", ["true", "1"])
def test_no_browser_under_ci_is_a_failure(machine, monkeypatch, value):
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.fail.Exception, match="no Chromium, Chrome or Edge"):
        chromium.launch(Driver())


@pytest.mark.parametrize("value", ["", "false"])
def test_no_browser_where_ci_is_off(machine, monkeypatch, value):
    monkeypatch.setenv("CI", value)
    with pytest.raises(pytest.skip.Exception):
        chromium.launch(Driver())


@pytest.mark.parametrize("name", chromium.NAMES)
def test_every_usual_name_is_found(machine, name):
    path = machine(name)
    assert chromium.launch(Driver(path)) == path


def test_the_places_of_installers_are_looked_at(machine, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "Applications" / "Google Chrome.app" / "Contents" / "MacOS" / "Google Chrome"
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    monkeypatch.setattr(
        chromium, "PLACES", ("~/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",)
    )
    assert list(chromium.paths()) == [str(path)]


def test_one_that_does_not_start_is_passed_over_and_told(machine):
    broken, whole = machine("chromium-browser"), machine("google-chrome")
    assert chromium.launch(Driver(whole)) == whole
    assert chromium.launch(Driver(None)) == "Playwright's own"
    with pytest.raises(pytest.skip.Exception, match=rf"{broken}, {whole} did not start"):
        chromium.launch(Driver())


def test_the_one_that_was_named_is_not_replaced(machine, monkeypatch):
    whole = machine("chromium")
    monkeypatch.setenv("LOGTRICK_CHROMIUM", "/nowhere/chrome")
    driver = Driver(whole)
    with pytest.raises(Error):
        chromium.launch(driver)
    assert driver.tried == ["/nowhere/chrome"]
