"""Faults of `logtrick.planning`: each term of each certificate, then searches and sweeps."""

from faults import faults_in

TERMS = "tests/planning/test_certificate_terms.py"
V5 = f"{TERMS}::test_V5_holds_for_every_backup_within_the_rounding_model"
V5_MASSES = f"{TERMS}::test_V5_takes_the_worse_of_the_masses"
V5_SUMS = f"{TERMS}::test_V5_rounds_its_own_sums_up"
V7 = f"{TERMS}::test_V7_holds_for_every_backup_within_the_rounding_model"
V6_ROOM = f"{TERMS}::test_V6_leaves_room_for_the_rounding_of_its_checks"
V6_SIZES = f"{TERMS}::test_V6_bounds_values_by_all_that_they_may_be"
V6_SIDES = f"{TERMS}::test_V6_bounds_what_the_policy_loses_and_what_is_gained"
V6_CHECKS = f"{TERMS}::test_V6_checks_both_sides_with_rounding"
LOSING = f"{TERMS}::test_a_backup_whose_additions_all_lose"
UNDERFLOW = f"{TERMS}::test_a_backup_whose_products_underflow"
UNEVEN = f"{TERMS}::test_a_backup_of_rows_that_are_off_by_rounding"
MASSES = f"{TERMS}::test_masses_are_rounded_outwards"
REWARDS = f"{TERMS}::test_optima_of_large_rewards_that_cancel"
CARRIED = f"{TERMS}::test_a_horizon_carries_the_error_of_the_next_step"
CYCLE = f"{TERMS}::test_the_gain_of_a_cycle_has_its_rounding_in_it"
MEANINGS = "tests/planning/test_meanings.py"
KERNELS = "tests/planning/test_kernels.py"
TRAPS = "tests/planning/test_traps.py"
GATES = "tests/planning/test_gates.py"
OPTIMA = "tests/planning/test_optimal_bounds.py"
SOLVER = "tests/planning/test_solver.py"
COMPONENTS = "tests/planning/test_components.py"

RELATIVE = "1.01 * (self.terms * UNIT_ROUNDOFF + self.defect)"
RESIDUAL = "Enclosure(backup.low - error, backup.high + error), error"
SUM = "bound * factor + abs(bound) * factor * slack + TINY"
NEXT_STEP = "error * rounding.gamma * rounding.most_mass + rounding.backup_error(size)"
EPSILON = "1.1 * (max(backup.high, -low) + 4 * error)"

FAULTS = (
    *faults_in(
        "logtrick.planning.certificates",
        TERMS,
        {
            "the number of outcomes left out of the rounding model": (
                "operator.limits, operator.limits.outcomes + 6",
                "operator.limits, 6",
                LOSING,
            ),
            "rows that are off taken for distributions by the solver": (
                "limits.defect + 2 * UNIT_ROUNDOFF",
                "2 * UNIT_ROUNDOFF",
                UNEVEN,
            ),
            "the least mass not rounded down": (
                "max(limits.least_mass * (1 - slack), 0.0)",
                "limits.least_mass",
                MASSES,
            ),
            "the greatest mass not rounded up": (
                "limits.most_mass * (1 + slack)",
                "limits.most_mass",
                MASSES,
            ),
            "rewards left out of the solver's scale": (
                "self.reward_scale + self.gamma * self.most_mass * size",
                "self.gamma * self.most_mass * size",
                f"{TERMS}::test_a_backup_of_nothing_but_rewards_that_cancel",
            ),
            "values left out of the solver's scale": (
                "self.reward_scale + self.gamma * self.most_mass * size",
                "self.reward_scale",
                LOSING,
            ),
            "the defect left out of a backup's error": (
                RELATIVE,
                "1.01 * self.terms * UNIT_ROUNDOFF",
                UNEVEN,
            ),
            "the roundings left out of a backup's error": (
                RELATIVE,
                "1.01 * self.defect",
                LOSING,
            ),
            "underflow left out of a backup's error": (
                "relative * magnitude + self.terms * TINY",
                "relative * magnitude",
                UNDERFLOW,
            ),
            "the values themselves taken to be as small as T v": (
                "backup.size + max(abs(backup.low), abs(backup.high))",
                "backup.size",
                V5,
            ),
            "a residual whose low end has no rounding": (
                RESIDUAL,
                "Enclosure(backup.low, backup.high + error), error",
                V7,
            ),
            "a residual whose high end has no rounding": (
                RESIDUAL,
                "Enclosure(backup.low - error, backup.high), error",
                V7,
            ),
            "the error of T v itself left out below (V5)": (
                "-_discounted_sum(-difference.low, rounding) - error,",
                "-_discounted_sum(-difference.low, rounding),",
                V5,
            ),
            "the error of T v itself left out above (V5)": (
                "_discounted_sum(difference.high, rounding) + error,",
                "_discounted_sum(difference.high, rounding),",
                V5,
            ),
            "the greatest mass for losses too (V5)": (
                "rounding.most_mass if bound > 0 else rounding.least_mass",
                "rounding.most_mass",
                V5_MASSES,
            ),
            "the masses the wrong way round (V5)": (
                "rounding.most_mass if bound > 0 else rounding.least_mass",
                "rounding.least_mass if bound > 0 else rounding.most_mass",
                V5_MASSES,
            ),
            "the rounding of the geometric sum left out (V5)": (
                SUM,
                "bound * factor + TINY",
                V5_SUMS,
            ),
            "the underflow of the geometric sum left out (V5)": (
                SUM,
                "bound * factor + abs(bound) * factor * slack",
                V5_SUMS,
            ),
            "the sum from t = 0, not 1 (V5)": (
                "factor, slack = ratio / (1 - ratio),",
                "factor, slack = 1 / (1 - ratio),",
                f"{TERMS}::test_V5_is_no_wider_than_it_must_be",
            ),
            "the width of an interval not rounded up": (
                "(self.high - self.low) * (1 + 2 * UNIT_ROUNDOFF)",
                "self.high - self.low",
                f"{TERMS}::test_the_width_of_an_interval_is_rounded_up",
            ),
            "advice that asks for a tolerance in absolute numbers": (
                "ask for tol={2 * floor / max(1.0, size):.1g} or more",
                "ask for tol={2 * floor:.1g} or more",
                f"{MEANINGS}::test_a_floor_of_large_values_asks_for_what_then_works",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.horizon",
        CARRIED,
        {
            "the solver's next step not carried": (
                NEXT_STEP,
                "rounding.backup_error(size)",
            ),
            "the solver's own step left out": (
                NEXT_STEP,
                "error * rounding.gamma * rounding.most_mass",
            ),
            "the solver's next step not discounted": (
                NEXT_STEP,
                "error * rounding.most_mass + rounding.backup_error(size)",
                f"{TERMS}::test_a_horizon_carries_what_goes_on",
            ),
            "the solver's next step without the mass that goes on": (
                NEXT_STEP,
                "error * rounding.gamma + rounding.backup_error(size)",
                f"{TERMS}::test_a_horizon_carries_what_goes_on",
            ),
            "what the policy loses over a horizon taken for what values err": (
                "return HorizonSolution(values, choices, 2 * error)",
                "return HorizonSolution(values, choices, error)",
            ),
            "a horizon's tolerance against half of its bound": (
                "if not 2 * error <= tol * max(1.0, largest)",
                "if not error <= tol * max(1.0, largest)",
                f"{TERMS}::test_the_tolerance_of_a_horizon_is_that_of_its_bound",
            ),
            "the size of terminal values left out of the rounding": (
                "error, size = 0.0, float(np.abs(last).max())",
                "error, size = 0.0, 0.0",
                f"{TERMS}::test_a_horizon_carries_what_goes_on",
            ),
            "terminal values ignored by the solver": (
                "values[horizon] = last",
                "values[horizon] = 0 * last",
                f"{MEANINGS}::test_a_horizon_ends_in_its_terminal_values",
            ),
            "the choices of a horizon one step late": (
                "values[t + 1], values[t], choices[t])",
                "values[t + 1], values[t], choices[t - 1])",
                "tests/exact/test_horizon.py::test_what_solve_returns_attains_what_it_says",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.steps",
        V6_ROOM,
        {
            "the residual left out of V6": (
                EPSILON,
                "1.1 * 4 * error",
            ),
            "the rounding of the residual left out of V6": (
                EPSILON,
                "1.1 * max(backup.high, -low)",
            ),
            "the policy's own residual left out of V6": (
                EPSILON,
                "1.1 * (backup.high + 4 * error)",
                (V6_ROOM, V6_SIDES),
            ),
            "values taken to be no larger than T v (V6)": (
                "present = backup.size + max(backup.high, -backup.low)",
                "present = backup.size",
                V6_SIZES,
            ),
            "v ± εh taken to be no larger than v (V6)": (
                "size = present + factor * epsilon * longest",
                "size = present",
                V6_SIZES,
            ),
            "the checks of V6 without their rounding": (
                "allowed = -rounding.backup_error(size)",
                "allowed = 0.0 * size",
                V6_CHECKS,
            ),
            "the upper side of V6 alone": ("if above and below:", "if above:", V6_CHECKS),
            "the lower side of V6 alone": ("if above and below:", "if below:", V6_CHECKS),
            "what the policy loses left out of V6": (
                "Proof(float((upper - lower).max()) * (1 + 1e-15), floor, longest)",
                "Proof(float((upper - values).max()) * (1 + 1e-15), floor, longest)",
                V6_SIDES,
            ),
            "h not scaled so that h ≥ 1 + P h": (
                "return steps / (1 - 3 * SLACK), nothing",
                "return steps, nothing",
                f"{TERMS}::test_h_counts_at_least_one_for_each_step",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.total",
        TRAPS,
        {
            "the rounding of a cycle's gain left out": (
                "Rounding.of(operator).backup_error(float(np.abs(answer.x).max()))",
                "0.0",
                CYCLE,
            ),
            "a cycle refused whose gain may be positive": (
                "if gain.low > 0:",
                "if gain.high > 0:",
                f"{TRAPS}::test_a_cycle_is_refused_for_what_it_surely_earns",
            ),
            "going round for nothing taken for a value": (
                "free = end_components(operator, ~pays & ~ends)",
                "free = end_components(operator, pays & ~pays)",
                TRAPS + "::test_going_round_for_nothing_is_not_taken_for_a_value",
            ),
            "merged states that stay where they are": (
                "pairs[operator.pair_states[way_out]] = way_out",
                "pairs[:] = np.maximum(pairs, operator.pair_offsets[:-1].astype(np.int64))",
                TRAPS + "::test_merged_states_walk_to_the_best_way_out",
            ),
            "a policy that never ends followed": (
                "choice[~proper] = self._choice(back)[~proper]",
                "choice[proper] = self._choice(back)[proper]",
                TRAPS + "::test_a_policy_that_pays_for_ever_is_led_out",
            ),
            "the sign of an endless fall": (
                "earns = -gain.low if self.wording.minimise else gain.low",
                "earns = gain.low",
                MEANINGS + "::test_an_endless_fall_is_named",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.spanning",
        MEANINGS,
        {
            "the missing constant not added": (
                "    spare += interval.middle\n",
                "",
                GATES + "::test_puterman_two_states",
            ),
            "the low end of the interval for its middle": (
                "spare += interval.middle",
                "spare += interval.low",
                f"{TERMS}::test_values_stand_in_the_middle_of_their_interval",
            ),
            "a search that stops at twice the tolerance": (
                "if bound <= goal:",
                "if 0.5 * bound <= goal:",
                f"{TERMS}::test_a_search_stops_where_its_bound_is_met",
            ),
            "the size of a guess for that of the values": (
                "size if self.pinned else abs(backup.size - size)",
                "size if self.pinned else backup.size + size",
                MEANINGS + "::test_a_guess_that_is_too_large_does_not_loosen_the_bound",
            ),
            "averages judged by the size of the bias": (
                "size if self.pinned else abs(backup.size - size)",
                "backup.size if self.pinned else abs(backup.size - size)",
                f"{MEANINGS}::test_averages_with_a_large_bias_are_judged_by_the_gain",
            ),
            "a bias that is not 0 in the first state": (
                "Found(values - values[0], choice",
                "Found(values, choice",
                f"{MEANINGS}::test_averages_with_a_large_bias_are_judged_by_the_gain",
            ),
            "the low end of the gain for its middle": (
                "bound, iteration, interval.middle)",
                "bound, iteration, interval.low)",
                f"{TERMS}::test_values_stand_in_the_middle_of_their_interval",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.solver",
        MEANINGS,
        {
            "the least values with the sign of the greatest": (
                "values = sign * found.values + 0.0",
                "values = found.values + 0.0",
                MEANINGS + "::test_the_least_values_are_those_of_the_other_sign",
            ),
            "the least gain with the sign of the greatest": (
                "None if found.gain is None else sign * found.gain",
                "found.gain",
                f"{MEANINGS}::test_least_and_greatest_gains",
            ),
            "the least terminal values with the sign of the greatest": (
                "_planned(operator, horizon, sign * last, tol",
                "_planned(operator, horizon, last, tol",
                "tests/exact/test_horizon.py::test_what_solve_returns_attains_what_it_says",
            ),
            "a total that is discounted": (
                'gamma = mdp.gamma if kind == "discounted" else 1.0',
                "gamma = mdp.gamma",
                f"{MEANINGS}::test_a_total_is_not_discounted",
            ),
            "an outcome of probability 0 that pays": (
                "real & (mdp.rewards != 0)",
                "mdp.rewards != 0",
                f"{TRAPS}::test_what_never_comes_pays_nothing",
            ),
            "an outcome of probability 0 that ends": (
                "np.logical_or.reduceat(real & mdp.terminated, first)",
                "np.logical_or.reduceat(mdp.terminated, first)",
                f"{TRAPS}::test_what_never_comes_pays_nothing",
            ),
            "two places to stay of which only one way was looked at": (
                "((one, other), (other, one))",
                "((one, other),)",
                f"{TRAPS}::test_two_closed_classes_are_named",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.operators",
        KERNELS,
        {
            "what ends goes on": (
                "np.where(mdp.terminated, 0.0, probabilities)",
                "probabilities",
                KERNELS + "::test_what_ends_has_no_weight",
            ),
            "the last block's extremes for those of all": (
                "Backup(float(low.min()), float(high.max())",
                "Backup(float(low[-1]), float(high[-1])",
                f"{KERNELS}::test_backup",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.sparse.chains",
        KERNELS,
        {
            "a chain's extremes the wrong way round": (
                "return float(low.min()), float(high.max())",
                "return float(low.max()), float(high.min())",
                f"{KERNELS}::test_products_and_sweeps_of_a_chain",
            ),
            "outcomes of probability 0 that stay": (
                "mdp.terminated | (mdp.probabilities == 0)",
                "mdp.terminated",
                f"{TRAPS}::test_what_never_comes_pays_nothing",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.sparse.sweep_kernels",
        KERNELS,
        {
            "a choice that wanders among ties": (
                "better = best > kept + margin",
                "better = best >= kept + margin",
                KERNELS + "::test_a_choice_changes_only_for_more_than_the_margin",
            ),
            "the size of v for that of T v": (
                "best - values[s], abs(best)",
                "best - values[s], abs(values[s])",
                KERNELS + "::test_backup",
            ),
            "the last outcome of a long row left out": (
                "    while k < end:\n        fetch_gathered(",
                "    while k + _1 < end:\n        fetch_gathered(",
                KERNELS + "::test_backup",
            ),
            "a sweep that uses old values only": (
                "inside = begin <= s_next and s_next < finish",
                "inside = s_next < begin",
                KERNELS + "::test_gauss_seidel_sweep_uses_new_values_within_a_block",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.sparse.row_kernels",
        KERNELS,
        {
            "the mass of what ends counted as going on": (
                "mass += 0.0 if terminated[k] else probabilities[k]",
                "mass += probabilities[k]",
                (KERNELS, MASSES),
            ),
            "the defect of a row of its last pair": (
                "furthest = defect if defect > furthest else furthest",
                "furthest = defect",
                (UNEVEN, KERNELS),
            ),
            "rewards that are not weighted": (
                "total += probabilities[k] * rewards[k]",
                "total += rewards[k]",
                GATES + "::test_forest",
            ),
            "a policy's new rows where its old ones do not fit": (
                "if end - k != offsets[s + _1] - offsets[s]:",
                "if end - k > offsets[s + _1] - offsets[s]:",
                KERNELS + "::test_the_chain_that_is_followed_is_that_of_the_policy",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.sparse.krylov",
        KERNELS,
        {
            "a factorised system without γ": (
                "sparse.eye_array(rows) - gamma * chain.matrix()",
                "sparse.eye_array(rows) - chain.matrix()",
                KERNELS + "::test_krylov_solves_values_and_visits",
            ),
            "a residual by its high end alone": (
                "return max(self.high, -self.low)",
                "return self.high",
                KERNELS,
            ),
            "the gain left out of a factorised residual": (
                "shift = 0.0 if pin is None else float(x[pin])",
                "shift = 0.0",
                KERNELS + "::test_gain_and_bias_by_a_pinned_state",
            ),
        },
    ),
    *faults_in(
        "logtrick.planning.components",
        COMPONENTS,
        {
            "components that their pairs may leave": (
                "        internal &= ~leaves\n",
                "        return EndComponents(labels, internal & ~leaves)\n",
            ),
            "a way out that is lost when states are merged": (
                "kept = np.flatnonzero(~components.internal)",
                "kept = np.flatnonzero(~components.internal)[:-1]",
            ),
            "steps to the end from where one is at the goal": (
                "    rows[goal] = NONE\n",
                "",
                COMPONENTS + "::test_paths_step_nearer",
            ),
        },
    ),
)
