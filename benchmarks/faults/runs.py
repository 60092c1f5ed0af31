"""Faults of what a run leaves: its scores, its checkpoints and logs, and how it goes on."""

from faults import faults_in

LATEST = "tests/runs/test_latest.py"
OVER_EPISODES = f"{LATEST}::test_a_final_return_is_the_mean_over_episodes_not_over_updates"
AGE = f"{LATEST}::test_how_old_is_old"
PRESENTATION = "tests/runs/test_presentation.py"
CHECKPOINTS = "tests/runs/test_checkpoints.py"
DAMAGE = "tests/runs/test_checkpoint_damage.py"
LOGS = "tests/runs/test_logs.py"
TREES = "tests/runs/test_trees.py"
RECORDING = "tests/runs/training/test_recording.py"
TIES = f"{RECORDING}::test_the_best_policy_is_the_first_of_those_that_tie"
RESUMED = f"{RECORDING}::test_what_is_saved_comes_back"
EVALUATION = "tests/rollouts/test_evaluation.py"
TRAINING = "tests/runs/training/test_training.py"
SEARCHING = "tests/runs/training/test_searching.py"
STATISTICS = "tests/reports/test_statistics.py"
CURVE = f"{STATISTICS}::test_a_curve_is_the_summary_of_each_update"

FAULTS = (
    *faults_in(
        "logtrick.runs.latest",
        LATEST,
        {
            "the mean of updates for the mean of episodes": (
                'float(sum(row["episodes"] * row[name] for row in reversed(kept))) / episodes',
                "float(sum(row[name] for row in kept)) / len(kept)",
                OVER_EPISODES,
            ),
            "the episodes of the last update alone": (
                'float(sum(row["episodes"] * row[name] for row in reversed(kept))) / episodes',
                "float(kept[-1][name])",
                OVER_EPISODES,
            ),
            "the last episodes fewer than there are": (
                'while self._counts[seed] - kept[0]["episodes"] >= FINAL_EPISODES',
                "while self._counts[seed] > FINAL_EPISODES",
                OVER_EPISODES,
            ),
            "episodes since the end of their first update": (
                'kept.append({**row, "since": since})',
                'kept.append({**row, "since": row["steps"]})',
                OVER_EPISODES,
            ),
            "an old score told as the latest": (
                "return math.nan if self.is_old else self.episode_return",
                "return self.episode_return",
                f"{LATEST}::test_a_score_that_nothing_renews_gets_old",
            ),
            "a score that is old a step too early": (
                "old = steps - last > self._patience(kept, episodes, steps)",
                "old = steps - last >= self._patience(kept, episodes, steps)",
                AGE,
            ),
            "the patience of one environment for all": (
                "4 * self._num_envs * length",
                "4 * length",
                AGE,
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.record",
        EVALUATION,
        {
            "final returns that are old": (
                "[latest.score for latest in self.last_episodes]",
                "[latest.episode_return for latest in self.last_episodes]",
                f"{LATEST}::test_an_old_score_is_nowhere_told_as_the_latest",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.run",
        EVALUATION,
        {
            "the latest policy for the best": (
                "return self._read_models(BEST)",
                "return self._read_models(POLICY)",
                f"{EVALUATION}::test_the_best_policies_are_kept_seed_by_seed",
            ),
            "the first seed's policy for all seeds": (
                "lambda x, s=s: x[s], stacked",
                "lambda x, s=s: x[0], stacked",
                f"{TRAINING}::test_load_gives_the_policies_back",
            ),
            "the spread of seeds for that of episodes": (
                "return float(self.returns.std())",
                "return float(self.returns.mean(axis=1).std())",
                f"{RECORDING}::test_scores_are_of_single_episodes",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.record",
        EVALUATION,
        {
            "a run that stops where one seed has reached its score": (
                "bool(np.all(returns >= evaluation.stop_at))",
                "bool(np.any(returns >= evaluation.stop_at))",
                f"{RECORDING}::test_all_seeds_must_reach_the_score",
            ),
            "a score that must be exceeded": (
                "bool(np.all(returns >= evaluation.stop_at))",
                "bool(np.all(returns > evaluation.stop_at))",
                f"{RECORDING}::test_all_seeds_must_reach_the_score",
            ),
            "the last seed's evaluation for that of all": (
                "has_reached(self.evaluations[-self.config.seeds :]",
                "has_reached(self.evaluations[-1:]",
                f"{RECORDING}::test_all_seeds_must_reach_the_score",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.record",
        PRESENTATION,
        {
            "the later of evaluations that tie told as the best": (
                'row["return"] > best[row["seed"]]["return"]',
                'row["return"] >= best[row["seed"]]["return"]',
                TIES,
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.summaries",
        PRESENTATION,
        {
            "a curve in which updates weigh the same": (
                'np.array([row["episodes"] for row in rows], dtype=np.float64)',
                "np.ones(len(rows))",
                f"{PRESENTATION}::test_a_series_is_the_weighted_mean_of_each_stretch",
            ),
            "stretches of a curve one too late": (
                "np.searchsorted(edges, steps) - 1",
                "np.searchsorted(edges, steps)",
                f"{PRESENTATION}::test_a_series_is_the_weighted_mean_of_each_stretch",
            ),
            "the steps of the fastest seed for those that all have": (
                "min(steps.values()) if len(steps) == config.seeds else 0",
                "max(steps.values()) if len(steps) == config.seeds else 0",
                PRESENTATION,
            ),
            "a curve that goes on after the last episode": (
                "shown = edges[:-1] < until",
                "shown = edges[:-1] <= np.inf",
                f"{LATEST}::test_the_curve_ends_where_the_episodes_did",
            ),
            "the rate of one seed": (
                "sum(steps.values()) / training if training",
                "max(steps.values()) / training if training",
                PRESENTATION,
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.sweeps",
        LATEST,
        {
            "the worst point first": (
                'if row["iqm"] is None else row["iqm"])[::-1]',
                'if row["iqm"] is None else row["iqm"])',
                "tests/runs/training/test_sweeping.py::test_a_sweep_is_a_run_folder_for_each_point",
            ),
            "a point of which a seed was cut short ranked": (
                "scored = not cut_short and bool(np.isfinite(final).all())",
                "scored = bool(np.isfinite(final).all())",
                f"{LATEST}::test_a_point_of_which_a_seed_was_cut_short_is_not_ranked",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.training.recording",
        TIES,
        {
            "the best policy replaced where a later one ties": (
                "better = means > self.best_returns",
                "better = means >= self.best_returns",
            ),
            "an evaluation's mean over seeds": (
                "means = returns.mean(axis=1)",
                "means = returns.mean(axis=0)",
            ),
            "one seed's best policy for all seeds": (
                "over_axes(better, new)",
                "better.any()",
            ),
            "a best return forgotten by a worse one": (
                "self.best_returns = np.where(better, means, self.best_returns)",
                "self.best_returns = means",
            ),
            "a checkpoint without the best policies": (
                'tree["best"], metadata["best"] = self.best, True',
                'metadata["best"] = False',
                RESUMED,
            ),
            "a checkpoint without the host's episodes": (
                '            tree["host"] = dict(host)\n'
                '            metadata["host"] = {k: [str(v.dtype), *v.shape]'
                " for k, v in host.items()}\n",
                "            pass\n",
                f"{TRAINING}::test_interrupted_and_resumed_is_not_interrupted",
            ),
            "logs that are cut back to nothing": (
                'metadata[f"{Path(name).stem}_bytes"] = log.size',
                'metadata[f"{Path(name).stem}_bytes"] = 0',
                RESUMED,
            ),
            "the latest policy saved as the best": (
                'everything["best"] = model(self.best)',
                'everything["best"] = model(state.params)',
                RESUMED,
            ),
            "a resumed run that forgets its best return": (
                "np.fmax(self.best_returns[s], found)",
                "found",
                RESUMED,
            ),
            "updates of a run that had ended": (
                "            if active[u, member]\n",
                "",
                f"{RECORDING}::test_rows_are_those_of_the_runs_own_members",
            ),
            "the first run's numbers for all side by side": (
                "{name: values[u][member] for name, values in columns.items()}",
                "{name: values[u][s] for name, values in columns.items()}",
                f"{RECORDING}::test_rows_are_those_of_the_runs_own_members",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.checkpoints",
        CHECKPOINTS,
        {
            "one checkpoint too few": (
                "current[: self.keep]",
                "current[: self.keep - 1]",
                f"{CHECKPOINTS}::test_the_last_three_stay_and_the_newest_is_loaded",
            ),
            "the oldest checkpoint first": (
                "(int(match[1]), match[2] is None), reverse=True)",
                "(int(match[1]), match[2] is None))",
                f"{CHECKPOINTS}::test_the_last_three_stay_and_the_newest_is_loaded",
            ),
            "a checkpoint of another step believed": (
                'if metadata.get("step") != step:',
                "if False:",
                f"{CHECKPOINTS}::test_a_checkpoint_moved_to_another_step_is_not_believed",
            ),
            "checkpoints of a future that was given up": (
                "if found <= step and not",
                "if not",
                f"{CHECKPOINTS}::test_going_back_and_saving_again_supersedes_what_came_later",
            ),
            "a rename that a power cut undoes": (
                "            self._folder.sync()\n",
                "",
                f"{CHECKPOINTS}"
                "::test_files_and_folder_are_synced_before_the_rename_and_the_parent_after",
            ),
            "old checkpoints removed before the new one is synced": (
                "            self._folder.sync()\n            self._prune(step)\n",
                "            self._prune(step)\n            self._folder.sync()\n",
                f"{CHECKPOINTS}::test_old_checkpoints_are_removed_only_after_the_new_one_is_synced",
            ),
            "a checkpoint later than was asked for": (
                "if at_most is not None and step > at_most:",
                "if at_most is not None and step > at_most + 1:",
                f"{CHECKPOINTS}::test_a_checkpoint_of_a_step_or_before",
            ),
        },
    ),
    *faults_in(
        "logtrick.support.files",
        LOGS,
        {
            "NaN written as such": (
                "value if math.isfinite(value) else None",
                "value",
                f"{LOGS}::test_rows_come_back_exactly_with_null_for_what_is_not_finite",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.logs",
        LOGS,
        {
            "a torn line kept": (
                "return begin + newline + 1",
                "return os.fstat(descriptor).st_size",
                f"{LOGS}::test_a_torn_last_row_is_left_out_and_cut_off",
            ),
            "a block's place forgotten": (
                "return begin + newline + 1",
                "return newline + 1",
                f"{LOGS}::test_a_torn_row_larger_than_a_block_is_cut_off",
            ),
            "half of the rows on a full disk": (
                "                self._file.truncate(self._size)\n                raise",
                "                raise",
                f"{LOGS}::test_a_full_disk_leaves_whole_rows_only",
            ),
            "a size that is not that of the file": (
                "            self._size = offset\n",
                "",
                f"{LOGS}::test_cutting_back_and_going_on_equals_never_having_stopped",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.tree_files",
        DAMAGE,
        {
            "a manifest that nobody verifies": (
                "intact = stated == _sha256(to_json(manifest))",
                "intact = isinstance(stated, str)",
                f"{DAMAGE}::test_damage_is_noticed_or_changes_nothing",
            ),
            "arrays verified by their length": (
                'if manifest["file"] != {"bytes": len(data), "sha256": _sha256(data)}:',
                'if manifest["file"]["bytes"] != len(data):',
                f"{DAMAGE}::test_the_file_of_arrays_is_hashed_whole",
            ),
            "an array that nothing asks for": (
                "for name in sorted(entries.keys() - specs.keys()):",
                "for name in ():",
                f"{CHECKPOINTS}"
                "::test_a_checkpoint_that_does_not_fit_names_array_found_and_expected",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.trees",
        TREES,
        {
            "a snapshot that training goes on writing to": (
                'order="C", copy=True)',
                'order="C", copy=None)',
                f"{TREES}::test_a_snapshot_shares_no_memory_with_its_tree",
            ),
            "64 bits cut to 32 on loading": (
                "if value.dtype != array.dtype:",
                "if False:",
                f"{TREES}::test_float64_arrays_are_not_rounded_on_loading",
            ),
            "the generator of a key forgotten": (
                "jax.random.wrap_key_data(value, impl=spec.key_impl)",
                "jax.random.wrap_key_data(value)",
                f"{TREES}::test_any_tree_comes_back_bit_for_bit",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.training.restoring",
        TRAINING,
        {
            "runs side by side that go on from different steps": (
                "        if len(steps) == 1:\n            return found",
                "        if steps:\n            return found",
                f"{RECORDING}::test_runs_side_by_side_go_on_from_a_step_that_all_have",
            ),
            "episodes that were played before": (
                "(found[0].step + 1) * (loop.program.num_steps + 1)",
                "0",
                f"{TRAINING}::test_what_cannot_be_replayed_goes_on_with_episodes_that_were_not_there",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.training.session",
        EVALUATION,
        {
            "the same episodes in every evaluation": (
                "entropy = (self.config.seed, self.updates, _EVALUATION)",
                "entropy = (self.config.seed, 0, _EVALUATION)",
                f"{EVALUATION}::test_evaluations_play_episodes_of_their_own",
            ),
            "evaluations that are due counted from the last one": (
                "_slowest(state) // every > before // every",
                "_slowest(state) - before > every",
                f"{EVALUATION}::test_evaluations_come_when_they_are_due_and_at_the_end",
            ),
            "an evaluation played twice": (
                'if last and last[0]["update"] == self.updates:',
                'if last and last[0]["update"] > self.updates:',
                f"{EVALUATION}::test_a_finished_run_plays_no_evaluation_again",
            ),
            "an update with a number that is not finite recorded": (
                "good = len(finite) if not len(bad) else int(bad[0, 0])",
                "good = len(finite)",
                f"{TRAINING}::test_nan_stops_the_run_and_names_what_went_bad_first",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.training.searching",
        SEARCHING,
        {
            "every trial with the same random numbers": (
                "np.random.SeedSequence((self._seed, number))",
                "np.random.SeedSequence(self._seed)",
                f"{SEARCHING}::test_an_interrupted_search_equals_one_that_was_not",
            ),
            "a batch of trials that is not filled up": (
                "end = -(-len(begun) // size) * size if running",
                "end = len(begun) if running",
                f"{SEARCHING}"
                "::test_killed_after_any_entry_of_its_journal_a_search_goes_on_as_if_nothing_had_been",
            ),
        },
    ),
    *faults_in(
        "logtrick.reports.statistics",
        STATISTICS,
        {
            "the middle third": (
                "cut = n // 4",
                "cut = n // 3",
                f"{STATISTICS}::test_the_interquartile_mean_is_scipys_trimmed_mean",
            ),
            "an interval of 90 %": (
                "[(1 - level) / 2, (1 + level) / 2])\n",
                "[1 - level, level])\n",
                f"{STATISTICS}::test_the_interval_is_scipys_percentile_interval",
            ),
            "the same seeds drawn for every task": (
                "size=(min(block, resamples - begin), seeds, tasks))",
                "size=(min(block, resamples - begin), seeds, 1))",
                f"{STATISTICS}::test_tasks_are_strata",
            ),
            "the spread over seeds with n in the denominator": (
                "of_seeds.std(ddof=1)",
                "of_seeds.std(ddof=0)",
                f"{STATISTICS}::test_a_summary_of_seeds_and_tasks",
            ),
            "a curve that begins with its first value": (
                "np.interp(updates, known, values[known], left=np.nan)",
                "np.interp(updates, known, values[known])",
                f"{STATISTICS}::test_a_gap_is_bridged_and_the_last_value_kept",
            ),
            "a curve over updates, not seeds": (
                "middle[rows] = interquartile_mean(filled[rows], axis=1)",
                "middle[rows] = interquartile_mean(filled[rows])",
                CURVE,
            ),
        },
    ),
    *faults_in(
        "logtrick.rollouts.evaluation",
        EVALUATION,
        {
            "the rewards after an episode's end": (
                "jnp.sum(trajectory.reward * trajectory.valid)",
                "jnp.sum(trajectory.reward)",
                f"{EVALUATION}::test_an_evaluation_is_of_whole_episodes",
            ),
            "every round of episodes with the noise of the first": (
                "jax.random.fold_in(key, number)[None]",
                "jax.random.fold_in(key, 0)[None]",
                f"{EVALUATION}::test_rounds_of_episodes_have_noise_of_their_own",
            ),
            "one key for all episodes": (
                "keys = jax.random.split(jax.random.key(seed), self.episodes)",
                "keys = jax.random.split(jax.random.key(seed), 1).repeat(self.episodes)",
                f"{EVALUATION}::test_an_evaluation_is_of_whole_episodes",
            ),
        },
    ),
)
