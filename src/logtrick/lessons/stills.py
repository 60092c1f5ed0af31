"""The first state of each figure, kept as files: for readers without scripts.

The pictures are drawn by the pages' scripts, so they can only be had from a browser;
`python tools/lesson_stills.py` takes them again, and a test holds them to what the pages draw.
"""

import json
from importlib.resources import files
from typing import Any

_FOLDER = files("logtrick.lessons") / "assets" / "stills"


def stills(page: str) -> dict[str, Any]:
    """Of a page: pictures as (viewBox, height, inside), and words, by the name of their place."""
    file = _FOLDER / f"{page}.json"
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found
