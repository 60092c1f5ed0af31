"""Faults of `logtrick.algorithms` and of the steps that they take."""

from faults import faults_in

LEARNING = "tests/algorithms/test_learning.py"
UPDATE = "tests/algorithms/test_update.py"
NORMALISATION = "tests/algorithms/test_normalisation.py"
GROUPED = "tests/algorithms/test_grouped.py"
NATURAL = "tests/algorithms/test_natural.py"
BAND = f"{LEARNING}::test_the_penalty_adapts_at_the_edges_of_its_band"
STOPS = f"{LEARNING}::test_target_kl_stops_exactly_where_a_minibatch_exceeds_it"
GRADIENT = f"{UPDATE}::test_the_loss_has_the_policy_gradient_of_one_batch"
EPISODES = f"{UPDATE}::test_a_batch_is_the_sum_of_its_episodes"
PADDING = f"{UPDATE}::test_rows_that_are_no_transition_change_nothing"
CUTS = f"{UPDATE}::test_truncation_bootstraps_and_termination_does_not"
ADAM = f"{UPDATE}::test_adam_takes_the_steps_of_the_paper"
WEIGHED = f"{UPDATE}::test_the_bonus_raises_the_entropy_and_the_coefficients_weigh"
TRPO = f"{LEARNING}::test_trpo_keeps_its_divergence_within_the_radius_and_improves"
FORMULAS = f"{GROUPED}::test_the_loop_ascends_what_the_formulas_say"
MOMENTS = f"{NORMALISATION}::test_merged_moments_are_those_of_everything_seen"
RETURNS = (
    f"{NORMALISATION}::test_the_return_starts_anew_with_each_episode_and_goes_on_between_batches"
)
KEYS = f"{LEARNING}::test_every_key_is_used_once"
APART = f"{GROUPED}::test_a_group_starts_in_one_state_and_acts_apart"
ENTROPY = f"{LEARNING}::test_trpo_counts_the_entropy_and_refuses_what_does_not_improve"

FAULTS = (
    *faults_in(
        "logtrick.algorithms.learning",
        LEARNING,
        {
            "a rate that turns negative after its run": (
                "left = jnp.maximum(1 - done, 0.0)",
                "left = 1 - done",
                f"{LEARNING}::test_schedules_fall_from_all_to_nothing",
            ),
            "a cosine that rises": (
                "0.5 * (1 - jnp.cos(jnp.pi * left))",
                "0.5 * (1 + jnp.cos(jnp.pi * left))",
                f"{LEARNING}::test_schedules_fall_from_all_to_nothing",
            ),
            "β halved wherever the KL is below its target": (
                "kl < target / KL_TOLERANCE",
                "kl < target",
                BAND,
            ),
            "β halved on the lower edge of its band": (
                "kl < target / KL_TOLERANCE",
                "kl <= target / KL_TOLERANCE",
                BAND,
            ),
            "the lower edge of β's band too low": (
                "kl < target / KL_TOLERANCE",
                "kl < target / KL_TOLERANCE**2",
                BAND,
            ),
            "β doubled on the upper edge of its band": (
                "kl > target * KL_TOLERANCE",
                "kl >= target * KL_TOLERANCE",
                BAND,
            ),
            "β doubled where it should be halved": (
                "kl_coef / 2, kl_coef)",
                "kl_coef * 2, kl_coef)",
                BAND,
            ),
            "β that vanishes": (
                "return jnp.clip(moved, *KL_COEF_RANGE)",
                "return moved",
                f"{LEARNING}::test_the_coefficient_comes_back_however_long_it_fell_or_rose",
            ),
            "β adapts to the mean KL of the minibatches": (
                '        parts["kl"] = mean_kl(old, forward(model, batch)[0], batch.valid)\n',
                "",
                f"{LEARNING}::test_the_divergence_is_that_of_the_whole_update",
            ),
            "the KL the wrong way round": (
                "mean_kl(old, forward(model, batch)[0], batch.valid)",
                "mean_kl(forward(model, batch)[0], old, batch.valid)",
                f"{LEARNING}::test_the_divergence_is_that_of_the_whole_update",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.configs",
        LEARNING,
        {
            "the clip falls as the learning rate does": (
                '{"clip_eps": self.clip_schedule}',
                '{"clip_eps": self.schedule}',
                f"{LEARNING}::test_schedules_fall_from_all_to_nothing",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.learning",
        UPDATE,
        {
            "the entropy's sign": (
                'total = parts["policy_loss"] - algorithm.entropy_coef * parts["entropy"]',
                'total = parts["policy_loss"] + algorithm.entropy_coef * parts["entropy"]',
                WEIGHED,
            ),
            "γ^t missing from the policy's loss": (
                "_mean(policy, batch.weight, batch)",
                "_mean(policy, batch.valid, batch)",
                GRADIENT,
            ),
            "the value loss not weighed": (
                'total + algorithm.value_coef * parts["value_loss"]',
                'total + parts["value_loss"]',
                WEIGHED,
            ),
            "a mean over the padding too": (
                "jnp.maximum(jnp.sum(batch.valid), 1.0)",
                "batch.valid.size",
                (PADDING, EPISODES),
            ),
            "padding in the whitening of a minibatch": (
                "whitened(estimates, batch.valid > 0)",
                "whitened(estimates, batch.valid >= 0)",
                PADDING,
            ),
            "an approximate KL the wrong way round": (
                "_mean(psi.k3(batch.log_prob, log_prob), batch.valid, batch)",
                "_mean(psi.k3(log_prob, batch.log_prob), batch.valid, batch)",
                (STOPS, f"{UPDATE}::test_the_approximate_kl_is_that_of_the_old_policy"),
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.learning",
        UPDATE,
        {
            "γ^t in the critic's loss": (
                "self.value_loss(algorithm, values, batch), batch.valid, batch\n            )",
                "self.value_loss(algorithm, values, batch), batch.weight, batch\n            )",
                f"{UPDATE}::test_the_critics_loss_is_not_discounted",
            ),
            "an update stopped at its target KL, not 1.5 times that": (
                "else KL_TOLERANCE * target",
                "else target",
                STOPS,
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.update",
        UPDATE,
        {
            "Adam's ε": (
                "optax.scale_by_adam(eps=eps)",
                "optax.scale_by_adam()",
                ADAM,
            ),
            "the norm limited after Adam": (
                "optax.chain(optax.clip_by_global_norm(algorithm.max_grad_norm), precondition)",
                "optax.chain(precondition, optax.clip_by_global_norm(algorithm.max_grad_norm))",
                f"{UPDATE}::test_the_gradient_is_limited_before_it_is_preconditioned",
            ),
            "uphill": (
                "lambda p, u: p - learning_rate * u",
                "lambda p, u: p + learning_rate * u",
                ADAM,
            ),
            "the step that exceeds the KL taken": (
                "jnp.where(going, new, old), following, carry)",
                "jnp.where(going, new, new), following, carry)",
                STOPS,
            ),
            "means over the steps that were left out": (
                "jnp.sum(jnp.where(taken, x, 0)) / count",
                "jnp.sum(jnp.where(taken, x, 0)) / len(taken)",
                STOPS,
            ),
            "one order of the rows for all epochs": (
                "words = jax.random.bits(key, (count, size), jnp.uint32)",
                "words = jnp.tile(jax.random.bits(key, (1, size), jnp.uint32), (count, 1))",
                f"{UPDATE}::test_every_epoch_has_an_order_of_its_own",
            ),
            "the last row in no epoch": (
                "return (jax.lax.sort(packed, dimension=1, is_stable=False) & low)"
                ".astype(jnp.int32)",
                "return (jax.lax.sort(packed, dimension=1, is_stable=False) & low)"
                ".astype(jnp.int32) % (size - 1)",
                f"{UPDATE}::test_every_epoch_sees_every_row_once",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.estimation",
        UPDATE,
        {
            "the advantage for the value's target": (
                "return estimates, estimates + values",
                "return estimates, estimates",
                f"{UPDATE}::test_value_targets_are_lambda_returns",
            ),
            "γ^t missing from the weights": (
                "weight = weight * discounts(algorithm.gamma, steps, dtype)",
                "weight = weight * discounts(algorithm.gamma, 0 * steps, dtype)",
                GRADIENT,
            ),
            "γ^t twice where ψ has it": (
                "steps = t.step - step_in_episode(t.terminated | t.truncated)",
                "steps = t.step",
                f"{UPDATE}::test_total_return_comes_with_its_discount",
            ),
            "truncation taken for termination in training": (
                '"terminated": t.terminated,',
                '"terminated": t.terminated | t.truncated,',
                CUTS,
            ),
            "a truncation that cuts nothing in training": (
                '"truncated": t.truncated,',
                '"truncated": t.truncated & False,',
                EPISODES,
            ),
            "the value of the next row for that of what was reached": (
                "state_value(t.obs), state_value(t.next_obs)",
                "state_value(t.obs), jnp.roll(state_value(t.obs), -1, axis=1)",
                CUTS,
            ),
            "padding in the whitening of a batch": (
                "estimates = whitened(estimates, t.valid)",
                "estimates = whitened(estimates, t.valid | True)",
                PADDING,
            ),
            "padding that is not masked": (
                "return jnp.where(over_axes(valid, x), x, jnp.zeros((), x.dtype))",
                "return x",
                PADDING,
            ),
            "a memory that outlives its episode": (
                "batch._replace(begins=t.step == 0, carry=carry)",
                "batch._replace(begins=t.step < 0, carry=carry)",
                GROUPED + "::test_memory_is_unrolled_from_each_start",
            ),
            "the target that is explained taken for the error": (
                "share = errors.variance() / own.variance()",
                "share = own.variance() / errors.variance()",
                f"{UPDATE}::test_the_explained_share_of_known_targets",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.program",
        LEARNING,
        {
            "one key for the noise of all rows": (
                "keys = jax.random.split(key_rollout, num_envs)",
                "keys = jnp.repeat(key_rollout[None], num_envs, axis=0)",
                APART,
            ),
            "the key of an update used again by the next": (
                "key, key_learn = jax.random.split(state.key)",
                "key, key_learn = state.key, jax.random.split(state.key)[1]",
                KEYS,
            ),
            "padding counted as steps": (
                "steps=state.steps + jnp.sum(trajectory.valid, dtype=jnp.uint32)",
                "steps=state.steps + jnp.uint32(trajectory.valid.size)",
                "tests/rollouts/test_evaluation.py"
                "::test_whole_episodes_end_where_they_end_and_none_is_passed",
            ),
            "actors updated one update late": (
                "algorithm.actors_sync(state.updates + 1)",
                "algorithm.actors_sync(state.updates)",
                f"{LEARNING}::test_actors_get_the_parameters_when_they_are_due",
            ),
            "actors that never lag": (
                "model, episodic = self.model(state.actor), self.algorithm.episodic",
                "model, episodic = self.model(state.params), self.algorithm.episodic",
                f"{LEARNING}::test_actors_get_the_parameters_when_they_are_due",
            ),
            "a seed that is done goes on": (
                "keep = state.steps < total",
                "keep = state.steps <= total",
                f"{LEARNING}"
                "::test_a_seed_that_has_learned_from_its_steps_stands_still_while_others_go_on",
            ),
            "moments of observations that move before the update": (
                "        model = self.model(state.params)\n        key, key_learn",
                "        model = self.model(state.params)\n"
                "        if isinstance(model, Normalised):\n"
                "            model = model.observe(trajectory.obs, trajectory.valid)\n"
                "        key, key_learn",
                (
                    f"{NORMALISATION}::test_the_ratio_is_one_where_an_update_begins",
                    NORMALISATION,
                ),
            ),
            "returns told of the scaled rewards": (
                "| episodes(trajectory)",
                "| episodes(learned._replace(episode_return=jnp.cumsum(learned.reward, -1)))",
                f"{NORMALISATION}::test_training_learns_from_normalised_and_reports_what_came",
            ),
            "rewards normalised and not learned from": (
                "learned = trajectory._replace(reward=rewards)",
                "learned = trajectory._replace(reward=trajectory.reward)",
                f"{NORMALISATION}::test_training_learns_from_normalised_and_reports_what_came",
            ),
            "the memory after a rollout for that before": (
                "None if state.rows is None else state.rows.carry",
                "None if state.rows is None else rows.carry",
                f"{LEARNING}::test_memories_are_those_before_the_rollout",
            ),
            "the policy being trained for the one before training": (
                "reference = None if state.reference is None else self.model(state.reference)",
                "reference = None if state.reference is None else model",
                f"{GROUPED}::test_the_reference_is_the_policy_before_training",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.normalisation",
        NORMALISATION,
        {
            "merged variances without the gap of the means": (
                "within + share * (1 - share) * gap**2",
                "within",
                MOMENTS,
            ),
            "each batch weighed like all before": (
                "share = added / jnp.maximum(self.count + added, 1)",
                "share = jnp.asarray(0.5)",
                MOMENTS,
            ),
            "a return that goes on over episodes": (
                "reward + gamma * jnp.where(step == 0, 0.0, g)",
                "reward + gamma * g",
                RETURNS,
            ),
            "a return without γ": (
                "reward + gamma * jnp.where(step == 0, 0.0, g)",
                "reward + jnp.where(step == 0, 0.0, g)",
                RETURNS,
            ),
            "a return that starts anew with each batch": (
                "jax.lax.scan(follow, self.returns, columns)",
                "jax.lax.scan(follow, 0 * self.returns, columns)",
                RETURNS,
            ),
            "rewards scaled by what was known a batch ago": (
                "t.reward / jnp.sqrt(moments.variance + EPS)",
                "t.reward / jnp.sqrt(self.moments.variance + EPS)",
                RETURNS,
            ),
            "rewards scaled by the variance": (
                "t.reward / jnp.sqrt(moments.variance + EPS)",
                "t.reward / (moments.variance + EPS)",
                RETURNS,
            ),
            "padding in the moments": (
                "added = jnp.sum(valid).astype(self.count.dtype)",
                "added = jnp.asarray(valid.size).astype(self.count.dtype)",
                f"{NORMALISATION}::test_rows_that_are_no_transition_do_not_count",
            ),
            "gradient steps that move the moments": (
                "not isinstance(leaf, RunningMoments) and eqx.is_inexact_array(leaf)",
                "isinstance(leaf, RunningMoments) or eqx.is_inexact_array(leaf)",
                f"{NORMALISATION}::test_gradient_steps_do_not_move_the_moments",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.trust_region",
        TRPO,
        {
            "a step beyond the radius": (
                "return better & (divergence(candidate) <= algorithm.max_kl)",
                "return better",
            ),
            "a step that improves nothing": (
                "return better & (divergence(candidate) <= algorithm.max_kl)",
                "return divergence(candidate) <= algorithm.max_kl",
                ENTROPY,
            ),
            "the entropy left out of the surrogate": (
                "return gain + algorithm.entropy_coef * entropy, parts",
                "return gain, parts",
                ENTROPY,
            ),
            "γ^t missing from the surrogate": (
                "jnp.sum(jnp.where(batch.weight > 0, batch.weight * x, 0.0)) / total",
                "jnp.sum(jnp.where(batch.weight > 0, x, 0.0)) / total",
                f"{LEARNING}::test_the_natural_step_weights_its_rows",
            ),
            "F with all rows alike": (
                "fisher_vector_product(distributions, params, batch.weight)",
                "fisher_vector_product(distributions, params, batch.valid)",
                f"{LEARNING}::test_the_natural_step_weights_its_rows",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.natural_gradient",
        NATURAL,
        {
            "the mean KL the wrong way round": (
                "weights * old.kl(new)",
                "weights * new.kl(old)",
                f"{NATURAL}::test_the_mean_divergence_is_from_the_old_policy",
            ),
            "a mean KL over all rows": (
                "jnp.sum(counted) / jnp.sum(weights)",
                "jnp.mean(counted)",
                f"{NATURAL}::test_fisher_product_is_the_exact_one",
            ),
            "a step of half the divergence": (
                "jnp.sqrt(2 * max_kl /",
                "jnp.sqrt(max_kl /",
                f"{NATURAL}::test_the_step_spends_the_divergence_that_it_may",
            ),
            "no damping": (
                "lambda fu, x: fu + damping * x",
                "lambda fu, x: fu",
                f"{NATURAL}::test_the_damping_is_added_to_fishers_diagonal",
            ),
            "a line search that takes the last length tried": (
                "jnp.where(accepted, scale, 0.0), accepted",
                "scale, accepted",
                f"{NATURAL}::test_line_search_takes_the_first_that_will_do",
            ),
            "a line search that shrinks once too often": (
                "jnp.where(accepted, scale, scale * shrink)",
                "scale * shrink",
                f"{NATURAL}::test_line_search_takes_the_first_that_will_do",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.metrics",
        LEARNING,
        {
            "lengths of episodes one too short": (
                "mean(t.step + 1)",
                "mean(t.step)",
                f"{UPDATE}::test_what_ended_in_a_batch_is_counted_once",
            ),
            "episodes that were cut not counted": (
                "ended = (t.terminated | t.truncated) & t.valid",
                "ended = t.terminated & t.valid",
                f"{UPDATE}::test_what_ended_in_a_batch_is_counted_once",
            ),
            "episodes that are padding counted": (
                "ended = (t.terminated | t.truncated) & t.valid",
                "ended = t.terminated | t.truncated",
                f"{UPDATE}::test_what_ended_in_a_batch_is_counted_once",
            ),
            "a mean over steps, not over episodes that ended": (
                "jnp.sum(jnp.where(ended, x, 0)) / count",
                "jnp.mean(jnp.where(ended, x, 0))",
                f"{UPDATE}::test_what_ended_in_a_batch_is_counted_once",
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.grouped",
        GROUPED,
        {
            "groups that teach nothing count in the mean": (
                "(kept / jnp.maximum(jnp.mean(kept), 1 / len(kept)))",
                "kept",
                FORMULAS,
            ),
            "the lengths left out of a group's weights": (
                "weight=valid * weights[..., None]",
                "weight=valid * jnp.mean(weights, axis=-1, keepdims=True)[..., None]",
                FORMULAS,
            ),
            "a group's entropy raised by its sign": (
                'parts["policy_loss"] - algorithm.entropy_coef * parts["entropy"]',
                'parts["policy_loss"] + algorithm.entropy_coef * parts["entropy"]',
                FORMULAS,
            ),
            "neighbours of other starts in a group": (
                "x.reshape(algorithm.num_groups, -1, *x.shape[1:])",
                "x.reshape(-1, algorithm.num_groups, *x.shape[1:]).swapaxes(0, 1)",
                FORMULAS,
            ),
        },
    ),
    *faults_in(
        "logtrick.algorithms.loop",
        LEARNING,
        {
            "the key that acts is the key that goes on": (
                "return both[:, 0], both[:, 1]",
                "return both[:, 0], both[:, 0]",
                f"{LEARNING}::test_a_host_loop_acts_with_fresh_keys",
            ),
            "a run that ends with its fastest seed": (
                "(done < limit) & finite & jnp.any(state.steps < total)",
                "(done < limit) & finite & jnp.all(state.steps < total)",
                f"{LEARNING}"
                "::test_a_seed_that_has_learned_from_its_steps_stands_still_while_others_go_on",
            ),
        },
    ),
)
