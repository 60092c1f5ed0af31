"""Renew constraints.txt: the versions of every package with which the tests are to pass.

    python tools/constraints.py            # the newest that pyproject.toml's ranges allow
    python tools/constraints.py --keep     # as it is, and what pyproject.toml newly asks for
    python tools/constraints.py --check    # that the file still resolves, with wheels, everywhere
    python tools/constraints.py --oldest FILE   # the oldest that the ranges allow, for this Python

The README's commands install these, so that another project's release of tomorrow does not change
what a fresh machine gets; `.ci/run` also tries the newest ones (tools/newest.py). uv resolves once
for every supported Python and system and writes the environment markers; it is installed into a
temporary environment. The file names no package index: pip and uv take their own.

Run the tests with the new versions, on every Python, before you commit them.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = (
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "aarch64-apple-darwin",
)
HELD = {"torch": "2.13.0"}
"""Releases that are not the newest: of torch, the one whose CPU build the audit is tested with."""
HEADER = f"""\
# Written by `python tools/constraints.py`: the versions with which logtrick is tested, for Python
# {", ".join(PYTHONS)}, with all extras. Use it with `pip install -c constraints.txt`.
"""


def main() -> None:
    """Read the arguments, and write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keep", action="store_true", help="move no version without need")
    parser.add_argument("--check", action="store_true", help="check the file, write nothing")
    parser.add_argument("--oldest", type=Path, metavar="FILE", help="write the oldest here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uv = install_uv(Path(folder))
        if options.oldest:
            options.oldest.write_text(oldest(uv))
            return
        if not options.check:
            CONSTRAINTS.write_text(HEADER + resolve(uv, Path(folder), options.keep))
        for python in PYTHONS:
            for platform in PLATFORMS:
                check(uv, python, platform)


def install_uv(folder: Path) -> str:
    """Install uv into an environment in this folder; returns its path."""
    subprocess.run([sys.executable, "-m", "venv", folder / "uv"], check=True)
    python = folder / "uv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return str(python.with_name("uv"))


def resolve(uv: str, folder: Path, keep: bool) -> str:
    """One line for each package and environment: the newest version, or as it was with `keep`."""
    pins = folder / "pins.txt"  # uv prefers the versions that it finds in its output file
    pins.write_text(CONSTRAINTS.read_text() if keep else "")
    held = folder / "held.txt"
    held.write_text("".join(f"{name}=={version}\n" for name, version in HELD.items()))
    compiled(
        uv,
        *("--universal", "--all-extras", "--python-version", PYTHONS[0]),
        *("--constraints", str(held), "--output-file", str(pins)),
    )
    return pins.read_text()


def oldest(uv: str) -> str:
    """The oldest versions of what the tests need, and the newest of what those need in turn."""
    lowest = ("--resolution", "lowest-direct", "--extra", "dev", "--only-binary", ":all:")
    return compiled(uv, *lowest, "--python", sys.executable)


def check(uv: str, python: str, platform: str) -> None:
    """The test command finds every package as a wheel, in exactly these versions."""
    found = compiled(
        uv,
        *("--extra", "dev", "--only-binary", ":all:", "--constraints", str(CONSTRAINTS)),
        *("--python-version", python, "--python-platform", platform),
    )
    print(f"Python {python} on {platform}: {len(found.splitlines())} wheels")


def compiled(uv: str, *arguments: str) -> str:
    """What `uv pip compile` makes of pyproject.toml."""
    plain = ("--no-header", "--no-annotate", "--no-emit-index-url", "--quiet")
    command = [uv, "pip", "compile", *plain, *arguments, str(ROOT / "pyproject.toml")]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
