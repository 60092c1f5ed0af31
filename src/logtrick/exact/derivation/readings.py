"""The lines D1–D7 under the three readings."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from logtrick.exact.derivation.calculus import Calculus
from logtrick.exact.derivation.identities import all_five
from logtrick.exact.derivation.results import (
    Derivation,
    Line,
    angle,
    degrees,
    relative,
    share,
)


def start(of: Calculus) -> Derivation:
    """W = ρ, from D4 on η_γ; ψ = Q_π."""
    q, visits = of.at(of.action_values), of.at(of.visits)
    normaliser = float(visits.sum())

    def unfolded(theta: Array) -> Array:
        return of.start @ (of.probabilities(theta) * of.action_values(theta)).sum(axis=1)

    truth, size = of.gradient(of.objective), of.size(visits, q)
    frozen = of.all_action(of.start, q)
    lost = relative(frozen, truth, size)
    total = "Σ η" if of.gamma == 1 else "Σ η_γ"
    lines = [
        ("D1", "∇ Σ ρ V", truth, 1.0, ""),
        ("D2", "Σ ρ ∇V", of.pull(of.values, of.start), 1.0, "ρ has no θ"),
        ("D3", "Σ ρ ∇(Σ π Q)", of.gradient(unfolded), 1.0, "V = Σ π Q"),
        (
            "D4",
            "Σ η Σ Q ∇π",
            of.all_action(visits, q),
            1.0,
            f"unrolling ∇V turns ρ into η (Q frozen on ρ: {share(lost)} off)",
        ),
        ("D5", "Σ η Σ π Q ∇log π", of.score(visits, q), 1.0, "∇π = π ∇log π"),
        (
            "D6",
            "E[Q ∇log π], s ~ d, a ~ π",
            of.score(visits / normaliser, q),
            1 / normaliser,
            f"d = η / {normaliser:.6g}",
        ),
        (
            "D7",
            "E[Σ γ^t Q ∇log π]",
            of.score(of.unrolled(of.start, of.gamma), q),
            normaliser,
            f"over time, times {total} = {normaliser:.6g}",
        ),
    ]
    return Derivation(
        "start",
        of.gamma,
        truth,
        _lines(lines, truth, (size, size)),
        tuple(all_five(of, of.visits)),
        normaliser,
        0.0,
        (
            "Nothing is dropped. D1 to D3 weigh states by ρ, which has no θ, and not by d_π as it "
            "is printed; D4 is exact only because unrolling ∇V turns ρ into the visits η (with Q "
            f"frozen on ρ it would be {share(lost)} off). The change in visits that the weight "
            "seems to leave out sits inside Q, beyond the immediate reward (I2)."
        ),
    )


def stationary(of: Calculus) -> Derivation:
    """W = d_π, ψ = Q_γ: J4, where D1 → D2 is false."""
    q, weights = of.at(of.action_values), of.at(of.stationary)
    truth, horizon = of.gradient(of.gain), 1 / (1 - of.gamma)

    def objective(theta: Array) -> Array:
        return of.stationary(theta) @ of.values(theta)

    def unfolded(theta: Array) -> Array:
        return weights @ (of.probabilities(theta) * of.action_values(theta)).sum(axis=1)

    all_action, size = of.all_action(weights, q), of.size(weights, q)
    dropped, turned = relative(all_action, truth, size), angle(all_action, truth, size, size)
    left = f"points {degrees(turned)} away from it"
    if np.isnan(turned) or degrees(turned) == "0°":
        left = "is 0, or ∇r̄ is" if np.isnan(turned) else "still points its way"
    lines = [
        ("D1", "∇ Σ d V", of.gradient(objective), 1.0, ""),
        (
            "D2",
            "Σ d ∇V",
            of.pull(of.values, weights),
            1.0,
            f"false: it drops Σ ∇d V, {share(dropped)} of ∇r̄",
        ),
        ("D3", "Σ d ∇(Σ π Q)", of.gradient(unfolded), 1.0, "V = Σ π Q"),
        ("D4", "Σ d Σ Q ∇π", all_action, 1 - of.gamma, "Q frozen: times (1 − γ) (I3)"),
        ("D5", "Σ d Σ π Q ∇log π", of.score(weights, q), 1.0, "∇π = π ∇log π"),
        ("D6", "E[Q ∇log π], s ~ d, a ~ π", of.score(weights, q), 1.0, "d is a distribution"),
        (
            "D7",
            "E[Σ γ^t Q ∇log π], s₀ ~ d",
            of.score(of.unrolled(weights, of.gamma), q),
            horizon,
            f"over time, times 1/(1 − γ) = {horizon:.6g}",
        ),
    ]
    return Derivation(
        "stationary",
        of.gamma,
        truth,
        _lines(lines, truth, (size * horizon, size)),
        tuple(all_five(of, of.stationary)),
        horizon,
        dropped,
        (
            f"D1 → D2 is false: it drops Σ ∇d V, {share(dropped)} of ∇r̄ here, and what is left "
            f"{left}. That visits are conserved, Σ ∇d = 0 (I1), is true and not enough, since V "
            "differs between states. "
            "The end is right all the same for γ near 1: there (1 − γ)V levels out to the same "
            "constant r̄ in every state (I5), and conservation then cancels the dropped term."
        ),
    )


def average(of: Calculus) -> Derivation:
    """W = d_π, ψ = Q̃, and u = r_π + P_π h − h ≡ r̄ for V."""
    weights, truth = of.at(of.stationary), of.gradient(of.gain)

    def continued(theta: Array) -> tuple[Array, Array]:
        chain = of.chain(theta)
        bias = chain.average()[1]
        return jnp.where(of.mdp.available, chain.action_values(bias, 1.0), 0.0), bias

    def constant(theta: Array) -> Array:
        following, bias = continued(theta)
        return (of.probabilities(theta) * following).sum(axis=1) - bias

    def objective(theta: Array) -> Array:
        return of.stationary(theta) @ constant(theta)

    psi = of.at(lambda theta: continued(theta)[0] - of.gain(theta))
    size = of.size(weights, psi)
    steps = 64
    visits = _averaged(weights, of.at(lambda theta: of.chain(theta).matrix()), steps)
    lines = [
        ("D1", "∇ Σ d u", of.gradient(objective), 1.0, ""),
        ("D2", "Σ d ∇u", of.pull(constant, weights), 1.0, "u ≡ r̄ is constant, so I1 cancels"),
        (
            "D3",
            "Σ d ∇(Σ π (R + P h) − h)",
            of.gradient(lambda theta: weights @ constant(theta)),
            1.0,
            "u = Σ π (R + P h) − h",
        ),
        ("D4", "Σ d Σ Q̃ ∇π", of.all_action(weights, psi), 1.0, "d P = d cancels ∇h"),
        ("D5", "Σ d Σ π Q̃ ∇log π", of.score(weights, psi), 1.0, "∇π = π ∇log π"),
        ("D6", "E[Q̃ ∇log π], s ~ d, a ~ π", of.score(weights, psi), 1.0, "d is a distribution"),
        ("D7", "E[Q̃ ∇log π] per step", of.score(visits, psi), 1.0, f"mean over {steps} steps"),
    ]
    return Derivation(
        "average",
        of.gamma,
        truth,
        _lines(lines, truth, (size, size)),
        tuple(all_five(of, of.stationary)),
        1.0,
        0.0,
        (
            "Nothing is dropped, because what stands for V is constant: u = r_π + P_π h − h is r̄ "
            "in every state, so that Σ ∇d u = r̄ Σ ∇d = 0 by conservation of visits (I1). With V "
            "itself that step would be false; stationarity, d P = d, does the rest."
        ),
    )


def _averaged(weights: Array, matrix: Array, steps: int) -> Array:
    """The mean over steps of w P^t."""
    total = jnp.zeros_like(weights)
    for _ in range(steps):
        total, weights = total + weights, weights @ matrix
    return total / steps


def _lines(
    lines: Sequence[tuple[str, str, np.ndarray, float, str]],
    truth: np.ndarray,
    sizes: tuple[float, float],
) -> tuple[Line, ...]:
    """The lines with their residuals and angles.

    Args:
        lines: (name, formula, vector [N], factor to the line before, reason) of each.
        truth: the gradient with which every line is compared, [N].
        sizes: of the terms of D1 and of the truth, to which rounding is relative.
    """
    built: list[Line] = []
    size, of_truth = sizes
    for name, formula, vector, factor, why in lines:
        size *= factor
        residual = relative(vector, factor * built[-1].vector, size) if built else 0.0
        turned = angle(vector, truth, size, of_truth)
        built.append(Line(name, formula, vector, factor, residual, turned, why))
    return tuple(built)
