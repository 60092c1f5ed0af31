"""Faults of `logtrick.psi`."""

from faults import faults_in

TRACES = ("tests/psi/test_traces.py", "tests/theory/test_trajectory_psi.py")
GROUPS = ("tests/psi/test_groups.py", "tests/theory/test_group_rules.py")

FAULTS = (
    *faults_in(
        "logtrick.psi.advantages",
        TRACES,
        {
            "γ dropped in the recursion's factor (GAE)": ("gamma * lambda_, cuts", "lambda_, cuts"),
            "λ ignored (GAE)": ("gamma * lambda_, cuts", "gamma, cuts"),
            "truncation is termination": (
                "one_step_target(rewards, next_values, terminated, gamma) - values",
                "one_step_target(rewards, next_values, terminated | truncated, gamma) - values",
            ),
            "sign of the values": ("terminated, gamma) - values", "terminated, gamma) + values"),
            "n-step off by one": ("fori_loop(1, min", "fori_loop(0, min"),
            "n-step across episodes": (
                "jnp.where(cut, one_step, rewards",
                "jnp.where(False, one_step, rewards",
            ),
            "a scale of 1.01": (
                "return recursion(residuals,",
                "return 1.01 * recursion(residuals,",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.returns",
        TRACES,
        {
            "termination bootstraps": (
                "return jnp.where(terminated, 0, next_values)",
                "return next_values",
            ),
            "truncation does not cut the trace": (
                "return (terminated | truncated).at",
                "return (terminated | terminated).at",
            ),
            "the last row is no cut": (
                "(terminated | truncated).at[..., -1].set(True)",
                "(terminated | truncated)",
            ),
            "trace cut by a product, so NaN leaks": (
                "increment + jnp.where(is_cut, 0, factor * following)",
                "increment + (1 - is_cut) * factor * following",
            ),
            "recursion runs forward": ("rows, reverse=True)", "rows)"),
            "γ dropped in the TD residual": (
                "return rewards + gamma * bootstrap(next_values, terminated)",
                "return rewards + bootstrap(next_values, terminated)",
            ),
            "reward of the next step": (
                "return rewards + gamma * bootstrap",
                "return jnp.roll(rewards, -1, -1) + gamma * bootstrap",
            ),
            "baseline depends on the next state": (
                "return to_go - values",
                "return to_go - jnp.roll(values, -1, -1)",
            ),
            "total return from t only": ("jnp.take_along_axis(to_go, start, axis=-1)", "to_go"),
            "total return without γ^t": ("whole / discounts(gamma, step, whole.dtype)", "whole"),
            "steps counted over episodes": ("return t - lax.cummax", "return t - 0 * lax.cummax"),
            "λ-return keeps (1−λ) at a cut": (
                "jnp.where(cut, following, (1 - lambda_) * following)",
                "(1 - lambda_) * following",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.off_policy",
        TRACES,
        {
            "V-trace takes the next episode's target": (
                "jnp.where(cuts(terminated, truncated), 0, jnp.roll(errors, -1, axis=-1))",
                "jnp.roll(errors, -1, axis=-1)",
            ),
            "V-trace c not clipped": (
                "lambda_ * jnp.minimum(c_bar, ratios)\n",
                "lambda_ * ratios\n",
            ),
            "V-trace ρ not clipped": (
                "jnp.minimum(rho_bar, ratios) * residuals",
                "ratios * residuals",
            ),
            "V-trace λ ignored": ("decays = gamma * lambda_ *", "decays = gamma *"),
            "Retrace corrects the first action": ("jnp.roll(ratios, -1, axis=-1)", "ratios"),
        },
    ),
    *faults_in(
        "logtrick.psi.groups",
        GROUPS,
        {
            "leave-one-out baseline as the weight": (
                "return _centred(returns) * (size / (size - 1))",
                "return returns - _centred(returns) * (size / (size - 1))",
            ),
            "RLOO with the group mean": (
                "_centred(returns) * (size / (size - 1))",
                "_centred(returns)",
            ),
            "std without ε": (
                "jnp.where(agree, 1, variance)) + epsilon / found.scale",
                "jnp.where(agree, 1, variance))",
            ),
            "NaN taken for agreement": ("agree = variance == 0", "agree = ~(variance > 0)"),
            "NaN stays with its own sequence": (
                "finite = finite & jnp.all(jnp.isfinite(array), axis=-1, keepdims=True)",
                "finite = finite & jnp.isfinite(array)",
            ),
            "OPO without lengths": (
                "return _centred(returns, lengths)",
                "return _centred(returns)",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.deviations",
        "tests/psi/test_groups.py",
        {
            "ddof ignored": ("self.number - ddof", "self.number"),
            "infinity is a size like others": (
                "jnp.where(jnp.isfinite(size), power, jnp.nan)",
                "power",
            ),
            "squares overflow": ("scale = _power_of_two(size)", "scale = size * 0 + 1"),
            "mean taken with its rounding": (
                "shift = jnp.where(jnp.isneginf(largest), 0, largest * unit)",
                "shift = 0 * size",
            ),
            "padding counted when whitening": (
                "count = jnp.sum(some, axis=axis, keepdims=True)",
                "count = values.shape[axis]",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.weights",
        GROUPS,
        {
            "token mean over the sequence": (
                "jnp.broadcast_to(1 / total",
                "jnp.broadcast_to(1 / lengths",
            ),
            "1/length forgotten": (
                "1 / (lengths.shape[-1] * lengths)",
                "lengths / lengths / lengths.shape[-1]",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.actions",
        "tests/psi/test_actions.py",
        {
            "0 · −∞ in a sum over actions": (
                "jnp.where(missing, 0, action_values)",
                "action_values",
            ),
            "ψ differentiated in the all-action sum": (
                "lax.stop_gradient(action_values)",
                "action_values",
            ),
            "optimal baseline without the scores": (
                "weights = probabilities * squared_scores",
                "weights = probabilities",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.ratios",
        "tests/psi/test_ratios.py",
        {
            "PPO's max for min": ("jnp.minimum(_times", "jnp.maximum(_times"),
            "infinite ratio times ψ = 0": (
                "jnp.where((psi == 0) & jnp.isposinf(ratio), 0, ratio * psi)",
                "ratio * psi",
            ),
            "infinite slope past the clip": (
                "jnp.where(overflows, jnp.inf, jnp.exp(jnp.where(overflows, 0, x)))",
                "jnp.exp(x)",
            ),
            "ε the wrong way round": (
                "jnp.clip(ratio, 1 - low, 1 + high)",
                "jnp.clip(ratio, 1 - high, 1 + low)",
            ),
            "dual clip on both signs": (
                "jnp.where(psi < 0, jnp.maximum(lower, bound * psi), lower)",
                "jnp.maximum(lower, bound * psi)",
            ),
            "CISPO differentiates its ratio": (
                "lax.stop_gradient(near * psi) * log_probs",
                "near * psi * log_probs",
            ),
            "old policy differentiated": (
                "return _exp(log_probs - lax.stop_gradient(old_log_probs))",
                "return _exp(log_probs - old_log_probs)",
            ),
            "sequence ratio not divided by the length": (
                "jnp.maximum(jnp.sum(valid, axis=-1), 1)",
                "1",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.kl",
        "tests/psi/test_kl.py",
        {
            "k3 the wrong way round": ("jnp.expm1(-x) + x", "jnp.expm1(x) - x"),
            "k2 without the half": ("** 2 / 2", "** 2"),
            "KL penalty differentiated": (
                "lax.stop_gradient(k1(log_probs, reference_log_probs))",
                "k1(log_probs, reference_log_probs)",
            ),
        },
    ),
    *faults_in(
        "logtrick.psi.backends",
        "tests/psi/test_arrays.py",
        {
            "float64 lost": ("jax.enable_x64(True)", "jax.enable_x64(False)"),
            "flags not checked": (
                "wrong = ~np.isin(np.asarray(value), (0, 1))",
                "wrong = np.zeros(value.shape, bool)",
            ),
            "overflow returned": (
                "wrong &= rows[..., None] if wrong.ndim > rows.ndim else rows",
                "wrong &= False",
            ),
            "input changed in place": ('values["truncated"] = values["truncated"].copy()\n', ""),
        },
    ),
    *faults_in(
        "logtrick.psi.registry",
        ("tests/psi/test_psi_registry.py", "tests/algorithms/test_trained_is_audited.py"),
        {
            "closed form forgets λ (GAE)": (
                'Recursion("td_residual", ("gamma", "lambda_")),\n    ),',
                'Recursion("td_residual", ("gamma",)),\n    ),',
            ),
            "closed form forgets λ (V-trace)": (
                'Recursion("td_residual", ("gamma", "lambda_")),\n        target',
                'Recursion("td_residual", ("gamma",)),\n        target',
            ),
            "clip of another algorithm": ("epsilon_high=0.28", "epsilon_high=0.2"),
        },
    ),
)
