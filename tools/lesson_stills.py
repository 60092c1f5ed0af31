"""Take the first state of every figure of the lessons, for readers without scripts.

    python tools/lesson_stills.py

The pages' scripts draw the figures, so this needs Chromium and playwright, as the tests do. Run it
after a change to a page; a test fails where a still is not what the page draws.
"""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from logtrick import lessons

STILLS = Path(__file__).parents[1] / "src" / "logtrick" / "lessons" / "assets" / "stills"
#: What takes more than this is not worth its place in every page (characters).
LARGEST = 70_000

TAKE = """() => ({
    pictures: Object.fromEntries([...document.querySelectorAll("svg[data-picture]")].map((svg) => [
        svg.dataset.picture,
        [svg.getAttribute("viewBox"), svg.getAttribute("height"), svg.innerHTML],
    ]).filter(([, [box]]) => box)),
    words: Object.fromEntries([...document.querySelectorAll("[data-live]")].map((place) => [
        place.dataset.live, place.textContent,
    ])),
})"""
HEIGHT = """(name) => {
    const figure = document.querySelector(`[data-figure="${name}"]`);
    const fold = figure.closest("details");
    if (fold) fold.open = true;
    return Math.ceil(figure.getBoundingClientRect().height) + 24;
}"""


def take(browser: Browser, path: Path) -> dict[str, Any]:
    """Pictures, words and heights of a page, as its script first draws them."""
    tab = browser.new_page(viewport={"width": 744, "height": 900})
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-ready]", state="attached")
    names = lessons.figure_names()
    here = [name for name in names if tab.locator(f'[data-figure="{name}"]').count()]
    heights = {name: tab.evaluate(HEIGHT, name) for name in here}
    tab.wait_for_timeout(200)  # folds that opened are drawn again at their width
    found: dict[str, Any] = tab.evaluate(TAKE)
    tab.close()
    for name in ("checked", "difference", "card-question", "cards-left"):
        found["words"].pop(name, None)  # of the reader's own machine
    found["pictures"] = {
        name: [box, height, _short(inside)]
        for name, (box, height, inside) in found["pictures"].items()
        if len(_short(inside)) <= LARGEST
    }
    return {**found, "heights": heights}


def _short(markup: str) -> str:
    """Without more digits than a screen shows, and without names that only a script uses."""

    def rounded(tag: re.Match[str]) -> str:
        short = re.sub(r"-?\d+\.\d{2,}(?:e-?\d+)?", lambda x: f"{float(x[0]):.1f}", tag[0])
        return re.sub(r' (?:tabindex|data-[\w-]+|role|aria-\w+)="[^"]*"', "", short)

    return re.sub(r"<[^>]*>", rounded, markup)


def kept(page: str) -> dict[str, Any]:
    """What is kept of a page."""
    found: dict[str, Any] = json.loads((STILLS / f"{page}.json").read_text())
    return found


def main() -> None:
    """Write a file for each page."""
    STILLS.mkdir(exist_ok=True)
    executable = os.environ.get("LOGTRICK_CHROMIUM") or shutil.which("chromium")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        for path in lessons.write(folder):
            found = take(browser, path)
            target = STILLS / f"{path.stem}.json"
            target.write_text(json.dumps(found, ensure_ascii=False, indent=0) + "\n")
            print(target.name, target.stat().st_size)
        browser.close()


if __name__ == "__main__":
    main()
