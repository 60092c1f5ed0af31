"""Group rules: ψ of each of G sequences that answer one prompt, and the weights of their sums.

Arrays are [..., G], the group last. `returns` are R_i, one number a sequence. The estimate is
Σ_i w_i ψ_i Σ_t ∇log π(a_{i,t}|s_{i,t}); the ψ rules and the weights w_i are chosen apart, and their
claimed means below suppose w_i = 1/G unless they say otherwise. One return that is NaN or infinite
makes the ψ of its whole group NaN.
"""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from logtrick.errors import ShapeError
from logtrick.psi.backends import array_function
from logtrick.psi.deviations import deviations
from logtrick.psi.returns import Scalar


@array_function("G")
def rloo(returns: Float[Array, "*batch G"]) -> Float[Array, "*batch G"]:
    """Leave one out, ψ_i = R_i − mean_{j≠i} R_j. Unbiased for ∇J.

    Args:
        returns: R_i, [..., G], G ≥ 2.

    Returns:
        ψ_i, [..., G], of the kind and dtype of `returns`.

    Raises:
        ShapeError: groups of one, or an empty array.

    Example:
        >>> rloo([1.0, 0.0, 0.0, 0.0]).round(4)
        array([ 1.    , -0.3333, -0.3333, -0.3333])

    Source:
        Kool et al., Buy 4 REINFORCE samples, get a baseline for free! (2019); Ahmadian et al., Back
        to basics, arXiv 2402.14740.
    """
    size = _group_size(returns, 2, "the others' mean is the baseline")
    return _centred(returns) * (size / (size - 1))


@array_function("G", static=("ddof",))
def grpo(
    returns: Float[Array, "*batch G"], *, ddof: int = 1, epsilon: Scalar = 1e-4
) -> Float[Array, "*batch G"]:
    """Group relative, ψ_i = (R_i − mean R)/(std R + ε).

    Not unbiased for a multiple of ∇J. With binary rewards it reweights prompts and is still a
    gradient; with others it is in general the gradient of no function. Libraries differ: ε is 1e-4
    in TRL, 1e-6 in verl, 1e-9 in OpenRLHF, all with ddof = 1. Without the std it is `dr_grpo`.

    Args:
        returns: R_i, [..., G], G ≥ 2.
        ddof: the std divides by G − ddof.
        epsilon: ε ≥ 0; a group whose rewards all agree has ψ = 0, even at ε = 0.

    Returns:
        ψ_i, [..., G], of the kind and dtype of `returns`.

    Raises:
        ShapeError: groups of one, or an empty array.
        ConfigError: ddof is not 0 or 1, or ε is negative.

    Example:
        >>> grpo([1.0, 0.0, 0.0, 1.0], ddof=0, epsilon=0.0)
        array([ 1., -1., -1.,  1.])

    Source:
        Shao et al., DeepSeekMath, arXiv 2402.03300, sec. 4.1.2.
    """
    _group_size(returns, 2, "R minus its own mean is 0")
    return _standardised(returns, None, ddof, epsilon)


@array_function("G")
def dr_grpo(returns: Float[Array, "*batch G"]) -> Float[Array, "*batch G"]:
    """GRPO without the std, ψ_i = R_i − mean R. Its mean is exactly (G−1)/G · ∇J.

    Meant for the weights 1/(G L_max), `constant_length_weights`, which scale it once more.

    Args:
        returns: R_i, [..., G], G ≥ 2.

    Returns:
        ψ_i, [..., G], of the kind and dtype of `returns`.

    Raises:
        ShapeError: groups of one, or an empty array.

    Example:
        >>> dr_grpo([1.0, 0.0, 0.0, 0.0])
        array([ 0.75, -0.25, -0.25, -0.25])

    Source:
        Liu et al., Understanding R1-Zero-like training, arXiv 2503.20783, sec. 3.2.
    """
    _group_size(returns, 2, "R minus its own mean is 0")
    return _centred(returns)


@array_function("G")
def remax(
    returns: Float[Array, "*batch G"], greedy_returns: Float[Array, "*batch G"]
) -> Float[Array, "*batch G"]:
    """ψ_i = R_i − R(greedy), the return of the most likely sequence as baseline. Unbiased for ∇J.

    Args:
        returns: R_i, [..., G].
        greedy_returns: the return of the greedy sequence of the same prompt, repeated along G.

    Returns:
        ψ_i, [..., G], of the kind and dtype of `returns`.

    Raises:
        ShapeError: the arrays differ in shape or kind, or are empty.

    Example:
        >>> remax([1.0, 0.0], [0.5, 0.5])
        array([ 0.5, -0.5])

    Source:
        Li et al., ReMax, arXiv 2310.10505.
    """
    return _nan_with_group(returns - greedy_returns, returns, greedy_returns)


@array_function("G")
def opo(
    returns: Float[Array, "*batch G"], lengths: Float[Array, "*batch G"]
) -> Float[Array, "*batch G"]:
    """ψ_i = R_i − Σ_j L_j R_j / Σ_j L_j: the length stands in for the squared score of b*.

    Biased at finite G, since R_i is in its own baseline; unbiased for ∇J as G → ∞.

    Args:
        returns: R_i, [..., G], G ≥ 2.
        lengths: L_i, at least 1.

    Returns:
        ψ_i, [..., G], of the kind and dtype of `returns`.

    Raises:
        ShapeError: groups of one, or the arrays differ in shape or kind, or are empty.
        ConfigError: a length is less than 1.

    Example:
        >>> opo([1.0, 0.0], [1.0, 3.0])
        array([ 0.75, -0.25])

    Source:
        Hao et al., On-policy RL with optimal reward baseline, arXiv 2505.23585.
    """
    _group_size(returns, 2, "R minus its own mean is 0")
    return _centred(returns, lengths)


@array_function("N", static=("ddof",))
def whiten(
    psi: Float[Array, "*batch N"],
    valid: Bool[Array, "*batch N"] | None = None,
    *,
    ddof: int = 0,
    epsilon: Scalar = 1e-8,
) -> Float[Array, "*batch N"]:
    """(ψ − mean ψ)/(std ψ + ε) over all N tokens or steps of a batch, as REINFORCE++ and PPO do.

    The mean and the std depend on the batch and on each ψ in it, so a finite batch is biased. As N
    grows the mean is a constant baseline, and the estimate is parallel to that of ψ, at a scale
    1/std that changes with θ.

    Args:
        psi: ψ of every token of the batch, flattened to [..., N].
        valid: False where there is no token; those return 0. None is all True.
        ddof: the variance divides by the number of valid entries minus ddof.
        epsilon: ε ≥ 0; where all ψ agree the result is 0, even at ε = 0.

    Returns:
        [..., N], of the kind and dtype of `psi`.

    Raises:
        ShapeError: N is not more than ddof, or the arrays differ in shape or kind.
        ConfigError: ddof is not 0 or 1, or ε is negative.

    Example:
        >>> whiten([1.0, 3.0, 77.0], [1, 1, 0], epsilon=0.0)
        array([-1.,  1.,  0.])

    Source:
        Hu et al., REINFORCE++, arXiv 2501.03262.
    """
    _group_size(psi, ddof + 1, f"the std has {ddof} degrees of freedom less")
    return _standardised(psi, valid, ddof, epsilon)


@array_function("G")
def informative(returns: Float[Array, "*batch G"]) -> Float[Array, "*batch"]:
    """1 where the rewards of a group differ, else 0: the groups that DAPO's dynamic sampling keeps.

    The mean over the groups that are kept is that over all groups divided by P, the chance over all
    prompts that a group is not unanimous: the same direction, at a scale that changes with θ.

    Args:
        returns: R_i, [..., G].

    Returns:
        [...], of the kind and dtype of `returns`.

    Raises:
        ShapeError: an empty array.

    Example:
        >>> informative([[1.0, 1.0], [1.0, 0.0]])
        array([0., 1.])

    Source:
        Yu et al., DAPO, arXiv 2503.14476, sec. 3.2.
    """
    differ = jnp.any(returns != returns[..., :1], axis=-1).astype(returns.dtype)
    return _nan_with_group(differ[..., None], returns)[..., 0]


def _group_size(array: Float[Array, "*batch G"], least: int, why: str) -> int:
    """The last axis, when it is long enough."""
    size = array.shape[-1]
    if size < least:
        raise ShapeError(f"shape {array.shape}: at least {least} entries are needed, since {why}")
    return size


def _centred(
    values: Float[Array, "*batch G"], weights: Float[Array, "*batch G"] | None = None
) -> Float[Array, "*batch G"]:
    """Values minus their mean, weighted if there are weights."""
    found = deviations(_single(values), weights=weights)
    return (found.scaled * found.scale).astype(values.dtype)


def _standardised(
    values: Float[Array, "*batch N"],
    valid: Bool[Array, "*batch N"] | None,
    ddof: int,
    epsilon: Scalar,
) -> Float[Array, "*batch N"]:
    """(x − mean)/(std + ε), and 0 where the std is 0 (with a finite derivative there)."""
    found = deviations(_single(values), valid)
    variance = found.variance(ddof=ddof)
    agree = variance == 0  # not with NaN, which goes on into the result
    std = jnp.sqrt(jnp.where(agree, 1, variance)) + epsilon / found.scale
    return jnp.where(agree, 0, found.scaled / std).astype(values.dtype)


def _single(values: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
    """At least float32: in half precision sums lose what is wanted of them."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def _nan_with_group(
    psi: Float[Array, "*batch G"], *given: Float[Array, "*batch N"]
) -> Float[Array, "*batch G"]:
    """NaN for a whole group in which anything is NaN or infinite."""
    finite = jnp.ones((*psi.shape[:-1], 1), bool)
    for array in given:
        finite = finite & jnp.all(jnp.isfinite(array), axis=-1, keepdims=True)
    return jnp.where(finite, psi, jnp.nan)
