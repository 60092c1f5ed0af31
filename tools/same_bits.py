"""Fingerprint what logtrick computes, to prove that a change of structure changed no bit.

    python tools/same_bits.py --write before.json     # before the change
    python tools/same_bits.py --compare before.json   # after it; status 1 on a difference

Final states and metrics of short runs (device and host), the arrays and the `--json` of `solve`
and `derive`, and the whole of `audit --all`, each as a SHA-256. Times and folders are left out. Two
fingerprints are comparable on one machine with the same versions only.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

TIMES = {"seconds", "time", "compile_seconds", "took"}
RUNS = {
    "ppo device": ("CartPole-v1", "ppo", 8192),
    "ppo host": ("gym:CartPole-v1", "ppo", 4096),
    "ppo continuous": ("Pendulum-v1", "ppo", 8192),
    "a2c device": ("CartPole-v1", "a2c", 8192),
    "a2c host": ("gym:CartPole-v1", "a2c", 2048),
    "trpo device": ("CartPole-v1", "trpo", 8192),
    "trpo host": ("gym:CartPole-v1", "trpo", 4096),
    "impala device": ("CartPole-v1", "impala", 8192),
    "impala host": ("gym:CartPole-v1", "impala", 2048),
    "reinforce device": ("CartPole-v1", "reinforce", 8192),
    "grpo device": ("sequences:sort", "grpo", 4096),
    "grpo host": ("gym:CartPole-v1", "grpo", 4096),
    "npg device": ("CartPole-v1", "npg", 8192),
    "rloo device": ("sequences:sort", "rloo", 4096),
    "dr_grpo device": ("sequences:sort", "dr_grpo", 4096),
    "dapo device": ("sequences:sort", "dapo", 4096),
    "gspo device": ("sequences:sort", "gspo", 4096),
    "cispo device": ("sequences:sort", "cispo", 4096),
    "reinforce++ device": ("sequences:sort", "reinforce_plus_plus", 4096),
}
MDPS = ("corridor", "frozen_lake", "forest", "garnet:100,4", "cliff_walking", "two_state_loop")
READINGS = ("start", "stationary", "average")


def main() -> int:
    """Write the fingerprints, or compare them with those of a file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, help="the file to write")
    parser.add_argument("--compare", type=Path, help="a file written before")
    options = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, value in fingerprints(Path(folder)):
            found[name] = value
            if options.write:  # what there is, so far
                options.write.write_text(json.dumps(found, indent=1) + "\n")
    if options.compare is None:
        return 0
    before = json.loads(options.compare.read_text())
    changed = sorted(k for k in before.keys() | found.keys() if before.get(k) != found.get(k))
    for name in changed:
        print(f"differs: {name}: {before.get(name)} -> {found.get(name)}")
    print(f"{len(found) - len(changed)} of {len(before)} fingerprints are equal")
    return 1 if changed else 0


def fingerprints(folder: Path) -> Iterator[tuple[str, str]]:
    """Names and SHA-256 sums of everything that is compared."""
    for name, (env, algo, steps) in RUNS.items():
        out = folder / name.replace(" ", "-")
        logtrick("train", env, "--algo", algo, "--steps", str(steps), "--out", str(out))
        (run,) = (path for path in out.iterdir() if path.is_dir())
        yield f"{name}: policy", arrays_of(run / "policy.safetensors")
        yield f"{name}: metrics", digest((run / "metrics.jsonl").read_bytes())
        arrays = sorted(run.glob("checkpoints/**/*.safetensors"))
        yield f"{name}: state", digest(*(path.read_bytes() for path in arrays[-1:]))
    for mdp in MDPS:
        out = folder / f"{mdp.replace(':', '-')}.npz"
        gamma = () if mdp in ("corridor", "cliff_walking") else ("--gamma", "0.9")
        text = logtrick("solve", mdp, *gamma, "--json", "--out", str(out))
        yield f"solve {mdp}: json", digest(without_times(text))
        with np.load(out) as arrays:
            parts = (
                name.encode() + arrays[name].tobytes()
                for name in sorted(arrays.files)
                if name not in TIMES
            )
            yield f"solve {mdp}: arrays", digest(*parts)
    for reading in READINGS:
        chosen = ("--gamma", "0.5", "--reading", reading, "--json")
        text = logtrick("derive", "two_state_loop", *chosen)
        yield f"derive {reading}", digest(without_times(text))
    page = folder / "estimators.md"
    logtrick("audit", "--all", "--out", str(page))
    yield "audit --all", digest(page.read_bytes())


def arrays_of(path: Path) -> str:
    """The SHA-256 of a safetensors file without its header, whose keys have no order."""
    data = path.read_bytes()
    return digest(data[8 + int.from_bytes(data[:8], "little") :])


def logtrick(*arguments: str) -> str:
    """Run the command line; what it prints."""
    command = [sys.executable, "-m", "logtrick", *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(arguments)} ended with {result.returncode}: {result.stderr[-500:]}")
    return result.stdout


def without_times(text: str) -> bytes:
    """JSON without the fields that tell how long something took, or where it was written."""

    def kept(value: object) -> object:
        if isinstance(value, dict):
            return {k: kept(v) for k, v in value.items() if k not in TIMES | {"out", "files"}}
        return [kept(v) for v in value] if isinstance(value, list) else value

    return json.dumps(kept(json.loads(text)), sort_keys=True).encode()


def digest(*parts: bytes) -> str:
    """The SHA-256 of the parts, one after the other."""
    return hashlib.sha256(b"".join(parts)).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
