"""A Chromium, Chrome or Edge to test the lessons in."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, Playwright

#: What they are called on a PATH.
NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("microsoft-edge", "microsoft-edge-stable", "msedge"),
)
#: Where their installers put them, on Linux and on macOS, when that is not on the PATH.
PLACES = (
    *("/snap/bin/chromium", "/opt/google/chrome/chrome", "/opt/microsoft/msedge/msedge"),
    *(
        f"{folder}/{name}.app/Contents/MacOS/{name}"
        for folder in ("/Applications", "~/Applications")
        for name in ("Google Chrome", "Chromium", "Microsoft Edge")
    ),
)
HELP = (
    "no Chromium, Chrome or Edge to test the lessons in: install one (Debian: apt-get install "
    "chromium; anywhere: python -m playwright install chromium) or name one in LOGTRICK_CHROMIUM"
)


def paths() -> Iterator[str]:
    """The browsers that are installed, in the order in which they are tried."""
    found = [shutil.which(name) for name in NAMES]
    found += [str(Path(place).expanduser()) for place in PLACES]
    for path in dict.fromkeys(path for path in found if path):
        if os.access(path, os.X_OK):
            yield path


def launch(driver: Playwright) -> Browser:
    """Start the first that starts; without one, skip the test, and fail it under CI.

    Some that are found do not start (Ubuntu's `chromium-browser` without its snap, for instance).
    """
    named = os.environ.get("LOGTRICK_CHROMIUM")
    if named:  # whoever names one means this one: it is not replaced by another
        return driver.chromium.launch(executable_path=named, args=["--no-sandbox"])
    failed = []
    for path in (*paths(), None):  # None: the one that Playwright downloaded
        try:
            return driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except Error:
            failed += [path] if path else []
    reason = HELP + (f" ({', '.join(failed)} did not start)" if failed else "")
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
