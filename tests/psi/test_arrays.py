"""JAX, NumPy and torch arrays: the same kind and dtype comes back, and bad input is named."""

import subprocess
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from test_traces import ARGUMENTS, SETTINGS, arguments, compute, fragment

from logtrick import psi
from logtrick.errors import ConfigError, NonFiniteError, ShapeError


@pytest.fixture(scope="module")
def torch():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own import
        return pytest.importorskip("torch", reason="torch is an extra")


def as_jax(rows, dtype=jnp.float32):
    return {k: jnp.asarray(v, dtype if v.dtype == float else None) for k, v in rows.items()}


def as_torch(torch, rows):
    return {k: torch.from_numpy(v.copy()) for k, v in rows.items()}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_numpy_float64_stays_although_jax_has_float32(name):
    assert not jax.config.jax_enable_x64
    got = compute(name, fragment(0, (3, 5)))
    assert type(got) is np.ndarray
    assert got.dtype == np.float64
    assert got.flags.writeable
    assert got.flags.owndata


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_numpy_dtypes_stay(name, dtype):
    rows = fragment(1, (5,))
    low = {k: v.astype(dtype) if v.dtype == float else v for k, v in rows.items()}
    got = compute(name, low)
    assert got.dtype == dtype
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(got, compute(name, rows), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_jax_arrays_come_back_and_agree(name):
    rows = fragment(2, (2, 7))
    got = compute(name, as_jax(rows))
    assert isinstance(got, jax.Array)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, compute(name, rows), rtol=2e-5, atol=2e-6)
    with jax.enable_x64(True):
        double = compute(name, as_jax(rows, jnp.float64))
        assert double.dtype == jnp.float64
        np.testing.assert_allclose(double, compute(name, rows), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_jax_half_precision_stays(dtype):
    rows = as_jax(fragment(3, (6,)), dtype)
    for name in ARGUMENTS:
        assert compute(name, rows).dtype == dtype


@pytest.mark.parametrize("name", ARGUMENTS)
def test_under_jit_vmap_and_grad(name):
    rows = as_jax(fragment(4, (3, 6)))
    eager = compute(name, rows)
    # The fused code may round a multiply-add once where the eager code rounds twice.
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(jax.jit(lambda rows: compute(name, rows))(rows), eager, **close)
    np.testing.assert_allclose(jax.vmap(lambda rows: compute(name, rows))(rows), eager, **close)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_derivatives_are_those_of_finite_differences(name):
    rows = fragment(5, (5,), ends=0.2)
    with jax.enable_x64(True):
        exact = as_jax(rows, jnp.float64)
        chosen = {k: exact[k] for k in ARGUMENTS[name].split() if exact[k].dtype == jnp.float64}

        @jax.jit
        def result(some, gamma):
            return compute(name, {**exact, **some}, gamma)

        check_grads(result, (chosen, 0.9), order=1, modes=["rev"], rtol=1e-6, atol=1e-6)


def test_lambda_and_gamma_may_be_batched():
    rows = as_jax(fragment(6, (6,)))
    lambdas = jnp.asarray([0.0, 0.5, 1.0])
    batched = jax.vmap(lambda lambda_: compute("gae", rows, lambda_=lambda_))(lambdas)
    for row, lambda_ in zip(batched, lambdas, strict=True):
        np.testing.assert_allclose(row, compute("gae", rows, lambda_=float(lambda_)), rtol=1e-5)
    alone = compute("gae", rows, lambda_=jnp.float32(0.5))
    np.testing.assert_allclose(alone, batched[1], rtol=1e-5)


def test_traced_code_is_the_plain_recursion():
    rows = as_jax(fragment(7, (4, 8)))

    def plain(rows):
        return compute("gae", rows)

    names = [str(equation.primitive) for equation in jax.make_jaxpr(plain)(rows).eqns]
    assert names.count("scan") == 1
    assert not {"convert_element_type", "pure_callback", "io_callback"} & set(names)


def test_numpy_inside_a_jax_trace_is_a_constant():
    rows = fragment(8, (5,))

    @jax.jit
    def traced():
        return jnp.asarray(compute("gae", rows), jnp.float32)

    np.testing.assert_allclose(traced(), compute("gae", rows), rtol=1e-6)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_torch_comes_back_detached_and_agrees(torch, name):
    rows = fragment(9, (2, 5))
    tensors = as_torch(torch, rows)
    tensors["rewards"].requires_grad_(True)
    got = compute(name, tensors)
    assert isinstance(got, torch.Tensor)
    assert got.dtype == torch.float64
    assert not got.requires_grad
    np.testing.assert_array_equal(got.numpy(), compute(name, rows))


def test_torch_dtypes_stay(torch):
    rows = as_torch(torch, fragment(10, (5,)))
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        low = {k: v.to(dtype) if v.dtype == torch.float64 else v for k, v in rows.items()}
        for name in ARGUMENTS:
            assert compute(name, low).dtype == dtype
    whole = psi.reward_to_go(
        torch.tensor([1, 2]), torch.tensor([0, 1]), torch.tensor([0, 0]), gamma=1
    )
    assert whole.dtype == torch.get_default_dtype()
    assert whole.tolist() == [3.0, 2.0]


def test_strided_read_only_and_byte_swapped_arrays(torch):
    rows = fragment(11, (4, 6))
    expected = compute("gae", rows)
    strided = {k: np.repeat(np.swapaxes(v, 0, 1), 2, axis=0)[::2].T for k, v in rows.items()}
    reversed_twice = {k: v[..., ::-1].copy()[..., ::-1] for k, v in rows.items()}
    swapped = {k: v.astype(v.dtype.newbyteorder(">")) for k, v in rows.items()}
    for v in rows.values():
        v.setflags(write=False)
    for variant in (strided, reversed_twice, swapped, rows):
        np.testing.assert_array_equal(compute("gae", variant), expected)
    tensors = {k: torch.from_numpy(v.T.copy()).T for k, v in rows.items()}
    np.testing.assert_array_equal(compute("gae", tensors).numpy(), expected)


def test_inputs_are_never_changed():
    rows = fragment(12, (3, 5))
    before = {k: v.copy() for k, v in rows.items()}
    for name in ARGUMENTS:
        compute(name, rows)
    for key, array in rows.items():
        np.testing.assert_array_equal(array, before[key])


@pytest.mark.parametrize("convert", [np.int8, np.uint8, int, np.float32, np.float64])
def test_flags_may_be_zero_and_one(convert):
    rows = fragment(13, (7,))
    numbers = {k: v.astype(convert) if v.dtype == bool else v for k, v in rows.items()}
    np.testing.assert_array_equal(compute("gae", numbers), compute("gae", rows))
    on_jax = as_jax(numbers)
    np.testing.assert_allclose(compute("gae", on_jax), compute("gae", rows), rtol=1e-5)


def test_integer_rewards_take_the_dtype_of_the_values():
    rows = fragment(14, (5,))
    low = {k: v.astype(np.float32) if v.dtype == float else v for k, v in rows.items()}
    low["rewards"] = np.array([1, 0, 2, 1, 1])
    assert compute("gae", low).dtype == np.float32
    never = np.zeros(2, int)
    assert psi.reward_to_go([1, 2], never, never, gamma=1).dtype == np.float64
    on_jax = psi.reward_to_go(jnp.array([1, 2]), jnp.array(never), jnp.array(never), gamma=1)
    assert on_jax.dtype == jnp.float32


def test_nan_is_passed_through():
    rows = fragment(15, (6,), ends=0.0)
    rows["rewards"][3] = np.nan
    got = compute("gae", rows)
    assert np.isnan(got[:4]).all()
    assert np.isfinite(got[4:]).all()


@pytest.mark.parametrize("name", ARGUMENTS)
@pytest.mark.parametrize("convert", [as_jax, dict])
def test_finite_rows_that_overflow_are_an_error(name, convert):
    """Two rows; the second alone is too large, whatever NaN the first may hold."""
    rows = fragment(16, (2, 6), ends=0.0)
    largest = np.finfo(np.float32 if convert is as_jax else np.float64).max
    for key in ("rewards", "next_values"):
        rows[key][1] = 0.9 * largest
    rows["rewards"][0, 2] = np.nan
    with pytest.raises(NonFiniteError, match=rf"{name} at \(1, \d\) is inf, although .*finite"):
        compute(name, convert(rows), gamma=1.0)
    rows["rewards"][1, 0] = -np.inf
    compute(name, convert(rows), gamma=1.0)  # what is not finite may go on


def test_under_a_transform_an_overflow_stays_infinite():
    rows = as_jax(fragment(16, (6,), ends=0.0))
    rows["rewards"] = rows["rewards"] * 0 + 3e38
    assert jnp.isinf(jax.jit(lambda rows: compute("gae", rows))(rows)[0])


def test_gae_of_numpy_imports_no_torch():
    code = (
        "import sys; from logtrick import psi; psi.reward_to_go([1.0], [0], [0], gamma=1);"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


WRONG_ROWS = [
    ("values", np.zeros(4), ShapeError, r"values has shape \(4,\), but rewards has \(5,\)"),
    ("values", np.zeros((1, 5)), ShapeError, r"values has shape \(1, 5\)"),
    ("values", np.zeros(6), ShapeError, r"T\+1 entries: give V\(s_t\) as values\[\.\.\., :-1\]"),
    ("values", jnp.zeros(5), ShapeError, "rewards is numpy, values is jax"),
    ("values", np.zeros(5, complex), ShapeError, "values has dtype complex128"),
    ("values", np.array(["a"] * 5), ShapeError, "values has dtype <U1"),
    ("values", [[1.0], [1.0, 2.0]], ShapeError, "values is not a rectangular array"),
    ("values", "abcde", ShapeError, "values is a str"),
    ("values", np.ma.masked_equal(np.zeros(5), 0), ShapeError, "values is a masked array"),
    ("values", np.zeros(5, np.longdouble), ShapeError, "convert it to float64"),
    ("rewards", np.float64(1.0), ShapeError, "rewards is a scalar"),
    ("terminated", np.full(5, 2), ShapeError, r"terminated at \(0,\) is 2"),
    ("truncated", np.full(5, np.nan), ShapeError, r"truncated at \(0,\) is nan"),
]


@pytest.mark.parametrize(("argument", "value", "error", "message"), WRONG_ROWS)
def test_a_wrong_array_is_named(argument, value, error, message):
    with pytest.raises(error, match=message):
        compute("gae", {**fragment(17, (5,)), argument: value})


def test_no_rows_at_all():
    rows = {k: v[:0] for k, v in fragment(18, (5,)).items()}
    with pytest.raises(ShapeError, match=r"rewards has shape \(0,\): there is nothing to compute"):
        compute("gae", rows)


def test_wrong_arrays_are_named_under_jit_too():
    rows = as_jax(fragment(19, (5,)))
    with pytest.raises(ShapeError, match="values has shape"):
        jax.jit(lambda rows: compute("gae", {**rows, "values": jnp.zeros(6)}))(rows)
    with pytest.raises(ShapeError, match=r"terminated at \(0,\) is 3"):
        compute("gae", {**rows, "terminated": jnp.full(5, 3)})


@pytest.mark.parametrize("setting", ["gamma", "lambda_"])
@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, "high", [0.5, 0.5]])
def test_a_wrong_setting_is_named(setting, value):
    with pytest.raises(ConfigError, match=rf"{setting} .*\[0, 1\]"):
        compute("gae", fragment(20, (5,)), **{setting: value})


@pytest.mark.parametrize("n", [0, -1, 1.5, "two"])
def test_a_wrong_number_of_steps(n):
    with pytest.raises(ConfigError, match=r"n = .*; it must be one integer in \[1, inf\]"):
        compute("n_step", fragment(21, (5,)), n=n)


def test_a_negative_ratio_is_named():
    rows = fragment(22, (5,))
    rows["ratios"][3] = -0.5
    with pytest.raises(ConfigError, match=r"ratios at \(3,\) is -0.5"):
        compute("vtrace", rows)


def test_every_setting_can_be_left_to_the_signature():
    assert set(SETTINGS) < set(ARGUMENTS)
    with pytest.raises(TypeError, match="gamma"):
        psi.gae(*arguments("gae", fragment(23, (5,))), lambda_=0.9)


def test_traced_floats_are_no_flags():
    """Inside jit nothing can be looked at, so arguments in the wrong order would go unnoticed."""
    x = jnp.zeros(3)
    wrong = jax.jit(lambda values: psi.reward_to_go(x, values, x > 0, gamma=0.9))
    with pytest.raises(ShapeError, match="terminated is float32 where it cannot be looked at"):
        wrong(x)
    right = jax.jit(lambda flags: psi.reward_to_go(x, flags.astype(bool), x > 0, gamma=0.9))
    assert right(x).shape == (3,)
