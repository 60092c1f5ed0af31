"""Draw the three pictures of the README: a learning curve, an audit's cloud, a page of the lessons.

    python tools/pictures.py          # writes docs/pictures/*.png; takes about a minute
    python tools/pictures.py cloud    # only this one

It needs the extra `dev` and a Chromium (LOGTRICK_CHROMIUM names one that is not on the PATH).
"""

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import logtrick as lt
from logtrick import lessons

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
LARGEST = 100_000
"""Bytes of a picture, at most: the README stays light."""
WIDTH = 900
"""Pixels: the README shows three of them side by side, and each of them on a click."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main() -> None:
    """Draw the pictures that are named, make them small, and refuse one that is still too large."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], default=[])
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in parser.parse_args().names or PICTURES:
        picture = FOLDER / f"{name}.png"
        with tempfile.TemporaryDirectory() as folder:
            PICTURES[name](picture, Path(folder))
        shrink(picture)
        size = picture.stat().st_size
        print(f"{picture.name}: {size / 1000:.0f} kB")
        if size >= LARGEST:
            raise SystemExit(f"{picture} has {size} bytes; at most {LARGEST} are allowed")


def shrink(picture: Path) -> None:
    """At most `WIDTH` pixels wide, and in 64 colours."""
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    if image.width > WIDTH:
        height = round(image.height * WIDTH / image.width)
        image = image.resize((WIDTH, height), Image.Resampling.LANCZOS)
    image.quantize(64, dither=Image.Dither.NONE).save(picture, optimize=True)


def learning_curve(picture: Path, folder: Path) -> None:
    """What `logtrick train CartPole-v1 --seeds 8` leaves."""
    run = lt.train("CartPole-v1", seeds=8, out=folder)
    shutil.copy(run.path / "learning_curve.png", picture)


def cloud(picture: Path, folder: Path) -> None:
    """The usual update (GAE, without γ^t) beside the exact gradient.

    In the short corridor, whose states the policy tells apart here: three parameters in effect, of
    which the plane shows the two directions in which the update varies most.
    """
    corridor = lt.problems.corridor()
    mdp = corridor.replace(gamma=0.7, observations=np.arange(corridor.num_states))
    report = lt.audit("gae", mdp, lt.SoftmaxTable(mdp), weighting="undiscounted", batch_size=16)
    report.plot(picture)


def lesson(picture: Path, folder: Path) -> None:
    """The page of the introduction on which the reader ascends J, after ten steps."""
    from playwright.sync_api import sync_playwright

    pages = {path.stem: path for path in lessons.write(folder)}
    found = (shutil.which(name) for name in BROWSERS)
    browser = os.environ.get("LOGTRICK_CHROMIUM") or next(filter(None, found), None)
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        tab = chromium.new_page(viewport={"width": WIDTH, "height": 900}, reduced_motion="reduce")
        tab.goto(pages["ascent"].as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached")
        tab.get_by_role("button", name="10 steps", exact=True).click()
        tab.wait_for_timeout(3000)  # for the steps to be drawn
        box = tab.locator("figure").first.bounding_box()
        assert box is not None
        above = 64  # the update rule, which stands above the figure
        clip = {"x": 0, "y": box["y"] - above, "width": WIDTH, "height": box["height"] + above + 16}
        tab.screenshot(path=picture, full_page=True, clip=clip)
        chromium.close()


PICTURES = {"learning_curve": learning_curve, "cloud": cloud, "lesson": lesson}


if __name__ == "__main__":
    main()
