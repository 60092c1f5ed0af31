"""Plant one fault at a time in a copy of the sources and see which test catches it.

    python benchmarks/planted_faults.py [NAME ...]

Prints one line a fault: its name and the first test that failed. The exit status is 1 if a fault
went unnoticed, or if its text is no longer in the sources.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

RETURNS, ADVANTAGES, OFF_POLICY = "psi/returns.py", "psi/advantages.py", "psi/off_policy.py"
GROUPS, WEIGHTS, ACTIONS = "psi/groups.py", "psi/weights.py", "psi/actions.py"
MOMENTS, CLOSED_FORM = "auditing/moments.py", "auditing/closed_form.py"
FLOW, SETTINGS = "auditing/flow.py", "auditing/settings.py"
ENUMERATION, KERNELS, STREAMING = (
    f"auditing/{name}.py" for name in ("enumeration", "kernels", "streaming")
)
VERDICT, CHECKS, REPORT = (f"auditing/{name}.py" for name in ("verdict", "checks", "report"))
RATIOS, KL, ARRAYS = "psi/ratios.py", "psi/kl.py", "psi/arrays.py"
DEVIATIONS, REGISTRY = "psi/deviations.py", "psi/registry.py"
RULES, CRITIC = "auditing/rules.py", "auditing/critic.py"

TRACES = ("tests/psi/test_traces.py", "tests/theory/test_trajectory_psi.py")
TESTS = {
    RETURNS: TRACES,
    ADVANTAGES: TRACES,
    OFF_POLICY: TRACES,
    GROUPS: ("tests/psi/test_groups.py", "tests/theory/test_group_rules.py"),
    WEIGHTS: ("tests/psi/test_groups.py", "tests/theory/test_group_rules.py"),
    ACTIONS: ("tests/psi/test_actions.py",),
    RATIOS: ("tests/psi/test_ratios.py",),
    KL: ("tests/psi/test_kl.py",),
    ARRAYS: ("tests/psi/test_arrays.py",),
    DEVIATIONS: ("tests/psi/test_groups.py",),
    REGISTRY: ("tests/psi/test_psi_registry.py", "tests/algorithms/test_trained_is_audited.py"),
    RULES: ("tests/algorithms/test_trained_is_audited.py",),
    CRITIC: ("tests/auditing/test_closed_form.py",),
    MOMENTS: ("tests/auditing/test_closed_form.py",),
    CLOSED_FORM: ("tests/auditing/test_closed_form.py",),
    FLOW: ("tests/auditing/test_closed_form.py",),
    SETTINGS: ("tests/auditing/test_closed_form.py",),
    ENUMERATION: ("tests/auditing/test_claims.py",),
    KERNELS: ("tests/auditing/test_sampling.py",),
    STREAMING: ("tests/auditing/test_sampling.py",),
    VERDICT: ("tests/auditing/test_audit.py",),
    CHECKS: ("tests/auditing/test_audit_refusals.py",),
    REPORT: ("tests/auditing/test_audit.py",),
}
"""The tests of each module; a fault that they miss has gone unnoticed."""

FAULTS = {
    "γ dropped in the recursion's factor (GAE)": (
        ADVANTAGES,
        "gamma * lambda_, cuts",
        "lambda_, cuts",
    ),
    "λ ignored (GAE)": (ADVANTAGES, "gamma * lambda_, cuts", "gamma, cuts"),
    "truncation is termination": (
        ADVANTAGES,
        "one_step_target(rewards, next_values, terminated, gamma) - values",
        "one_step_target(rewards, next_values, terminated | truncated, gamma) - values",
    ),
    "termination bootstraps": (
        RETURNS,
        "return jnp.where(terminated, 0, next_values)",
        "return next_values",
    ),
    "truncation does not cut the trace": (
        RETURNS,
        "return (terminated | truncated).at",
        "return (terminated | terminated).at",
    ),
    "the last row is no cut": (
        RETURNS,
        "(terminated | truncated).at[..., -1].set(True)",
        "(terminated | truncated)",
    ),
    "trace cut by a product, so NaN leaks": (
        RETURNS,
        "increment + jnp.where(is_cut, 0, factor * following)",
        "increment + (1 - is_cut) * factor * following",
    ),
    "recursion runs forward": (RETURNS, "rows, reverse=True)", "rows)"),
    "sign of the values": (
        ADVANTAGES,
        "terminated, gamma) - values",
        "terminated, gamma) + values",
    ),
    "γ dropped in the TD residual": (
        RETURNS,
        "return rewards + gamma * bootstrap(next_values, terminated)",
        "return rewards + bootstrap(next_values, terminated)",
    ),
    "reward of the next step": (
        RETURNS,
        "return rewards + gamma * bootstrap",
        "return jnp.roll(rewards, -1, -1) + gamma * bootstrap",
    ),
    "n-step off by one": (ADVANTAGES, "fori_loop(1, min", "fori_loop(0, min"),
    "n-step across episodes": (
        ADVANTAGES,
        "jnp.where(cut, one_step, rewards",
        "jnp.where(False, one_step, rewards",
    ),
    "a scale of 1.01": (
        ADVANTAGES,
        "return recursion(residuals,",
        "return 1.01 * recursion(residuals,",
    ),
    "baseline depends on the next state": (
        RETURNS,
        "return to_go - values",
        "return to_go - jnp.roll(values, -1, -1)",
    ),
    "total return from t only": (RETURNS, "jnp.take_along_axis(to_go, start, axis=-1)", "to_go"),
    "total return without γ^t": (
        RETURNS,
        "whole / discounts(gamma, step, whole.dtype)",
        "whole",
    ),
    "steps counted over episodes": (RETURNS, "return t - lax.cummax", "return t - 0 * lax.cummax"),
    "λ-return keeps (1−λ) at a cut": (
        RETURNS,
        "jnp.where(cut, following, (1 - lambda_) * following)",
        "(1 - lambda_) * following",
    ),
    "V-trace takes the next episode's target": (
        OFF_POLICY,
        "jnp.where(cuts(terminated, truncated), 0, jnp.roll(errors, -1, axis=-1))",
        "jnp.roll(errors, -1, axis=-1)",
    ),
    "V-trace c not clipped": (
        OFF_POLICY,
        "lambda_ * jnp.minimum(c_bar, ratios)\n",
        "lambda_ * ratios\n",
    ),
    "V-trace ρ not clipped": (
        OFF_POLICY,
        "jnp.minimum(rho_bar, ratios) * residuals",
        "ratios * residuals",
    ),
    "V-trace λ ignored": (OFF_POLICY, "decays = gamma * lambda_ *", "decays = gamma *"),
    "Retrace corrects the first action": (OFF_POLICY, "jnp.roll(ratios, -1, axis=-1)", "ratios"),
    "leave-one-out baseline as the weight": (
        GROUPS,
        "return _centred(returns) * (size / (size - 1))",
        "return returns - _centred(returns) * (size / (size - 1))",
    ),
    "RLOO with the group mean": (
        GROUPS,
        "_centred(returns) * (size / (size - 1))",
        "_centred(returns)",
    ),
    "std without ε": (
        GROUPS,
        "jnp.where(agree, 1, variance)) + epsilon / found.scale",
        "jnp.where(agree, 1, variance))",
    ),
    "ddof ignored": (DEVIATIONS, "self.number - ddof", "self.number"),
    "NaN taken for agreement": (
        GROUPS,
        "agree = variance == 0",
        "agree = ~(variance > 0)",
    ),
    "NaN stays with its own sequence": (
        GROUPS,
        "finite = finite & jnp.all(jnp.isfinite(array), axis=-1, keepdims=True)",
        "finite = finite & jnp.isfinite(array)",
    ),
    "infinity is a size like others": (
        DEVIATIONS,
        "jnp.where(jnp.isfinite(size), power, jnp.nan)",
        "power",
    ),
    "squares overflow": (DEVIATIONS, "scale = _power_of_two(size)", "scale = size * 0 + 1"),
    "mean taken with its rounding": (
        DEVIATIONS,
        "shift = jnp.where(jnp.isneginf(largest), 0, largest * unit)",
        "shift = 0 * size",
    ),
    "padding counted when whitening": (
        DEVIATIONS,
        "count = jnp.sum(some, axis=axis, keepdims=True)",
        "count = values.shape[axis]",
    ),
    "OPO without lengths": (
        GROUPS,
        "return _centred(returns, lengths)",
        "return _centred(returns)",
    ),
    "token mean over the sequence": (
        WEIGHTS,
        "jnp.broadcast_to(1 / total",
        "jnp.broadcast_to(1 / lengths",
    ),
    "1/length forgotten": (
        WEIGHTS,
        "1 / (lengths.shape[-1] * lengths)",
        "lengths / lengths / lengths.shape[-1]",
    ),
    "0 · −∞ in a sum over actions": (
        ACTIONS,
        "jnp.where(missing, 0, action_values)",
        "action_values",
    ),
    "ψ differentiated in the all-action sum": (
        ACTIONS,
        "lax.stop_gradient(action_values)",
        "action_values",
    ),
    "optimal baseline without the scores": (
        ACTIONS,
        "weights = probabilities * squared_scores",
        "weights = probabilities",
    ),
    "PPO's max for min": (RATIOS, "jnp.minimum(_times", "jnp.maximum(_times"),
    "infinite ratio times ψ = 0": (
        RATIOS,
        "jnp.where((psi == 0) & jnp.isposinf(ratio), 0, ratio * psi)",
        "ratio * psi",
    ),
    "infinite slope past the clip": (
        RATIOS,
        "jnp.where(overflows, jnp.inf, jnp.exp(jnp.where(overflows, 0, x)))",
        "jnp.exp(x)",
    ),
    "ε the wrong way round": (
        RATIOS,
        "jnp.clip(ratio, 1 - low, 1 + high)",
        "jnp.clip(ratio, 1 - high, 1 + low)",
    ),
    "dual clip on both signs": (
        RATIOS,
        "jnp.where(psi < 0, jnp.maximum(lower, bound * psi), lower)",
        "jnp.maximum(lower, bound * psi)",
    ),
    "CISPO differentiates its ratio": (
        RATIOS,
        "lax.stop_gradient(near * psi) * log_probs",
        "near * psi * log_probs",
    ),
    "old policy differentiated": (
        RATIOS,
        "return _exp(log_probs - lax.stop_gradient(old_log_probs))",
        "return _exp(log_probs - old_log_probs)",
    ),
    "sequence ratio not divided by the length": (
        RATIOS,
        "jnp.maximum(jnp.sum(valid, axis=-1), 1)",
        "1",
    ),
    "k3 the wrong way round": (KL, "jnp.expm1(-x) + x", "jnp.expm1(x) - x"),
    "k2 without the half": (KL, "** 2 / 2", "** 2"),
    "KL penalty differentiated": (
        KL,
        "lax.stop_gradient(log_probs - reference_log_probs)",
        "(log_probs - reference_log_probs)",
    ),
    "float64 lost": (ARRAYS, "jax.enable_x64(True)", "jax.enable_x64(False)"),
    "flags not checked": (
        ARRAYS,
        "wrong = ~np.isin(np.asarray(value), (0, 1))",
        "wrong = np.zeros(value.shape, bool)",
    ),
    "covariance from expected rewards": (
        MOMENTS,
        "flow.expected(delta**2)",
        "flow.expected(delta) ** 2",
    ),
    "reward and successor taken as independent": (
        MOMENTS,
        "(on_delta @ ahead.x)",
        "(first[:, None] * (on @ ahead.x))",
    ),
    "ψψ not discounted twice": (MOMENTS, "c**2 * apply(on, psi_psi)", "c * apply(on, psi_psi)"),
    "covariance without what lies ahead": (
        MOMENTS,
        "w * visits, psi_ahead",
        "0 * visits, psi_ahead",
    ),
    "second moment taken for the covariance": (
        MOMENTS,
        "self._second_of_x(ahead) - np.outer(mean, mean)",
        "self._second_of_x(ahead)",
    ),
    "horizon one step too long": (FLOW, "last = step == steps - 1", "last = step == steps"),
    "convergence of the moments not checked": (
        FLOW,
        "if not np.all((total >= 1 - 1e-9) & (missed < 1e-3))",
        "if False",
    ),
    "a nearly singular matrix taken for solved": (FLOW, " & (missed < 1e-3)", ""),
    "total return without SSᵀ behind": (
        MOMENTS,
        "with_rr @ on_rr + with_r @ on_r",
        "with_rr @ on_rr",
    ),
    "closed form ignores the weighting": (
        SETTINGS,
        'return self.gamma if self.weighting == "discounted" else 1.0',
        "return self.gamma",
    ),
    "a group counted once for all its orders": (
        ENUMERATION,
        "orders *= (i + 1) / run",
        "orders *= i + 1",
    ),
    "start states not weighted": (
        ENUMERATION,
        "chance = np.prod(starts[drawn], axis=1) * np.prod",
        "chance = np.prod",
    ),
    "trace sampled without its decay": (KERNELS, "decay * z[n] + w *", "z[n] + w *"),
    "window one step too long": (KERNELS, "if t >= window:", "if t > window:"),
    "sampled horizon ignored": (
        KERNELS,
        "while base >= 0 and t != horizon:",
        "while base >= 0 and t != -2:",
    ),
    "every block has the same stream": (
        KERNELS,
        "np.uint64(block) * np.uint64(4) * _MIX",
        "np.uint64(0)",
    ),
    "alias tables without the alias": (
        STREAMING,
        "thresholds[i], items[2 * i + 1] = left[i], j",
        "thresholds[i] = left[i]",
    ),
    "curl of half the Jacobian": (VERDICT, "np.linalg.norm(m + m.T)", "np.linalg.norm(m)"),
    "one θ is enough": (VERDICT, "ELSEWHERE = 3", "ELSEWHERE = 0"),
    "padding not tried": (CHECKS, "10 * rng.normal(size=shape)", "batches.reward"),
    "order not tried": (CHECKS, "x[:, order]", "x"),
    "bias against the total": (REPORT, "self.mean - self.gradient", "self.mean"),
    "closed form bootstraps at an end": (CRITIC, "mdp.terminated, never", "never, never"),
    "closed form forgets λ": (
        REGISTRY,
        'Recursion("td_residual", ("gamma", "lambda_"))',
        'Recursion("td_residual", ("gamma",))',
    ),
    "a batch shares its prompt": (
        RULES,
        "return self.row.rule.scope is not Scope.BATCH",
        "return True",
    ),
    "KL in the reward of the wrong policy": (
        RULES,
        "psi.penalised_rewards(rewards, old, before",
        "psi.penalised_rewards(rewards, log_probs, before",
    ),
    "clip of another algorithm": (REGISTRY, "epsilon_high=0.28", "epsilon_high=0.2"),
    "overflow returned": (
        ARRAYS,
        "wrong &= rows[..., None] if wrong.ndim > rows.ndim else rows",
        "wrong &= False",
    ),
    "input changed in place": (ARRAYS, 'values["truncated"] = values["truncated"].copy()\n', ""),
}


def first_failure(path: str, old: str, new: str) -> str | None:
    """The first test that fails with the fault in place; None if all pass."""
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(folder, "src")
        shutil.copytree(ROOT / "src", sources)
        file = sources / "logtrick" / path
        text = file.read_text()
        if text.count(old) < 1:
            raise SystemExit(f"{path} no longer holds {old!r}")
        file.write_text(text.replace(old, new))
        command = ["-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [sys.executable, *command, *TESTS[path]],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(sources)},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode == 0:
        return None
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return found.group(1) if found else done.stdout[-200:]


def main() -> int:
    wanted = sys.argv[1:] or list(FAULTS)
    unnoticed = 0
    for name in wanted:
        caught = first_failure(*FAULTS[name])
        unnoticed += caught is None
        print(f"{name:45}  {caught or 'NOT CAUGHT'}", flush=True)
    print(f"{len(wanted) - unnoticed} of {len(wanted)} caught")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
