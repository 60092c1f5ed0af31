"""kill -9 at random moments, resume, compare: `python benchmarks/kill_resume.py [--kills 10]`."""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import results

SCRIPT = Path(__file__).parents[1] / "tests" / "runs" / "training" / "killed_run.py"
STEPS = {"CartPole-v1": 1_500_000, "gym:CartPole-v1": 60_000}
PROTOCOL = (
    "A PPO run that checkpoints as often as it can, killed with SIGKILL at random "
    "moments (uniform over the time that the untouched run takes, start-up included) and resumed "
    "after each kill, then left alone; its metrics.jsonl and every array of its final state are "
    "compared by SHA-256 with those of the untouched run. Each kill is a trial of its own."
)


def digest(run: Path) -> str:
    """One hash of the log and of the final state."""
    manifest = max((run / "checkpoints").glob("step-*")) / "manifest.json"
    arrays = json.loads(manifest.read_text())["arrays"]
    sums = json.dumps({name: entry["sha256"] for name, entry in sorted(arrays.items())})
    return hashlib.sha256((run / "metrics.jsonl").read_bytes() + sums.encode()).hexdigest()


def trial(env: str, expected: str, moment: float) -> tuple[bool, int]:
    """(equal bits, the update from which it was resumed) after one kill."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, str(SCRIPT), env, str(STEPS[env]), out]
        process = subprocess.Popen(command)
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        folders = list(Path(out).glob("*/config.json"))
        if not folders:  # killed before there was anything to resume: it is simply started again
            subprocess.run(command, check=True)
            return digest(next(Path(out).iterdir())) == expected, -1
        (run,) = Path(out).iterdir()
        steps = [int(p.name[5:]) for p in (run / "checkpoints").glob("step-*")]
        subprocess.run([*command, str(run)], check=True)
        return digest(run) == expected, max(steps, default=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    random.seed(0)
    rows = []
    for env in ("CartPole-v1", "gym:CartPole-v1"):
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, str(SCRIPT), env, str(STEPS[env]), out]
            subprocess.run(command, check=True)  # fills the compilation cache
            begin = time.perf_counter()
            subprocess.run(command, check=True)
            whole = time.perf_counter() - begin
            first, second = (digest(run) for run in Path(out).iterdir())
        assert first == second, "two untouched runs differ"
        trials = [trial(env, first, random.uniform(0, whole)) for _ in range(options.kills)]
        rows.append(
            {
                "environment": env,
                "steps": STEPS[env],
                "updates": STEPS[env] // 128,
                "kills": options.kills,
                "equal to the untouched run": sum(equal for equal, _ in trials),
                "resumed from update": ", ".join("start" if u < 0 else str(u) for _, u in trials),
            }
        )
        print(results.write("kill_resume", PROTOCOL, rows).read_text())


if __name__ == "__main__":
    main()
