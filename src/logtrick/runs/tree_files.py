"""Any JAX pytree as data-only files that verify themselves.

A tree is kept in a folder of two files. `arrays.safetensors` holds every array under its path in
the tree; `manifest.json` holds dtype, shape and SHA-256 of each, the SHA-256 of the file, who wrote
it, the caller's metadata, and a SHA-256 of itself. So a changed bit anywhere is found, which the
safetensors format alone does not do.

The structure comes from the caller (`like`), never from the file: a file can name no code, no path
and no size that the caller did not expect. Verification guards against damage, not against
forgery: whoever can write the files can write their sums.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from logtrick.errors import CheckpointError, RunError
from logtrick.runs.trees import DTYPES, ArraySpec, NamedTree, Snapshot
from logtrick.support.files import one_line_cause, to_json, write_bytes_atomic
from logtrick.support.safe_paths import Place, file_of

FORMAT = 1
ARRAYS, MANIFEST = "arrays.safetensors", "manifest.json"
_MANIFEST_LIMIT = 4 * 2**20


def provenance() -> dict[str, Any]:
    """Versions, device kind and device count: equal facts resume bit for bit, others may not."""
    import jax
    import jax.numpy as jnp

    import logtrick
    from logtrick.support.dispatch import run_where_called

    run_where_called()
    device = jax.devices()[0]  # JAX begins here
    return {
        "logtrick": logtrick.__version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "platform": device.platform,
        "device_kind": device.device_kind,
        "device_count": jax.device_count(),
        "x64": jnp.result_type(float) == np.float64,
    }


def changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs between two results of `provenance`, in words.

    Example:
        >>> changed({"jax": "0.10.2", "python": "3.11"}, {"jax": "0.11.0", "python": "3.11"})
        'jax 0.10.2 → 0.11.0'
    """
    return ", ".join(f"{k} {then.get(k)} → {now[k]}" for k in now if now[k] != then.get(k))


def save_tree(folder: Place, tree: Any, metadata: Mapping[str, Any]) -> None:
    """Write a tree into a folder as `arrays.safetensors` and `manifest.json`, fsynced.

    Args:
        folder: A folder without these two files; it is made if it is not there. Whether the whole
            folder appears at once is the caller's concern: see `CheckpointFolder`.
        tree: What `trees.NamedTree` takes, or a `Snapshot` of it.
        metadata: Anything that JSON can say. `provenance()` is added under "made_by".

    Raises:
        CheckpointError: A leaf or the metadata cannot be stored.
        RunError: The disk is full, or the folder cannot be written.
    """
    from safetensors.numpy import save

    taken = tree if isinstance(tree, Snapshot) else NamedTree(tree).snapshot()
    data = save(taken.arrays)
    manifest = _manifest(taken, metadata, {"bytes": len(data), "sha256": _sha256(data)})
    inside = file_of(folder)
    with one_line_cause(f"Could not write a checkpoint in {inside}"):
        inside.make_folder()
        (inside / ARRAYS).create(data)
        (inside / MANIFEST).create(manifest)
        inside.sync()


class FromMetadata(NamedTuple):
    """A template that is made once the metadata are known: for arrays of no fixed length."""

    build: Callable[[dict[str, Any]], Any]
    """(the caller's metadata) -> like."""


def load_tree(folder: Place, like: Any) -> tuple[Any, dict[str, Any]]:
    """Read a tree that `save_tree` wrote, once everything about it has been verified.

    Args:
        folder: The checkpoint's folder.
        like: A tree of the same structure. Its leaves give name, shape, dtype and kind (a JAX
            array, a NumPy array, a number) and are not read; functions are taken from it. Or a
            `FromMetadata` that makes such a tree.

    Returns:
        The tree, and the metadata with "made_by".

    Raises:
        CheckpointError: Something is missing, damaged, or does not fit `like`: the array is named,
            with what was found and what was expected.
        PrecisionError: It holds 64-bit JAX arrays, and jax_enable_x64 is off.
    """
    inside = file_of(folder)
    if not inside.is_folder():
        raise CheckpointError(f"{inside} is not a folder.")
    path = inside / MANIFEST
    manifest = _parse_manifest(path, path.read(_MANIFEST_LIMIT))
    if isinstance(like, FromMetadata):
        like = _built(path, like, manifest["metadata"])
    template = NamedTree(like)
    _check_fit(path, manifest["arrays"], template.specs)
    path = inside / ARRAYS
    data = path.read(_size_limit(template.specs))
    if manifest["file"] != {"bytes": len(data), "sha256": _sha256(data)}:
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one in {MANIFEST}.")
    return template.rebuild(_unpack(path, data, manifest["arrays"])), manifest["metadata"]


def _built(path: Place, like: FromMetadata, metadata: dict[str, Any]) -> Any:
    try:
        return like.build(metadata)
    except (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError) as e:
        raise CheckpointError(f"{path} is damaged: its metadata describe no state: {e}.") from e


def write_arrays_atomic(path: Place, tree: Any, metadata: Mapping[str, Any]) -> None:
    """Write a tree as one safetensors file that carries its own manifest, atomically.

    For a tree that is replaced in place (`policy.safetensors`): after a crash the old or the new
    file is there, and `read_arrays` verifies it. Arguments and errors are those of `save_tree`.
    """
    from safetensors.numpy import save

    taken = tree if isinstance(tree, Snapshot) else NamedTree(tree).snapshot()
    manifest = _manifest(taken, metadata, None).decode()
    write_bytes_atomic(path, save(taken.arrays, {"manifest": manifest}))


def read_arrays(path: Place, like: Any) -> tuple[Any, dict[str, Any]]:
    """Read a tree that `write_arrays_atomic` wrote; the rest is as for `load_tree`."""
    template = NamedTree(like)
    data = file_of(path).read(_size_limit(template.specs) + 2 * _MANIFEST_LIMIT)
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")].decode())
        text = header["__metadata__"]["manifest"].encode()
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: it is cut short, or not logtrick's.") from error
    manifest = _parse_manifest(path, text)
    _check_fit(path, manifest["arrays"], template.specs)
    return template.rebuild(_unpack(path, data, manifest["arrays"])), manifest["metadata"]


# --- the manifest -----------------------------------------------------------------------------


def _sha256(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


def _manifest(taken: Snapshot, metadata: Mapping[str, Any], file: dict[str, Any] | None) -> bytes:
    arrays = {
        name: {**taken.specs[name]._asdict(), "sha256": taken.sums[name]} for name in taken.arrays
    }
    metadata = {**metadata, "made_by": provenance()}
    body = {"format": FORMAT, "metadata": metadata, "file": file, "arrays": arrays}
    data = to_json({**body, "sha256": _sha256(to_json(body))}, indent=1)
    if len(data) > _MANIFEST_LIMIT:
        raise CheckpointError(
            f"The metadata make a manifest of {len(data):,} bytes, more than {_MANIFEST_LIMIT:,}; "
            f"put what is large into the tree, as arrays."
        )
    _parse_manifest("The manifest that was to be saved", data)  # equal keys (1 and "1") clash
    return data


def _parse_manifest(path: Place, data: bytes) -> dict[str, Any]:
    """The manifest, if it is one, of this format, and agrees with its own SHA-256."""
    try:
        manifest = json.loads(data.decode())  # from bytes, loads would guess an encoding
        stated, found = manifest.pop("sha256"), manifest["format"]
        intact = stated == _sha256(to_json(manifest))
        dictionaries = all(isinstance(manifest[key], dict) for key in ("arrays", "metadata"))
        complete = dictionaries and "file" in manifest
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError, RunError) as error:
        raise CheckpointError(f"{path} is damaged: it is no manifest.") from error
    if found != FORMAT:
        raise CheckpointError(f"{path} has format {found!r:.40}; this version reads {FORMAT}.")
    if not (intact and complete):
        raise CheckpointError(f"{path} is damaged: its SHA-256 is not the one that it states.")
    return manifest


def _check_fit(path: Place, entries: dict[str, Any], specs: dict[str, ArraySpec]) -> None:
    """The arrays that the manifest lists are those of the caller's tree."""
    for name, expected in specs.items():
        if name not in entries:
            raise CheckpointError(f"{path} holds no array {name!r}; expected {expected}.")
        try:
            entry = entries[name]
            found = ArraySpec(entry["dtype"], tuple(entry["shape"]), entry["key_impl"])
            entry["sha256"]
        except (KeyError, TypeError) as error:
            raise CheckpointError(f"{path} is damaged: it does not describe {name!r}.") from error
        if found != expected:
            raise CheckpointError(f"{path}: {name!r} is {found!s:.99}; expected {expected}.")
    for name in sorted(entries.keys() - specs.keys()):
        raise CheckpointError(f"{path} holds an array {name!r:.99} that nothing here asks for.")


def _size_limit(specs: dict[str, ArraySpec]) -> int:
    """The largest file that these arrays can make, its header included."""
    # JSON writes a character of a name in 12 bytes at most, and the rest of an entry in 256.
    return 4096 + sum(spec.nbytes + 12 * len(name) + 256 for name, spec in specs.items())


def _unpack(path: Place, data: bytes, entries: dict[str, Any]) -> dict[str, np.ndarray]:
    """The file's arrays, if they are the manifest's, each with its SHA-256."""
    from safetensors import SafetensorError, deserialize

    try:
        found = dict(deserialize(data))
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {error}.") from error
    if found.keys() != entries.keys():
        raise CheckpointError(f"{path} is damaged: its arrays are not those of the manifest.")
    arrays = {}
    for name, tensor in found.items():
        dtype, shape, raw = DTYPES.get(tensor["dtype"]), tensor["shape"], tensor["data"]
        entry = entries[name]
        if (dtype, shape, _sha256(raw)) != (entry["dtype"], entry["shape"], entry["sha256"]):
            raise CheckpointError(f"{path} is damaged: {name!r} is not the array that was saved.")
        arrays[name] = np.frombuffer(raw, np.dtype(dtype)).reshape(shape)
    return arrays
