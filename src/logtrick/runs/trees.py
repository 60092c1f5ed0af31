"""Pytrees as named arrays on the host, and back.

A tree is taken apart into arrays under readable paths (`model/policy/layers/0/weight`) and put
together again from a template of the same structure. Functions among the leaves (an activation)
belong to the structure: they are not taken out, and come back from the template.
"""

import hashlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from logtrick.errors import CheckpointError, PrecisionError

DTYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}
"""What can be stored, under the names of the safetensors format. Complex numbers cannot."""

_NUMBERS: dict[type, str] = {bool: "bool", int: "int64", float: "float64"}


class ArraySpec(NamedTuple):
    """How a leaf is stored. A typed PRNG key is its key data and the name of its generator."""

    dtype: str
    shape: tuple[int, ...]
    key_impl: str | None = None

    def __str__(self) -> str:
        key = f" (a {self.key_impl} key)" if self.key_impl else ""
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]{key}"

    @property
    def nbytes(self) -> int:
        """The size of the array in bytes."""
        import ml_dtypes  # noqa: F401 (names bfloat16 to NumPy)

        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=object))


@dataclass(frozen=True)
class Snapshot:
    """Arrays on the host, by path. It shares no memory with the tree that it was taken of.

    A leaf that stands at several places of the tree is copied and hashed once.
    """

    arrays: dict[str, np.ndarray]
    specs: dict[str, ArraySpec]
    sums: dict[str, str]
    """The SHA-256 of each array's bytes, in hexadecimal."""

    def part(self, name: str) -> "Snapshot":
        """The snapshot of one branch: `part("a")` of `{"a": x, "b": y}` is that of x.

        Args:
            name: of a key of the tree, below which there are further names.
        """
        prefix = f"{name}/"

        def below(values: Mapping[str, Any]) -> dict[str, Any]:
            found = values.items()
            return {k.removeprefix(prefix): v for k, v in found if k.startswith(prefix)}

        return Snapshot(below(self.arrays), below(self.specs), below(self.sums))


class NamedTree:
    """A pytree whose arrays have names.

    Args:
        tree: JAX arrays, typed PRNG keys, NumPy arrays, ints, floats, bools and functions. For a
            template, `jax.ShapeDtypeStruct` does as well as an array.

    Raises:
        CheckpointError: A leaf that cannot be stored, or two leaves of one name.

    Example:
        >>> NamedTree({"layers": [np.zeros((2, 3))], "step": 7}).specs["layers/0"]
        ArraySpec(dtype='float64', shape=(2, 3), key_impl=None)
    """

    specs: dict[str, ArraySpec]

    def __init__(self, tree: Any) -> None:
        from jax.tree_util import keystr, tree_flatten_with_path

        paths, self._structure = tree_flatten_with_path(tree)
        self._leaves = [leaf for _, leaf in paths]
        self._names = [
            None if callable(leaf) else keystr(path, simple=True, separator="/") or "value"
            for path, leaf in paths
        ]
        self.specs = {}
        for name, leaf in zip(self._names, self._leaves, strict=True):
            if name is None:
                continue
            if any("\ud800" <= letter <= "\udfff" for letter in name):
                raise CheckpointError(f"The name {name!r} is no valid Unicode; rename this leaf.")
            if name in self.specs or name == "__metadata__":
                raise CheckpointError(f"The name {name!r} is taken; rename this leaf of the tree.")
            self.specs[name] = _spec(name, leaf)

    def snapshot(self) -> Snapshot:
        """Copy every array to the host, and hash it.

        Training may go on meanwhile, and donate its buffers.
        """
        import jax

        places = {n: leaf for n, leaf in zip(self._names, self._leaves, strict=True) if n}
        first = {id(leaf): name for name, leaf in reversed(places.items())}
        raw = {
            name: jax.random.key_data(places[name]) if self.specs[name].key_impl else places[name]
            for name in first.values()
        }
        # device_get starts all transfers before it waits for the first.
        host = {
            name: np.array(array, np.dtype(self.specs[name].dtype), order="C", copy=True)
            for name, array in jax.device_get(raw).items()
        }
        sums = {name: hashlib.sha256(array.tobytes()).hexdigest() for name, array in host.items()}
        at = {name: first[id(places[name])] for name in sorted(places)}
        return Snapshot(
            {name: host[place] for name, place in at.items()},
            self.specs,
            {name: sums[place] for name, place in at.items()},
        )

    def rebuild(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The tree with these arrays (which fit `specs`), each as the kind of leaf it was."""
        import jax

        leaves = [
            leaf if name is None else _restore(name, leaf, self.specs[name], arrays[name])
            for name, leaf in zip(self._names, self._leaves, strict=True)
        ]
        return jax.tree_util.tree_unflatten(self._structure, leaves)


def _spec(name: str, leaf: Any) -> ArraySpec:
    import jax
    import jax.numpy as jnp

    if type(leaf) in _NUMBERS:
        if isinstance(leaf, int) and not -(2**63) <= leaf < 2**63:
            raise CheckpointError(f"{name!r} is {leaf}, too large for a 64-bit integer.")
        return ArraySpec(_NUMBERS[type(leaf)], ())
    if not isinstance(leaf, np.ndarray | np.generic | jax.Array | jax.ShapeDtypeStruct):
        raise CheckpointError(f"{name!r} is a {type(leaf).__name__}, which is no array or number.")
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return _key_spec(leaf)
    if leaf.dtype.name not in DTYPES.values():
        raise CheckpointError(f"{name!r} has dtype {leaf.dtype}, which cannot be stored.")
    return ArraySpec(leaf.dtype.name, tuple(leaf.shape))


def _key_spec(key: Any) -> ArraySpec:
    import jax

    impls: list[str] = []
    # key_impl reads arrays and tracers, but no ShapeDtypeStruct: hence under eval_shape.
    jax.eval_shape(lambda traced: impls.append(str(jax.random.key_impl(traced))), key)
    data = jax.eval_shape(jax.random.key_data, key)
    return ArraySpec(data.dtype.name, tuple(data.shape), impls[0])


def _restore(name: str, like: Any, spec: ArraySpec, array: np.ndarray) -> Any:
    """The stored array as the kind of leaf that `like` is."""
    import jax
    import jax.numpy as jnp

    if type(like) in _NUMBERS:
        return array.item()
    if isinstance(like, np.generic):
        return array[()]
    if isinstance(like, np.ndarray):
        return array.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that 64 bits are cut to 32, which is an error here
        value = jnp.array(array)
    if value.dtype != array.dtype:
        raise PrecisionError(f"{name!r} is {spec}; set jax_enable_x64 to load it.")
    if spec.key_impl:
        value = jax.random.wrap_key_data(value, impl=spec.key_impl)
    if isinstance(like, jax.Array) and like.committed:
        return jax.device_put(value, like.sharding)
    return value
