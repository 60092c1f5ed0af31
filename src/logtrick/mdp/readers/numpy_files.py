"""NumPy's files, `.npy` and `.npz`: arrays of numbers, sizes checked before memory is taken."""

import zipfile
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from logtrick.errors import MDPError
from logtrick.mdp.arrays import KINDS
from logtrick.mdp.readers.matrices import from_arrays
from logtrick.support.numbers import as_numbers

#: What the name of an array of states begins with that is a label.
LABEL = "labels/"
#: How many times smaller than its contents a zip archive can be.
MOST_DEFLATION = 1032
#: The longest header of an array that is read, in bytes.
LONGEST_HEADER = 10_000


def read_arrays(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a `.npz`, or that of a `.npy` under the name "".

    Raises:
        MDPError: it cannot be read, or holds anything but arrays of numbers and text.
    """
    try:
        if Path(path).suffix == ".npy":
            with open(path, "rb") as file:
                return {"": _read(file, Path(path).stat().st_size)}
        with zipfile.ZipFile(path) as archive:
            _check_sizes(archive, Path(path).stat().st_size)
            return {
                entry.filename.removesuffix(".npy"): _read(archive.open(entry), entry.file_size)
                for entry in archive.infolist()
            }
    except OSError as error:
        raise MDPError(f"{path} cannot be read: {error.strerror or error}") from error
    # zipfile raises NotImplementedError for a compression that it does not know.
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, MemoryError) as error:
        raise MDPError(f"{path} is no file of arrays, or damaged: {error}") from error


def _check_sizes(archive: zipfile.ZipFile, there: int) -> None:
    """What the directory claims must fit in the file, as far as deflating can shrink it."""
    for entry in archive.infolist():
        if entry.file_size > MOST_DEFLATION * there:
            raise ValueError(
                f"{entry.filename} claims {entry.file_size:,} bytes in a file of {there:,}"
            )


def _read(file: Any, size: int) -> np.ndarray:
    """One array, after its header was compared with the bytes that are there."""
    npy = np.lib.format
    version = npy.read_magic(file)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(file, max_header_size=LONGEST_HEADER)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never unpickled")
    claimed = dtype.itemsize * int(np.prod(shape, dtype=object)) + file.tell()
    if claimed != size:
        raise ValueError(f"its header claims {claimed:,} bytes, but {size:,} are there")
    file.seek(0)
    array: np.ndarray = npy.read_array(file, allow_pickle=False, max_header_size=LONGEST_HEADER)
    return array


def from_npz(path: str | PathLike[str], *, gamma: float = 1.0) -> dict[str, Any]:
    """Read the fields of an MDP from the arrays of a `.npz`.

    Args:
        path: the file. It holds `P`, `R` and whatever else `FiniteMDP.from_arrays` takes, or the
            fields of a `FiniteMDP` (`pair_offsets`, `successors` …), and the label NAME as an array
            `labels/NAME`, bool[S].
        gamma: γ, where the file has no `gamma`.

    Raises:
        MDPError: it cannot be read, an array is missing or unknown, or it is no MDP.
    """
    arrays: dict[str, Any] = {
        name: array.tolist() if array.dtype.kind == "U" else array
        for name, array in read_arrays(path).items()
    }
    given = as_numbers("gamma", arrays.pop("gamma", gamma), np.float64)
    if given.ndim:
        raise MDPError(f"{path} has {given.size} numbers for gamma; one is needed")
    sets = {name: arrays.pop(name) for name in [*arrays] if name.startswith(LABEL)}
    labels = {"start", "observations", "state_names", "action_names", "layout", "terminal"}
    if "P" in arrays:
        needed, known = {"P", "R"}, labels | {"P", "R", "available", "actions_first"}
    else:
        needed, known = {*KINDS}, {*KINDS} | labels
    if missing := sorted(needed - arrays.keys()):
        raise MDPError(
            f"{path} has no {', '.join(missing)}; an MDP is P [S, A, S'] and R, or the fields of a "
            "FiniteMDP"
        )
    if unknown := sorted(arrays.keys() - known):
        raise MDPError(
            f"{path} has an array {unknown[0]!r} that means nothing here; known are "
            f"{', '.join(sorted(known | {'gamma'}))} and {LABEL}NAME, bool[S], for labels"
        )
    labels_read = {name.removeprefix(LABEL): mask for name, mask in sets.items()}
    rest: dict[str, Any] = {"gamma": float(given), "labels": labels_read}
    if "P" in arrays:
        return from_arrays(arrays.pop("P"), arrays.pop("R"), **rest, **arrays)
    return rest | arrays
