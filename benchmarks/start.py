"""From pressing enter to a solved CartPole policy, cold and warm: `python benchmarks/start.py`."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import results

PROTOCOL = (
    "Whole processes, wall-clock. Cold: an empty compilation cache; warm: the next start. Solved: "
    "from the start of the process until the first update in whose batch the mean return of the "
    "episodes that ended was at least 475 (read from a log that the process writes as it goes); "
    "done: until the process has written its report and ended. Median and range over the rounds."
)
SOLVED = 475


def timed(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begin


def train(cache: str) -> dict[str, float]:
    """Seconds until solved and until the end, of `logtrick train CartPole-v1`."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "logtrick", "train", "CartPole-v1", "--out", out]
        begin, solved = time.perf_counter(), None
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None:
            time.sleep(0.02)
            for log in Path(out).glob("*/metrics.jsonl"):
                rows = log.read_text().splitlines()[:-1]
                if solved is None and any(reached(row) for row in rows):
                    solved = time.perf_counter() - begin
        assert process.returncode == 0
        assert solved is not None
        return {"solved": solved, "done": time.perf_counter() - begin}


def reached(line: str) -> bool:
    row = json.loads(line)
    return bool(row["episodes"]) and row["episode_return"] >= SOLVED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    taken: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        taken.setdefault(name, []).append(seconds)

    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for kind in ("cold", "warm"):
                for name, seconds in train(cache).items():
                    note(f"train CartPole-v1, {kind}, {name}", seconds)
        note(
            "logtrick --help",
            timed([sys.executable, "-m", "logtrick", "--help"]),
        )
        note("import logtrick", timed([sys.executable, "-c", "import logtrick"]))
    rows = [
        {"what": name, "seconds": statistics.median(x), "range": f"{min(x):.2f} to {max(x):.2f}"}
        for name, x in taken.items()
    ]
    print(results.write("start", PROTOCOL, rows, rounds=options.rounds).read_text())


if __name__ == "__main__":
    main()
