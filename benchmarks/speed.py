"""Training speed beside PureJaxRL and Stable-Baselines3, in one run, taking turns.

    python benchmarks/speed.py [--purejaxrl CHECKOUT] [--python PYTHON] [--rounds 3] [--only TEXT]

PYTHON is an interpreter that has the other contestants' packages (stable-baselines3 with torch's
CPU build; gymnax<1, flax, distrax, brax, navix for PureJaxRL). A contestant that cannot run is left
out, and the table says so.
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
    "PPO on CartPole-v1 (on the device for logtrick and PureJaxRL) and on Gymnasium's "
    "HalfCheetah-v4, one seed, two separate 64-64 tanh networks, Adam; every contestant at the "
    "same numbers of environments, steps, epochs and minibatches. Steady state: compilation and a "
    "first update are left out; repetitions of about a second, every contestant a process of its "
    "own, taking turns; the median and the range over all repetitions. logtrick's rate includes "
    "the host's visit, the true final observations (the others take time limits for ends, or patch "
    "rewards) and the check for numbers that are not finite. `matmul floor`: the rate that the "
    "matrix products of the gradient steps alone would allow, at the speed that this machine "
    "reached for products of their size in the same run."
)
STABLE_BASELINES = "1 x 2048, 10 epochs of 32 minibatches of 64 (Stable-Baselines3's)"
SETTINGS = {
    "64 x 128, 4 epochs of 4 minibatches of 2048": ("CartPole-v1", 64, 128, 4, 4),
    "4 x 128, 4 epochs of 4 minibatches of 128 (CleanRL's)": ("CartPole-v1", 4, 128, 4, 4),
    STABLE_BASELINES: ("CartPole-v1", 1, 2048, 10, 32),
    f"HalfCheetah-v4, {STABLE_BASELINES}": ("gym:HalfCheetah-v4", 1, 2048, 10, 32),
}


def measure(command: list[str]) -> list[dict[str, float]] | str:
    """The repetitions that a contestant printed, or why it could not run."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        return result.stderr.strip().splitlines()[-1]
    return [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]


def matmul_floor(rows: int, epochs: int) -> float:
    """Steps per second if a gradient step were its matrix products and nothing else."""
    import time

    import jax
    import jax.numpy as jnp

    x, w = jnp.ones((rows, 64)), jnp.ones((64, 64))
    chained = jax.jit(lambda x, w: jax.lax.fori_loop(0, 20, lambda _, y: y @ w, x))
    chained(x, w).block_until_ready()
    best = float("inf")
    for _ in range(200):
        begin = time.perf_counter()
        chained(x, w).block_until_ready()
        best = min(best, time.perf_counter() - begin)
    flops = 20 * 2 * rows * 64 * 64 / best
    forward = 2 * (4 * 64 + 64 * 64) + 64 * 2 + 64  # multiply-adds of both networks, one sample
    backward = forward + 2 * 64 * 64 + 64 * 2 + 64  # weights; then inputs, but for the first layer
    return flops / (2 * (forward + backward) * epochs)


def contest(commands: dict[str, list[str]], rounds: int) -> dict[str, list[dict[str, float]] | str]:
    """All repetitions of each contestant, which take turns; or why one could not run."""
    taken: dict[str, list[dict[str, float]] | str] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            so_far = taken[name]
            if isinstance(so_far, list):
                outcome = measure(command)
                taken[name] = outcome if isinstance(outcome, str) else so_far + outcome
    return taken


def rows_of(setting: str, options: argparse.Namespace) -> list[dict[str, object]]:
    """The rows of one setting."""
    env, *numbers = SETTINGS[setting]
    arguments = [env, *map(str, numbers)]
    ours, theirs = sys.executable, options.python
    commands = {
        "logtrick": [ours, str(HERE / "logtrick_ppo.py"), *arguments],
        "Stable-Baselines3": [theirs, str(HERE / "sb3_ppo.py"), *arguments],
        "Stable-Baselines3, one thread": [
            *("env", "OMP_NUM_THREADS=1", theirs, str(HERE / "sb3_ppo.py")),
            *arguments,
        ],
    }
    if options.purejaxrl and env == "CartPole-v1":
        script = str(HERE / "purejaxrl_ppo.py")
        commands["PureJaxRL"] = [theirs, script, *map(str, numbers), options.purejaxrl]
    taken = contest(commands, options.rounds)
    first = taken["logtrick"]
    assert isinstance(first, list), first
    best = statistics.median(row["steps_per_second"] for row in first)
    rows: list[dict[str, object]] = []
    if env == "CartPole-v1":
        envs, steps, epochs, minibatches = numbers
        floor = matmul_floor(envs * steps // minibatches, epochs)
        rows.append({"setting": setting, "system": "matmul floor", "steps/s": floor})
    for name, outcome in taken.items():
        if isinstance(outcome, str):
            rows.append({"setting": setting, "system": name, "steps/s": f"failed: {outcome}"})
            continue
        speeds = [row["steps_per_second"] for row in outcome]
        rows.append(
            {
                "setting": setting,
                "system": name,
                "steps/s": statistics.median(speeds),
                "range": f"{min(speeds):,.0f} to {max(speeds):,.0f}",
                "compile (s)": statistics.median(row["compile"] for row in outcome),
                "logtrick is": f"{best / statistics.median(speeds):.1f} x",
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--purejaxrl", help="a checkout of github.com/luchris429/purejaxrl")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the others")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="settings that contain this; others are kept")
    options = parser.parse_args()
    rows = results.rows("speed")
    for setting in SETTINGS:
        if options.only in setting:
            kept = [row for row in rows if row["setting"] != setting]
            rows = kept + rows_of(setting, options)
            print(results.write("speed", PROTOCOL, rows).read_text())


if __name__ == "__main__":
    main()
