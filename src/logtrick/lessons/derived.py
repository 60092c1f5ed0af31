"""What `logtrick derive` says of the garden, kept as a file: to ask it takes some seconds.

`python -m logtrick.lessons.derived` writes the file anew; a test holds it to `derive`.
"""

import json
from importlib.resources import as_file, files
from typing import Any, get_args

from logtrick.derivation import Reading, derive
from logtrick.lessons.garden import Compass, garden

THETA, GAMMA = [0.8, 0.2], 0.9
_FILE = files("logtrick.lessons") / "assets" / "derived.json"


def derived() -> list[dict[str, Any]]:
    """The reference numbers of the derivation page, as they are kept."""
    found: list[dict[str, Any]] = json.loads(_FILE.read_text(encoding="utf-8"))
    return found


def derive_again(reading: Reading) -> dict[str, Any]:
    """The same for one reading, from the library itself."""
    found = derive(garden(gamma=GAMMA), Compass(THETA), reading)
    return {
        "setting": {"reading": reading, "theta": THETA, "gamma": GAMMA},
        "numbers": {
            "truth": found.truth.tolist(),
            "lines": [line.vector.tolist() for line in found.lines],
            "dropped": found.dropped,
        },
    }


if __name__ == "__main__":
    with as_file(_FILE) as path:
        path.write_text(json.dumps([derive_again(r) for r in get_args(Reading)], indent=1) + "\n")
