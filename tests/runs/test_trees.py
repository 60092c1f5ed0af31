"""Trees as named arrays: what comes back is what went in, bit for bit and kind for kind."""

import tempfile

import equinox as eqx
import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logtrick.errors import CheckpointError, PrecisionError
from logtrick.runs.tree_files import load_tree, read_arrays, save_tree, write_arrays_atomic
from logtrick.runs.trees import DTYPES, NamedTree


def assert_same(found, expected):
    """Equal structure, and each leaf of the same kind, dtype, shape and bits."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert type(one) is type(other)
        if isinstance(other, jax.Array) and jnp.issubdtype(other.dtype, jax.dtypes.prng_key):
            assert str(jax.random.key_impl(one)) == str(jax.random.key_impl(other))
            one, other = jax.random.key_data(one), jax.random.key_data(other)
        one, other = np.asarray(one), np.asarray(other)
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        assert one.tobytes() == other.tobytes()


JAX_DTYPES = ["bool", "int32", "uint32", "float16", "float32", "bfloat16"]


def numpy_arrays(names):
    """Arrays of any bits: NaN payloads, infinities, negative zeros and subnormals included."""

    def from_bits(name, shape):
        dtype = np.dtype(name)
        raw = hnp.arrays(np.uint8, (int(np.prod(shape)) * dtype.itemsize,))
        if name == "bool":
            return raw.map(lambda bits: (bits % 2).view(bool).reshape(shape))
        return raw.map(lambda bits: bits.view(dtype).reshape(shape))

    shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
    return st.tuples(st.sampled_from(names), shapes).flatmap(lambda pair: from_bits(*pair))


def keys():
    def make(seed, impl, shape):
        key = jax.random.key(seed, impl=impl)
        return jax.random.split(key, shape) if shape else key

    shapes = st.sampled_from([(), (3,), (2, 2)])
    return st.builds(make, st.integers(0, 99), st.sampled_from(["threefry2x32", "rbg"]), shapes)


LEAVES = st.one_of(
    numpy_arrays(sorted(DTYPES.values())),
    numpy_arrays(JAX_DTYPES).map(jnp.array),
    numpy_arrays(["float32", "int64"]).filter(lambda a: a.size).map(lambda a: a.flat[0]),
    keys(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.none(),
)
NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs"]), min_size=1)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(NAMES, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=120, deadline=None)
@given(TREES)
def test_any_tree_comes_back_bit_for_bit(tree):
    with tempfile.TemporaryDirectory() as folder:
        save_tree(folder, tree, {})
        assert_same(load_tree(folder, tree)[0], tree)
        write_arrays_atomic(f"{folder}/one.safetensors", tree, {})
        assert_same(read_arrays(f"{folder}/one.safetensors", tree)[0], tree)


def model(width=8):
    return eqx.nn.MLP(3, 2, width, 2, activation=jax.nn.tanh, key=jax.random.key(0))


def test_an_equinox_module_keeps_its_functions_and_readable_names(tmp_path):
    tree = {"model": {"policy": model()}}
    named = NamedTree(tree)
    assert "model/policy/layers/0/weight" in named.specs
    save_tree(tmp_path, tree, {})
    like = {"model": {"policy": jax.tree.map(lambda x: x * 0 if eqx.is_array(x) else x, model())}}
    found, _ = load_tree(tmp_path, like)
    assert_same(eqx.filter(found, eqx.is_array), eqx.filter(tree, eqx.is_array))
    assert found["model"]["policy"].activation is model().activation


def test_the_template_may_be_shapes_alone(tmp_path):
    tree = {"w": jnp.arange(6.0).reshape(2, 3), "key": jax.random.split(jax.random.key(1), 4)}
    save_tree(tmp_path, tree, {})
    like = jax.eval_shape(
        lambda: {"w": jnp.zeros((2, 3)), "key": jax.random.split(jax.random.key(0), 4)}
    )
    assert_same(load_tree(tmp_path, like)[0], tree)


def test_a_snapshot_shares_no_memory_with_its_tree():
    host = np.zeros(4)
    device = jnp.zeros(4)
    taken = NamedTree({"host": host, "device": device}).snapshot()
    host += 1
    jax.jit(lambda x: x + 1, donate_argnums=0)(device)
    assert taken.arrays["host"].tolist() == taken.arrays["device"].tolist() == [0, 0, 0, 0]
    assert taken.arrays["device"].flags.owndata


def test_big_endian_and_strided_arrays_are_stored_by_value(tmp_path):
    tree = {"big": np.arange(4, dtype=">i4"), "strided": np.arange(12.0).reshape(3, 4).T}
    save_tree(tmp_path, tree, {})
    found, _ = load_tree(tmp_path, tree)
    assert found["big"].tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(found["strided"], tree["strided"])


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"name": "CartPole"}, "'name' is a str"),
        ({"z": np.zeros(2, np.complex64)}, "'z' has dtype complex64"),
        ({"z": np.array(["a"])}, "'z' has dtype <U1"),
        ({"z": np.array([object()])}, "'z' has dtype object"),
        ({"z": jnp.zeros(2, ml_dtypes.float8_e4m3fn)}, "'z' has dtype float8_e4m3fn"),
        ({"n": 2**63}, "'n' is 9223372036854775808, too large"),
        ({"a": {"b": 1}, "a/b": 2}, "The name 'a/b' is taken"),
        ({"\udc0f": 1}, "no valid Unicode"),
        ({"__metadata__": 1}, "The name '__metadata__' is taken"),
    ],
)
def test_a_leaf_that_cannot_be_stored_is_named(tree, words):
    with pytest.raises(CheckpointError, match=words.replace("[", r"\[")):
        NamedTree(tree)


def test_float64_arrays_are_not_rounded_on_loading(tmp_path):
    with jax.enable_x64(True):
        tree = {"v": jnp.array([0.1], "float64")}
        save_tree(tmp_path, tree, {})
        assert_same(load_tree(tmp_path, tree)[0], tree)
    with pytest.raises(PrecisionError, match=r"'v' is float64\[1\]; set jax_enable_x64"):
        load_tree(tmp_path, tree)


def test_a_committed_array_returns_to_its_device(tmp_path):
    device = jax.devices()[0]
    tree = {"here": jax.device_put(jnp.ones(2), device), "anywhere": jnp.ones(2)}
    save_tree(tmp_path, tree, {})
    found, _ = load_tree(tmp_path, tree)
    assert (found["here"].committed, found["anywhere"].committed) == (True, False)
