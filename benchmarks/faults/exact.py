"""Faults of `logtrick.exact`: each term of each bound, then the equations."""

from faults import faults_in

TERMS = "tests/exact/test_bound_terms.py"
CANCELLING = f"{TERMS}::test_rewards_that_cancel_carry_the_rounding_of_what_they_were"
OBJECTIVE = f"{TERMS}::test_the_objective_has_start_values_and_products_in_it"
SHARES = f"{TERMS}::test_shares_err_by_twice_the_visits_and_by_their_rounding"
DRIFT = f"{TERMS}::test_the_gain_and_bias_have_their_drift_in_them"
OF_ACTIONS = f"{TERMS}::test_action_values_have_values_and_their_own_rounding_in_them"
OF_GRADIENT = f"{TERMS}::test_the_gradient_has_visits_values_and_products_in_it"
OF_HORIZON = f"{TERMS}::test_a_horizon_carries_what_the_next_step_errs"
OF_VISITS = f"{TERMS}::test_visits_over_a_horizon_have_their_sums_in_them"
MISSING = f"{TERMS}::test_what_is_missing_hidden_or_given"
LONG = f"{TERMS}::test_the_weights_of_a_long_chain_cover_their_own_residual"
ROW_SUMS = f"{TERMS}::test_the_constant_weight_covers_row_sums_that_are_rounded"
SUMS = f"{TERMS}::test_residuals_cover_the_rounding_of_their_sums"
SLACK = f"{TERMS}::test_bounds_cover_the_slack_of_every_entry"
DIFFERENCES = f"{TERMS}::test_residuals_cover_the_rounding_of_their_differences"
OF_CHAIN = f"{TERMS}::test_the_slack_of_a_chain_has_its_rows_and_its_policy_in_it"
CHAIN_SUMS = f"{TERMS}::test_a_chain_covers_the_rounding_of_its_sums"
OF_FUNCTION = f"{TERMS}::test_the_mass_of_a_function_above_one_is_in_its_bounds"
RATIONAL = "tests/exact/test_slack.py::test_rows_start_and_policy_that_are_off_by_1e_9"
HORIZON = "tests/exact/test_horizon.py"
STORY = f"{HORIZON}::test_objective_visits_and_values_are_one_story"
TRACED = "tests/exact/test_transforms.py::test_traced_values_equal_direct_ones"
CURVATURE = "tests/exact/test_curvature.py"
NATURAL_TRACED = f"{CURVATURE}::test_the_normalised_natural_gradient_inside_a_transform"
HESSIANS = f"{CURVATURE}::test_hessian_products"
HISTORIES = "tests/exact/test_histories.py"

SUM_OF_GRADIENT = "from_visits + from_values + TINY * self.action_values.size"
OF_OBJECTIVE = "(1 + defect) * values.bound + defect * size + rounding"
OF_BIAS = "2 * anchored_error + distribution_error * size + rounding + EPS * (size + abs(level))"
OF_ACTION_VALUES = "gamma * chain.mass * values.bound + chain.backup_error(gamma * size)"
ERRORS = "np.abs(missing) + rounding + error * np.abs(b)"
DENSE_SCALE = "np.abs(b) + np.abs(x) + self.gamma * (self.matrix @ np.abs(x))"
FREE_SCALE = "np.abs(b) + np.abs(x) + self.moved(np.abs(x))"
NEXT_STEP = "gamma * chain.mass * errors[-1] + chain.backup_error(gamma * size)"
FORWARD = "gamma * chain.mass * error + relative * mass"

FAULTS = (
    *faults_in(
        "logtrick.exact.policy_evaluation",
        TERMS,
        {
            "rewards taken for exact in the bound of the values": (
                "values = resolvent.values(chain.rewards, chain.reward_error)",
                "values = resolvent.values(chain.rewards)",
                CANCELLING,
            ),
            "the start taken for exact in the bound of the visits": (
                "visits = resolvent.visits(mdp.start, start_defect(mdp.start))",
                "visits = resolvent.visits(mdp.start)",
                f"{TERMS}::test_the_visits_have_what_the_start_lacks_in_them",
            ),
            "the drift left out of the gain's error": (
                "float(np.abs(drift - gain).max()) + chain.backup_error(abs(gain) + 2 * size)",
                "chain.backup_error(abs(gain) + 2 * size)",
                DRIFT,
            ),
            "the rounding of the drift left out of the gain's error": (
                "float(np.abs(drift - gain).max()) + chain.backup_error(abs(gain) + 2 * size)",
                "float(np.abs(drift - gain).max())",
                RATIONAL,
            ),
            "the gain's own error left out of the bias'": (
                "float(resolvent.weights.max()) * 2 * gain_error",
                "float(resolvent.weights.max()) * gain_error",
                DRIFT,
            ),
            "the error of the bias' level left out": (
                OF_BIAS,
                OF_BIAS.replace("2 * anchored_error", "anchored_error"),
                DRIFT,
            ),
            "the distribution's error left out of the bias'": (
                OF_BIAS,
                OF_BIAS.replace("distribution_error * size + ", ""),
                DRIFT,
            ),
            "the rounding of the bias' level left out": (
                OF_BIAS,
                OF_BIAS.replace("rounding + ", ""),
                f"{TERMS}::test_the_bias_has_the_rounding_of_its_level_in_it",
            ),
            "the rounding of the bias less its level left out": (
                OF_BIAS,
                OF_BIAS.removesuffix(" + EPS * (size + abs(level))"),
                f"{TERMS}::test_the_bias_has_the_rounding_of_its_level_in_it",
            ),
            "the bias' error left out of the average's action values": (
                "action_values_error=chain.mass * error\n        + gain_error",
                "action_values_error=gain_error",
                DRIFT,
            ),
            "the gain's error left out of the average's action values": (
                "action_values_error=chain.mass * error\n        + gain_error",
                "action_values_error=chain.mass * error",
                DRIFT,
            ),
            "the rounding of the average's action values left out": (
                "+ chain.backup_error(abs(gain) + float(np.abs(bias).max())),",
                ",",
                f"{TERMS}::test_the_bias_has_the_rounding_of_its_level_in_it",
            ),
            "Q without γ": (
                "action_values_of(mdp, gamma * chain.expect(values.array))",
                "action_values_of(mdp, chain.expect(values.array))",
                RATIONAL,
            ),
            "the bias not centred": ("    bias = bias - level\n", "", RATIONAL),
            "the average's visits from the first state, not the anchor": (
                "np.eye(1, mdp.num_states, anchor)[0]",
                "np.eye(1, mdp.num_states, 0)[0]",
                RATIONAL,
            ),
            "Q̃ without the gain": (
                "action_values_of(mdp, chain.expect(bias) - gain)",
                "action_values_of(mdp, chain.expect(bias))",
                RATIONAL,
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.evaluations",
        TERMS,
        {
            "the values' error left out of the objective's": (
                OF_OBJECTIVE,
                "defect * size + rounding",
                OBJECTIVE,
            ),
            "what the start lacks left out of the objective's error": (
                OF_OBJECTIVE,
                "(1 + defect) * values.bound + rounding",
                OBJECTIVE,
            ),
            "the products' rounding left out of the objective's error": (
                OF_OBJECTIVE,
                "(1 + defect) * values.bound + defect * size",
                OBJECTIVE,
            ),
            "the values' error left out of the action values'": (
                OF_ACTION_VALUES,
                "chain.backup_error(gamma * size)",
                OF_ACTIONS,
            ),
            "the rounding of Q = R + γPV left out of its error": (
                OF_ACTION_VALUES,
                "gamma * chain.mass * values.bound",
                OF_ACTIONS,
            ),
            "the mass of a row taken for one in the action values' error": (
                OF_ACTION_VALUES,
                "gamma * values.bound + chain.backup_error(gamma * size)",
                OF_ACTIONS,
            ),
            "the visits' error left out of the gradient's": (
                SUM_OF_GRADIENT,
                "from_values + TINY * self.action_values.size",
                OF_GRADIENT,
            ),
            "the action values' error left out of the gradient's": (
                SUM_OF_GRADIENT,
                "from_visits + TINY * self.action_values.size",
                OF_GRADIENT,
            ),
            "the gradient's underflow left out": (
                SUM_OF_GRADIENT,
                "from_visits + from_values",
                OF_GRADIENT,
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.evaluations",
        TERMS,
        {
            "shares err once, not twice, by the visits' error": (
                "2 * visits.bound / total",
                "visits.bound / total",
                SHARES,
            ),
            "the rounding of shares left out": (
                "2 * visits.bound / total + 2 * EPS",
                "2 * visits.bound / total",
                SHARES,
            ),
            "the rounding of a mean's products left out": (
                "EPS * magnitude + TINY * len(products)",
                "TINY * len(products)",
                OBJECTIVE,
            ),
            "the underflow of a mean's products left out": (
                "EPS * magnitude + TINY * len(products)",
                "EPS * magnitude",
                OBJECTIVE,
            ),
            "a start that is off taken for a distribution": (
                "abs(math.fsum(start.tolist()) - 1.0) + EPS / 2",
                "EPS / 2",
                OBJECTIVE,
            ),
            "the rounding of the start's own sum left out": (
                "abs(math.fsum(start.tolist()) - 1.0) + EPS / 2",
                "abs(math.fsum(start.tolist()) - 1.0)",
                OBJECTIVE,
            ),
            "the rounding of the gradient's products left out": (
                "(self.action_values_error + rounding)",
                "self.action_values_error",
                OF_GRADIENT,
            ),
            "the gradient's error of one action for all": (
                "visits * actions * (self",
                "visits * (self",
                OF_GRADIENT,
            ),
            "both errors at once left out of the gradient's": (
                "float(np.abs(self.visitation).sum()) + self.visitation_error",
                "float(np.abs(self.visitation).sum())",
                f"{TERMS}::test_the_gradient_has_both_errors_at_once_in_it",
            ),
            "the rounding of the gradient's sum over steps left out": (
                "EPS * (2 + (self.horizon or 0)) * largest",
                "EPS * 2 * largest",
                f"{TERMS}::test_the_gradient_has_its_sum_over_steps_in_it",
            ),
            "the gradient of one action, not of all that a state has": (
                "float(finite.sum(axis=-1).max(initial=0.0))",
                "float(finite.max(axis=-1).max(initial=0.0))",
                OF_GRADIENT,
            ),
            "the total objective discounted": (
                'float(mdp.gamma) if kind == "discounted" else 1.0',
                'float(mdp.gamma) if kind != "average" else 1.0',
                RATIONAL,
            ),
            "the logits' gradient without π": (
                "return self.probabilities * self.visited(",
                "return self.visited(",
                f"{HORIZON}::test_the_gradients_are_derivatives_of_the_objective",
            ),
            "the gradient weighted by the visits of the step after": (
                "self.step_visitation[:-1, :, None] * table",
                "self.step_visitation[1:, :, None] * table",
                f"{HORIZON}::test_the_gradients_are_derivatives_of_the_objective",
            ),
        },
    ),
    *faults_in(
        "logtrick.support.rounding",
        TERMS,
        {
            "underflow left out of what rounding hides": (
                "relative * scale + TINY * (terms + 8)",
                "relative * scale + 0 * terms",
                f"{TERMS}::test_subnormal_rounding_of_what_is_hidden",
            ),
            "one product's underflow for that of all": (
                "relative * scale + TINY * (terms + 8)",
                "relative * scale + TINY * (0 * terms + 8)",
                f"{TERMS}::test_subnormal_rounding_of_what_is_hidden",
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.resolvent",
        TERMS,
        {
            "the residual left out of the values' bound": (
                "float((np.abs(missing) + rounding).max()) + error",
                "float(rounding.max()) + error",
                MISSING,
            ),
            "the residual's rounding left out of the values' bound": (
                "float((np.abs(missing) + rounding).max()) + error",
                "float(np.abs(missing).max()) + error",
                MISSING,
            ),
            "the right-hand side's error left out of the values' bound": (
                "float((np.abs(missing) + rounding).max()) + error",
                "float((np.abs(missing) + rounding).max())",
                MISSING,
            ),
            "the length of episodes left out of the values' bound": (
                "float(self.weights.max()) * largest",
                "largest",
                MISSING,
            ),
            "the residual left out of the visits' bound": (
                ERRORS,
                "rounding + error * np.abs(b)",
                MISSING,
            ),
            "the residual's rounding left out of the visits' bound": (
                ERRORS,
                "np.abs(missing) + error * np.abs(b)",
                MISSING,
            ),
            "the right-hand side's error left out of the visits' bound": (
                ERRORS,
                "np.abs(missing) + rounding",
                MISSING,
            ),
            "the length of episodes left out of the visits' bound": (
                "math.fsum((self.weights * errors).tolist())",
                "math.fsum(errors.tolist())",
                MISSING,
            ),
            "row sums taken for exact in the constant weight": (
                "float(row_sums.max()) * (1 + excess)",
                "float(row_sums.max())",
                ROW_SUMS,
            ),
            "the slack left out of the excess of row sums (dense)": (
                "EPS * per_row + slack,",
                "EPS * per_row,",
                (ROW_SUMS, SLACK),
            ),
            "the rounding left out of the excess of row sums (dense)": (
                "EPS * per_row + slack,",
                "slack,",
                ROW_SUMS,
            ),
            "the residual left out of the weights of long chains": (
                "float((1 - missing - rounding).min())",
                "float((1 - rounding).min())",
                LONG,
            ),
            "the residual's rounding left out of the weights of long chains": (
                "float((1 - missing - rounding).min())",
                "float((1 - missing).min())",
                LONG,
            ),
            "the weights of long chains not scaled up": (
                "return weights / least",
                "return weights",
                LONG,
            ),
            "the slack left out of the residual (dense)": (
                "relative_error(self.terms, slack)",
                "relative_error(self.terms, 0.0)",
                SLACK,
            ),
            "the number of terms left out of the residual (dense)": (
                "relative_error(self.terms, slack)",
                "relative_error(0, slack)",
                SUMS,
            ),
            "the right-hand side left out of the residual's scale (dense)": (
                DENSE_SCALE,
                DENSE_SCALE.removeprefix("np.abs(b) + "),
                DIFFERENCES,
            ),
            "the solution left out of the residual's scale (dense)": (
                DENSE_SCALE,
                DENSE_SCALE.replace("np.abs(x) + ", ""),
                DIFFERENCES,
            ),
            "the product left out of the residual's scale (dense)": (
                DENSE_SCALE,
                "np.abs(b) + np.abs(x)",
                DIFFERENCES,
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.residual_kernels",
        DIFFERENCES,
        {
            "the right-hand side left out of the residual's scale (sparse)": (
                "abs(b[row]) + abs(x[row]) + gamma * size",
                "abs(x[row]) + gamma * size",
            ),
            "the solution left out of the residual's scale (sparse)": (
                "abs(b[row]) + abs(x[row]) + gamma * size",
                "abs(b[row]) + gamma * size",
            ),
            "the product left out of the residual's scale (sparse)": (
                "abs(b[row]) + abs(x[row]) + gamma * size",
                "abs(b[row]) + abs(x[row])",
            ),
            "what the sum of a residual lost is not added": (
                "gamma * (total + lost)",
                "gamma * total",
                SUMS,
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.sparse_side",
        TERMS,
        {
            "the slack left out of the residual (sparse)": (
                "4 * EPS + slack",
                "4 * EPS",
                SLACK,
            ),
            "the slack left out of the excess of row sums (sparse)": (
                "EPS * chain.longest_row + slack,",
                "EPS * chain.longest_row,",
                (ROW_SUMS, SLACK),
            ),
            "the rounding left out of the excess of row sums (sparse)": (
                "EPS * chain.longest_row + slack,",
                "slack,",
                ROW_SUMS,
            ),
            "the transpose's residual that of the rows": (
                "SparseSide(chain.transposed(), gamma, slack)",
                "SparseSide(chain, gamma, slack)",
                SLACK,
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.chain",
        TERMS,
        {
            "the slack left out of the mass of a row": (
                "1.0 + EPS * (self.terms + 8) + self.slack",
                "1.0 + EPS * (self.terms + 8)",
                OF_FUNCTION,
            ),
            "rewards left out of a backup's scale": (
                "self.reward_scale + self.mass * size",
                "self.mass * size",
                CANCELLING,
            ),
            "values left out of a backup's scale": (
                "self.reward_scale + self.mass * size",
                "self.reward_scale",
                CHAIN_SUMS,
            ),
            "the slack left out of a backup's error": (
                "relative = relative_error(self.terms, self.slack)",
                "relative = relative_error(self.terms, 0.0)",
                CHAIN_SUMS,
            ),
            "the number of terms left out of a backup's error": (
                "relative = relative_error(self.terms, self.slack)",
                "relative = relative_error(0, self.slack)",
                CHAIN_SUMS,
            ),
            "rows that are off taken for distributions": (
                "mdp.row_defect + policy_defect(probabilities) + EPS * self._merged()",
                "policy_defect(probabilities) + EPS * self._merged()",
                OF_CHAIN,
            ),
            "a policy that is off taken for a distribution": (
                "mdp.row_defect + policy_defect(probabilities) + EPS * self._merged()",
                "mdp.row_defect + EPS * self._merged()",
                OF_CHAIN,
            ),
            "the rounding of merged outcomes left out": (
                "mdp.row_defect + policy_defect(probabilities) + EPS * self._merged()",
                "mdp.row_defect + policy_defect(probabilities)",
                f"{TERMS}::test_merged_outcomes_count",
            ),
            "a chain cut where it leaves the anchor": (
                "np.where(matrix.indices == anchor, 0.0, matrix.data)",
                "np.where(matrix.tocoo().row == anchor, 0.0, matrix.data)",
                "tests/exact/test_bounds.py::test_average",
            ),
            "an improper policy looked for at no γ": (
                "if gamma == 1:\n            self._check_proper()",
                "if gamma > 1:\n            self._check_proper()",
                "tests/exact/test_refusals.py::test_improper_policies_name_the_states",
            ),
        },
    ),
    *faults_in(
        "logtrick.mdp.row_sums",
        TERMS,
        {
            "the rounding of a policy's own sums left out": (
                "float(np.abs(sums - 1).max()) + terms * EPS / 2",
                "float(np.abs(sums - 1).max())",
                OF_CHAIN,
            ),
            "what a policy's sums lack left out": (
                "float(np.abs(sums - 1).max()) + terms * EPS / 2",
                "terms * EPS / 2",
                OF_CHAIN,
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.matrix_free",
        OF_FUNCTION,
        {
            "a function's excess left out of the slack": (
                "self.slack = mdp.row_excess + policy_defect(probabilities)",
                "self.slack = policy_defect(probabilities)",
            ),
            "the policy left out of the slack of a function": (
                "self.slack = mdp.row_excess + policy_defect(probabilities)",
                "self.slack = mdp.row_excess",
                OF_CHAIN,
            ),
            "a function's defect left out of the average's slack": (
                "self.slack += missing",
                "self.slack += 0.0",
            ),
            "the slack left out of the excess of row sums (function)": (
                "relative_error(self.terms, self.slack),",
                "relative_error(self.terms, 0.0),",
            ),
            "the slack left out of the residual (function)": (
                "relative_error(self.terms, self.chain.slack)",
                "relative_error(self.terms, 0.0)",
                f"{TERMS}::test_residuals_of_a_function_cover_slack_and_sums",
            ),
            "the number of terms left out of the residual (function)": (
                "relative_error(self.terms, self.chain.slack)",
                "relative_error(0, self.chain.slack)",
                f"{TERMS}::test_residuals_of_a_function_cover_slack_and_sums",
            ),
            "the terms of a row for those of a column (function)": (
                "return self.chain.arrivals",
                "return self.chain.terms",
                f"{TERMS}::test_residuals_of_a_function_cover_slack_and_sums",
            ),
            "the right-hand side left out of the residual's scale (function)": (
                FREE_SCALE,
                FREE_SCALE.removeprefix("np.abs(b) + "),
                DIFFERENCES,
            ),
            "the solution left out of the residual's scale (function)": (
                FREE_SCALE,
                FREE_SCALE.replace("np.abs(x) + ", ""),
                DIFFERENCES,
            ),
            "the product left out of the residual's scale (function)": (
                FREE_SCALE,
                "np.abs(b) + np.abs(x)",
                DIFFERENCES,
            ),
            "the rewards of missing actions in the scale": (
                "np.abs(mdp.rewards[mdp.available]).max()",
                "np.abs(mdp.rewards).min()",
                f"{HORIZON}::test_every_number_is_within_its_bound",
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.finite_horizon",
        OF_HORIZON,
        {
            "the next step's error not carried": (
                NEXT_STEP,
                "chain.backup_error(gamma * size)",
            ),
            "a step's own rounding left out": (
                NEXT_STEP,
                "gamma * chain.mass * errors[-1]",
            ),
            "the next step's error not discounted": (
                NEXT_STEP,
                NEXT_STEP.removeprefix("gamma * "),
            ),
            "the mass of a row taken for one over a horizon": (
                NEXT_STEP,
                NEXT_STEP.replace("gamma * chain.mass * errors", "gamma * errors"),
            ),
            "the error at the horizon told for all steps": (
                "error_bound=max(errors),",
                "error_bound=errors[-1],",
                CANCELLING,
            ),
            "the error of the visits before not carried": (
                FORWARD,
                "relative * mass",
            ),
            "a step's own rounding left out of the visits": (
                FORWARD,
                "gamma * chain.mass * error",
                OF_VISITS,
            ),
            "the visits' error of the last step for that of all": (
                "        total += error\n",
                "        total = error\n",
            ),
            "the slack left out of the visits over a horizon": (
                "relative_error(arrivals, chain.slack)",
                "relative_error(arrivals, 0.0)",
                OF_VISITS,
            ),
            "the number of arrivals left out of the visits' rounding": (
                "relative = relative_error(arrivals, chain.slack)",
                "relative = relative_error(0, chain.slack)",
                OF_VISITS,
            ),
            "the start taken for exact over a horizon": (
                "start_defect(mdp.start) * float(np.abs(mdp.start).sum())",
                "0.0",
            ),
            "the rounding of the visits' sum over steps left out": (
                "total + EPS * len(chains) * float(visits[:-1].sum())",
                "total",
                OF_VISITS,
            ),
            "the visits of the last step counted": (
                "visitation=visits[:-1].sum(axis=0),",
                "visitation=visits.sum(axis=0),",
                STORY,
            ),
            "the visits over a horizon not discounted": (
                "visits[t + 1] = gamma * chain.arrive(",
                "visits[t + 1] = chain.arrive(",
                STORY,
            ),
            "a horizon's values without γ": (
                "action_values_of(mdp, gamma * chain.expect(values[t + 1]))",
                "action_values_of(mdp, chain.expect(values[t + 1]))",
                STORY,
            ),
            "terminal values ignored": (
                "values[steps], errors = last, [0.0]",
                "values[steps], errors = 0 * last, [0.0]",
                f"{HORIZON}::test_every_number_is_within_its_bound",
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.gradient",
        HESSIANS,
        {
            "a gradient's error judged by that of the objective": (
                "result.gradient_error, size)",
                "result.objective_error, size)",
                f"{TERMS}::test_what_is_refused_is_judged_by_its_own_error",
            ),
            "the change of the visits left out of ∇²J": (
                "change = visits[:, None] * difference",
                "change = 0 * visits[:, None] * difference",
            ),
            "the arrivals' change not discounted": (
                "resolvent.visits(gamma * arrivals)",
                "resolvent.visits(arrivals)",
            ),
            "the change of Q without γ": (
                "return visits, gamma * chain.expect(values)",
                "return visits, chain.expect(values)",
            ),
            "the gain's change left out of the bias'": (
                "resolvent.values(paid - gain)",
                "resolvent.values(paid)",
            ),
            "the change of the distribution not brought to sum zero": (
                "visits = visits - visits.sum() * distribution",
                "visits = visits - 0 * distribution",
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.values",
        "tests/exact/test_slack.py",
        {
            "normalised visits that are not (inside a transform)": (
                "return traced / traced.sum() if normalised else traced",
                "return traced",
                TRACED,
            ),
            "normalised visits that are not": (
                "visits = shares(visits) if normalised else visits",
                "visits = visits",
                "tests/exact/test_slack.py::test_the_normalised_visits_meet_their_own_tolerance",
            ),
            "rewards taken for exact in `state_values`": (
                "values(chain.rewards, chain.reward_error)",
                "values(chain.rewards)",
                CANCELLING,
            ),
            "the start taken for exact in `visitation`": (
                "visits(mdp.start, start_defect(mdp.start))",
                "visits(mdp.start)",
                f"{TERMS}::test_the_visits_have_what_the_start_lacks_in_them",
            ),
            "a tolerance relative to small numbers too": (
                "bound <= tol * max(1.0, size)",
                "bound <= tol * size",
                "tests/exact/test_slack.py::test_a_tolerance_means_the_same_everywhere",
            ),
            "the values' error left out of the advantages'": (
                "error = values.bound + action_values_error(chain, mdp.gamma, values)",
                "error = action_values_error(chain, mdp.gamma, values)",
                f"{TERMS}::test_what_is_refused_is_judged_by_its_own_error",
            ),
            "the bias judged by the gain's error": (
                'within(tol, "the bias", result.error_bound',
                'within(tol, "the bias", result.objective_error',
                f"{TERMS}::test_what_is_refused_is_judged_by_its_own_error",
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.curvature",
        CURVATURE,
        {
            "the normalised natural gradient not multiplied back": (
                "x * (float(result.visitation.sum()) if normalised else 1.0)",
                "x",
                f"{CURVATURE}::test_fisher_products_and_natural_gradient",
            ),
            "Fisher's matrix not normalised": (
                "_weights(result) / (visits if normalised else 1.0)",
                "_weights(result)",
                f"{CURVATURE}::test_fisher_products_and_natural_gradient",
            ),
            "Fisher's weights without 1/π": (
                "result.visitation[:, None] / np.where(table > 0, table, 1.0)",
                "result.visitation[:, None]",
                f"{CURVATURE}::test_fisher_products_and_natural_gradient",
            ),
            "Fisher's matrix not normalised inside a transform": (
                "visits = visits / visits.sum() if normalised else visits",
                "visits = visits",
                NATURAL_TRACED,
            ),
            "the normalised natural gradient not multiplied back inside a transform": (
                "(jnp.sqrt(visits.sum()) if normalised else 1.0)",
                "1.0",
                NATURAL_TRACED,
            ),
            "the normalised natural gradient multiplied twice inside a transform": (
                "(jnp.sqrt(visits.sum()) if normalised else 1.0)",
                "(visits.sum() if normalised else 1.0)",
                NATURAL_TRACED,
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.traced",
        TRACED,
        {
            "Q without γ inside a transform": (
                "self.pair_rewards + gamma * self._expect(values)",
                "self.pair_rewards + self._expect(values)",
            ),
            "I − P in the place of I − γP inside a transform": (
                "jnp.eye(self.mdp.num_states) - gamma * self.matrix()",
                "jnp.eye(self.mdp.num_states) - self.matrix()",
            ),
            "the visits by the rows of P inside a transform": (
                "_dense(matrix), _dense(matrix.T)",
                "_dense(matrix), _dense(matrix)",
            ),
            "the bias not centred inside a transform": (
                "return gain, shifted - distribution @ shifted, distribution",
                "return gain, shifted, distribution",
            ),
            "the derivative of a gain where rows leave one": (
                "gain = gain - constant * (jax.lax.stop_gradient(distribution) @ excess)",
                "gain = gain - 0 * constant * (jax.lax.stop_gradient(distribution) @ excess)",
                "tests/exact/test_transforms.py"
                "::test_the_average_gradient_of_a_table_is_the_one_of_g3",
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.tables",
        "tests/exact/test_refusals.py",
        {
            "mass on actions that a state does not have": (
                "jax.nn.softmax(logits, axis=-1, where=available)",
                "jax.nn.softmax(logits, axis=-1)",
                "tests/exact/test_refusals.py::test_logits_of_missing_actions_are_minus_infinity",
            ),
            "every step of a horizon by the first step's policy": (
                "_checked_table(model, array[t]) for t in range(horizon)",
                "_checked_table(model, array[0]) for t in range(horizon)",
                f"{HORIZON}::test_what_solve_returns_attains_what_it_says",
            ),
        },
    ),
    *faults_in(
        "logtrick.exact.histories",
        HISTORIES,
        {
            "the action of the history before": (
                "last = jnp.sum(history >= 0) - 1",
                "last = jnp.maximum(jnp.sum(history >= 0) - 2, 0)",
                f"{HISTORIES}::test_the_exact_gradient_of_a_policy_with_memory",
            ),
            "an end taken for a state among others in a tree": (
                "                    over.append(terminated)",
                "                    over.append(False)",
            ),
            "a tree's starts in the wrong order": (
                "base.start[base.start > 0]",
                "base.start[base.start > 0][::-1]",
            ),
        },
    ),
)
