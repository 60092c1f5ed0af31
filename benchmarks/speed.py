"""Training speed beside PureJaxRL and Stable-Baselines3, in one run, taking turns.

    python benchmarks/speed.py [--purejaxrl CHECKOUT] [--python PYTHON] [--rounds 3]

PYTHON is an interpreter that has the other contestants' packages (stable-baselines3 with torch's
CPU build; gymnax<1, flax, distrax for PureJaxRL). A contestant that cannot run is left out, and
the table says so.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import results

HERE = Path(__file__).parent / "contestants"
PROTOCOL = (
    "Fused PPO on CartPole-v1, one seed: 64 environments x 128 steps, 4 epochs x 4 minibatches of "
    "2048, two separate 64-64 tanh networks, Adam. Steady state: compilation and a first update "
    "excluded, four repetitions of 60 updates a process (Stable-Baselines3: two of 2), every "
    "contestant a process of its own, taking turns; the median and the range over all repetitions. "
    "logtrick's rate includes the host's visit, true final observations and its finite-check."
)


def measure(command: list[str]) -> list[dict[str, float]] | str:
    """The repetitions that a contestant printed, or why it could not run."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return result.stderr.strip().splitlines()[-1]
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--purejaxrl", help="a checkout of github.com/luchris429/purejaxrl")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the others")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    commands = {
        "logtrick": [sys.executable, str(HERE / "logtrick_ppo.py")],
        "Stable-Baselines3": [options.python, str(HERE / "sb3_ppo.py")],
    }
    if options.purejaxrl:
        script = str(HERE / "purejaxrl_ppo.py")
        commands["PureJaxRL"] = [options.python, script, options.purejaxrl]
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    failures = {}
    for _ in range(options.rounds):
        for name, command in commands.items():
            outcome = measure(command) if name not in failures else ""
            if isinstance(outcome, str):
                failures.setdefault(name, outcome)
            else:
                taken[name].extend(outcome)
    ours = statistics.median(row["steps_per_second"] for row in taken["logtrick"])
    rows = []
    for name, repetitions in taken.items():
        if name in failures:
            rows.append({"system": name, "steps/s (median)": f"could not run: {failures[name]}"})
            continue
        speeds = [row["steps_per_second"] for row in repetitions]
        rows.append(
            {
                "system": name,
                "steps/s (median)": statistics.median(speeds),
                "range": f"{min(speeds):,.0f} to {max(speeds):,.0f}",
                "compile (s)": statistics.median(row["compile"] for row in repetitions),
                "logtrick is": f"{ours / statistics.median(speeds):.1f} x",
            }
        )
    print(results.write("speed", PROTOCOL, rows).read_text())


if __name__ == "__main__":
    main()
