"""Faults of `logtrick.auditing`."""

from faults import faults_in

FAULTS = (
    *faults_in(
        "logtrick.auditing.moments",
        "tests/auditing/test_closed_form.py",
        {
            "covariance from expected rewards": (
                "flow.expected(delta**2)",
                "flow.expected(delta) ** 2",
            ),
            "reward and successor taken as independent": (
                "(on_delta @ ahead.x)",
                "(first[:, None] * (on @ ahead.x))",
            ),
            "ψψ not discounted twice": ("c**2 * apply(on, psi_psi)", "c * apply(on, psi_psi)"),
            "covariance without what lies ahead": (
                "w * visits, psi_ahead",
                "0 * visits, psi_ahead",
            ),
            "second moment taken for the covariance": (
                "self._second_of_x(ahead) - np.outer(mean, mean)",
                "self._second_of_x(ahead)",
            ),
            "total return without SSᵀ behind": (
                "with_rr @ on_rr + with_r @ on_r",
                "with_rr @ on_rr",
            ),
        },
    ),
    *faults_in(
        "logtrick.auditing.flow",
        "tests/auditing/test_closed_form.py",
        {
            "horizon one step too long": ("last = step == steps - 1", "last = step == steps"),
            "convergence of the moments not checked": (
                "if not np.all((total >= 1 - 1e-9) & (missed < 1e-3))",
                "if False",
            ),
            "a nearly singular matrix taken for solved": (" & (missed < 1e-3)", ""),
        },
    ),
    *faults_in(
        "logtrick.auditing.settings",
        "tests/auditing/test_closed_form.py",
        {
            "closed form ignores the weighting": (
                'return self.gamma if self.weighting == "discounted" else 1.0',
                "return self.gamma",
            ),
        },
    ),
    *faults_in(
        "logtrick.auditing.enumeration",
        "tests/auditing/test_claims.py",
        {
            "a group counted once for all its orders": (
                "orders *= (i + 1) / run",
                "orders *= i + 1",
            ),
            "start states not weighted": (
                "chance = np.prod(starts[drawn], axis=1) * np.prod",
                "chance = np.prod",
            ),
        },
    ),
    *faults_in(
        "logtrick.auditing.sampling_kernels",
        "tests/auditing/test_sampling.py",
        {
            "trace sampled without its decay": ("decay * z[n] + w *", "z[n] + w *"),
            "window one step too long": ("if t >= window:", "if t > window:"),
            "sampled horizon ignored (recursions)": (
                "w = 1.0\n            t = 0\n            while base >= 0 and t != horizon:",
                "w = 1.0\n            t = 0\n            while base >= 0 and t != -2:",
            ),
            "sampled horizon ignored (total return)": (
                "1.0, 1.0\n            t = 0\n            while base >= 0 and t != horizon:",
                "1.0, 1.0\n            t = 0\n            while base >= 0 and t != -2:",
            ),
            "every block has the same stream": (
                "np.uint64(block) * np.uint64(4) * _MIX",
                "np.uint64(0)",
            ),
        },
    ),
    *faults_in(
        "logtrick.auditing.streaming",
        "tests/auditing/test_sampling.py",
        {
            "alias tables without the alias": (
                "thresholds[i], items[2 * i + 1] = left[i], j",
                "thresholds[i] = left[i]",
            ),
        },
    ),
    *faults_in(
        "logtrick.auditing.verdict",
        "tests/auditing/test_audit.py",
        {
            "curl of half the Jacobian": ("np.linalg.norm(m + m.T)", "np.linalg.norm(m)"),
            "one θ is enough": ("ELSEWHERE = 3", "ELSEWHERE = 0"),
        },
    ),
    *faults_in(
        "logtrick.auditing.function_checks",
        "tests/auditing/test_audit_refusals.py",
        {
            "padding not tried": ("10 * rng.normal(size=shape)", "batches.reward"),
            "order not tried": ("x[:, order]", "x"),
        },
    ),
    *faults_in(
        "logtrick.auditing.report",
        "tests/auditing/test_audit.py",
        {
            "bias against the total": ("self.mean - self.gradient", "self.mean"),
        },
    ),
    *faults_in(
        "logtrick.auditing.critic",
        "tests/auditing/test_closed_form.py",
        {
            "closed form bootstraps at an end": ("mdp.terminated, never", "never, never"),
        },
    ),
    *faults_in(
        "logtrick.auditing.rules",
        "tests/algorithms/test_trained_is_audited.py",
        {
            "a batch shares its prompt": (
                "return self.row.rule.scope is not Scope.BATCH",
                "return True",
            ),
            "KL in the reward of the wrong policy": (
                "psi.penalised_rewards(rewards, old, before",
                "psi.penalised_rewards(rewards, log_probs, before",
            ),
        },
    ),
)
