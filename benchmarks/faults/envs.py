"""Faults of environments, of the adapters of others, and of the rollouts through them."""

from faults import faults_in

FINITE = "tests/envs/test_finite.py"
CLASSIC = "tests/envs/test_classic.py"
ONE_STEP = f"{CLASSIC}::test_one_step_from_copied_states_is_gymnasiums"
TWOSTATE = "tests/envs/test_twostate.py"
BELLMAN = f"{TWOSTATE}::test_the_values_solve_bellmans_equation_under_every_policy"
CONFORMANCE = "tests/envs/test_conformance.py"
REACHED = f"{CONFORMANCE}::test_the_last_observation_of_an_episode_is_the_one_that_ended_it"
EQUATION = f"{CONFORMANCE}::test_the_known_value_satisfies_bellmans_equation_in_every_row"
ENUMERATION = "tests/envs/test_enumeration.py"
HOST = "tests/envs/test_host.py"
SEQUENCES = "tests/mdp/problems/test_sequences.py"
ROLLOUTS = "tests/rollouts/test_rollouts.py"
GYMNAX = "tests/envs/test_gymnax.py"
CHECKS = "tests/envs/test_checks.py"
MODULES = "tests/envs/test_modules.py"
KWARGS = "tests/runs/training/test_env_kwargs.py"

FAULTS = (
    *faults_in(
        "logtrick.envs.finite",
        FINITE,
        {
            "an outcome of probability 0 that comes": (
                "jax.random.uniform(key, (), jnp.float32) >= sums",
                "jax.random.uniform(key, (), jnp.float32) > sums - 2.0**-20",
                f"{FINITE}::test_tables_never_reach_what_is_impossible",
            ),
            "cumulative probabilities over pairs": (
                "np.cumsum(probabilities, axis=1)",
                "np.cumsum(probabilities, axis=0)",
                f"{FINITE}::test_outcomes_come_as_often_as_they_should",
            ),
            "the first outcome of the pair after": (
                "outcome = jnp.asarray(self._first)[pair] + number",
                "outcome = jnp.asarray(self._first)[pair] + number + 1",
                f"{FINITE}::test_outcomes_come_as_often_as_they_should",
            ),
            "a finite MDP's limit one step late": (
                "reached.steps >= int(self.max_episode_steps)",
                "reached.steps > int(self.max_episode_steps)",
                f"{FINITE}::test_starts_and_time_limits",
            ),
            "a finite MDP's limit taken for an end": (
                "terminated=jnp.asarray(self.mdp.terminated)[outcome],",
                "terminated=jnp.asarray(self.mdp.terminated)[outcome]\n"
                "            | (reached.steps >= int(self.max_episode_steps)),",
                f"{FINITE}::test_starts_and_time_limits",
            ),
            "a start that is uniform": (
                "return cumulative(self.mdp.start[None])[0]",
                "return cumulative(np.full_like(self.mdp.start[None], 1 / len(self.mdp.start)))[0]",
                f"{FINITE}::test_starts_and_time_limits",
            ),
            "outcomes counted with those of the pair after": (
                "inside = places < offsets[pair + 1] - offsets[pair]",
                "inside = places <= offsets[pair + 1] - offsets[pair]",
                f"{ENUMERATION}::test_there_and_back_again",
            ),
            "the observation of the state that was left": (
                "obs=self._observation(reached.state),",
                "obs=self._observation(state.state),",
                f"{FINITE}::test_both_shapes_play_the_same_game",
            ),
            "a time limit without γ": (
                "math.ceil(math.log(NEGLIGIBLE) / math.log(gamma))",
                "math.ceil(-math.log(NEGLIGIBLE) / math.log(2))",
                f"{FINITE}::test_starts_and_time_limits",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.finite_gym",
        FINITE,
        {
            "steps that go on over episodes": (
                "        self._steps = 0\n        return self._arrive",
                "        return self._arrive",
                f"{FINITE}::test_both_shapes_play_the_same_game",
            ),
            "a cut one step late": (
                "cut = self._steps >= self.max_episode_steps",
                "cut = self._steps > self.max_episode_steps",
                f"{FINITE}::test_both_shapes_play_the_same_game",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.twostate",
        TWOSTATE,
        {
            "a value that follows an end": (
                "jnp.where(ended, 0.0, self.gamma * self.value[reached.place])",
                "self.gamma * self.value[reached.place]",
                (BELLMAN, TWOSTATE),
            ),
            "the reward of the state that was reached": (
                "reward=self.value[state.place] - follows,",
                "reward=self.value[reached.place] - follows,",
                (BELLMAN, TWOSTATE),
            ),
            "two states cut one step early": (
                "truncated=reached.steps >= self.max_episode_steps,",
                "truncated=reached.steps + 1 >= self.max_episode_steps,",
                f"{TWOSTATE}::test_both_forms_take_the_same_steps",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.sequences",
        SEQUENCES,
        {
            "an answer one token too long": (
                "full = length >= self.task.limit",
                "full = length > self.task.limit",
            ),
            "EOS that ends nothing": (
                "ended = full | (token == self.task.eos)",
                "ended = full",
            ),
            "every token paid as if it were the last": (
                "jnp.where(ended, self._reward(state, written, token), 0.0)",
                "jnp.where(ended, self._reward(state, written, token), 1.0)",
            ),
            "a token written over the one before": (
                "state.answer.at[state.length].set(token)",
                "state.answer.at[jnp.maximum(state.length - 1, 0)].set(token)",
            ),
            "prompts that are drawn alike": (
                "jax.random.choice(key, len(chances), p=chances)",
                "jax.random.choice(key, len(chances))",
                f"{SEQUENCES}::test_prompts_are_drawn_with_their_probabilities",
            ),
            "tokens after EOS counted one too far": (
                "1 + token - (token > self.task.eos)",
                "1 + token",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.enumerable",
        ENUMERATION,
        {
            "starts that share a state and count once": (
                "np.add.at(rho, first, np.asarray(starts.probability, np.float64))",
                "rho[first] = np.asarray(starts.probability, np.float64)",
                f"{ENUMERATION}::test_starts_that_share_a_state_add_up",
            ),
            "a state that ends and is acted in all the same": (
                "if not ended[k] and number not in self.acted_in:",
                "if number not in self.acted_in:",
                ENUMERATION,
            ),
            "padding of a batch that is recorded": (
                "(np.asarray(found.probability) > 0) & (source < len(sources))",
                "np.asarray(found.probability) > 0",
                ENUMERATION,
            ),
            "−0 and 0 taken for two states": (
                "np.ascontiguousarray(a + np.zeros((), a.dtype))",
                "np.ascontiguousarray(a)",
                f"{ENUMERATION}::test_minus_zero_is_zero",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.classic.cartpole",
        ONE_STEP,
        {
            "a pole without its moment of inertia": (
                "self.half_length * (4 / 3 - self.pole_mass * cos**2 / self.total_mass)",
                "self.half_length * (1 - self.pole_mass * cos**2 / self.total_mass)",
            ),
            "the pole pulls the cart the wrong way": (
                "u - m_l * theta_acc * cos / self.total_mass",
                "u + m_l * theta_acc * cos / self.total_mass",
            ),
            "an angle in degrees": (
                "angle_threshold: float = 12 * math.pi / 180",
                "angle_threshold: float = 12.0",
                (ONE_STEP, CLASSIC),
            ),
            "a pole that fell counted as cut": (
                "truncated=steps >= self.max_episode_steps,",
                "truncated=fell | (steps >= self.max_episode_steps),",
                f"{CLASSIC}::test_a_whole_episode_is_gymnasiums_step_for_step",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.classic.acrobot",
        ONE_STEP,
        {
            "the last step of Runge–Kutta at the middle": (
                "self._derivative(joints + self.time_step * k3, torque)",
                "self._derivative(joints + half * k3, torque)",
            ),
            "the weights of Runge–Kutta": (
                "(k1 + 2 * k2 + 2 * k3 + k4)",
                "(k1 + 2 * k2 + 2 * k3 + k4) * 1.001",
            ),
            "an Acrobot that is paid when it is up": (
                "jnp.where(tip_is_up, 0.0, -1.0)",
                "jnp.where(tip_is_up, 1.0, -1.0)",
                (ONE_STEP, f"{CLASSIC}::test_a_whole_episode_is_gymnasiums_step_for_step"),
            ),
            "the upper joint's angle for the sum of both": (
                "self.gravity * jnp.sin(theta_1 + theta_2)",
                "self.gravity * jnp.sin(theta_1)",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.classic.mountain_car",
        ONE_STEP,
        {
            "a wall that lets through": (
                "jnp.where(position <= self.min_position, jnp.maximum(velocity, 0), velocity)",
                "velocity",
            ),
            "a goal reached by crawling past": (
                "(state.position >= self.goal_position) & fast_enough",
                "state.position > self.max_position",
                f"{CLASSIC}::test_a_whole_episode_is_gymnasiums_step_for_step",
            ),
            "a push that costs what it moves": (
                "0.1 * action[0] ** 2",
                "0.1 * jnp.clip(action[0], -1.0, 1.0) ** 2",
                (ONE_STEP, CLASSIC),
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.classic.pendulum",
        ONE_STEP,
        {
            "an explicit step for a semi-implicit one": (
                "PendulumState(theta + self.time_step * theta_dot, theta_dot, state.steps + 1)",
                "PendulumState(\n"
                "            theta + self.time_step * state.theta_dot, theta_dot, state.steps + 1\n"
                "        )",
            ),
            "a torque that is not limited": (
                "torque = jnp.clip(action[0], -self.max_torque, self.max_torque)",
                "torque = action[0]",
            ),
            "a pendulum's cost of the speed": (
                "theta**2 + 0.1 * state.theta_dot**2",
                "theta**2 + 0.01 * state.theta_dot**2",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.host.rows",
        CONFORMANCE,
        {
            "the idle step of a reset taken for a transition": (
                "valid = ~self._idle",
                "valid = np.ones_like(self._idle)",
                f"{CONFORMANCE}::test_only_the_step_after_an_end_under_next_step_is_no_transition",
            ),
            "the fresh observation for the one that was reached": (
                "            reached = self._with_final(reached, infos)\n",
                "            pass\n",
                (REACHED, EQUATION),
            ),
            "every row's last observation that of the first to end": (
                "for row, value in zip(rows, last, strict=True):\n                raw[row] = value",
                "for row in rows:\n                raw[row] = last[0]",
                (EQUATION, REACHED),
            ),
            "observations that count from where theirs do": (
                "array = array.astype(space.dtype) - _start(own)",
                "array = array.astype(space.dtype)",
                f"{HOST}::test_discrete_spaces_are_counted_from_zero",
            ),
            "actions that count from 0 where theirs do not": (
                "return actions.astype(space.dtype) + _start(own)",
                "return actions.astype(space.dtype)",
                f"{HOST}::test_discrete_spaces_are_counted_from_zero",
            ),
            "a cut taken for an end by the adapter": (
                'self._flags("terminated", terminations) & valid',
                '(self._flags("terminated", terminations)\n'
                '            | self._flags("truncated", truncations)) & valid',
                f"{CONFORMANCE}::test_flags_are_kept_apart",
            ),
            "the first row's seed for all rows": (
                "seed: Any = [int(s) for s in seeds]",
                "seed: Any = [int(seeds[0]) for _ in seeds]",
                f"{HOST}::test_an_episode_depends_on_its_own_seed_only",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.adapters.jax_library",
        GYMNAX,
        {
            "a time limit of gymnax that is forgotten": (
                "truncated=jnp.asarray(truncated, bool),",
                "truncated=jnp.zeros_like(jnp.asarray(truncated, bool)),",
                f"{GYMNAX}::test_the_time_limit_is_kept_apart_from_the_end",
            ),
            "a limit of gymnax taken for an end": (
                "terminated=jnp.asarray(terminated, bool),",
                "terminated=jnp.asarray(terminated, bool) | jnp.asarray(truncated, bool),",
                f"{GYMNAX}::test_the_time_limit_is_kept_apart_from_the_end",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.adapters.gymnax",
        GYMNAX,
        {
            "parameters that change nothing": (
                "return env, params.replace(**dict(self.params))",
                "return env, params",
                f"{GYMNAX}::test_the_time_limit_is_kept_apart_from_the_end",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.checking.check_env",
        CHECKS,
        {
            "a limit that terminates passes": (
                "late = (ages >= limit) & ~rows.truncated",
                "late = (ages > limit) & ~rows.truncated",
                CHECKS,
            ),
            "a bound of a space that is not looked at": (
                "outside = (obs + slack < low) | (obs - slack > high)",
                "outside = obs + slack < low",
                CHECKS,
            ),
        },
    ),
    *faults_in(
        "logtrick.rollouts.device",
        ROLLOUTS,
        {
            "the observation of a fresh episode for the one reached": (
                "next_obs=reached.obs,",
                "next_obs=jnp.where(\n"
                "                reached.terminated | reached.truncated,\n"
                "                (fresh if small else start_row(fresh, env)).obs,\n"
                "                reached.obs,\n"
                "            ),",
                f"{ROLLOUTS}::test_device_rollout_keeps_every_transition",
            ),
            "the noise of the environment for every step": (
                "drawn = noise, jax.random.split(key_step, num_steps), fresh",
                "drawn = noise, jnp.repeat(key_step[None], num_steps, axis=0), fresh",
                f"{ROLLOUTS}::test_every_step_has_chance_of_its_own",
            ),
            "every episode from one start": (
                "resets = jax.random.split(key_reset, num_steps)",
                "resets = jnp.repeat(key_reset[None], num_steps, axis=0)",
                f"{ROLLOUTS}::test_every_step_has_chance_of_its_own",
            ),
            "a memory that goes on into the next episode": (
                "start_row(fresh, env))._replace(carry=fresh_carry)",
                "start_row(fresh, env))._replace(carry=carry)",
                f"{ROLLOUTS}::test_a_memory_begins_anew_with_each_episode",
            ),
            "the step counted before it is taken": (
                "            step=row.step,\n",
                "            step=row.step + 1,\n",
                f"{ROLLOUTS}::test_device_rollout_keeps_every_transition",
            ),
            "a return without its last reward": (
                "            episode_return=episode_return,\n        )\n        ended",
                "            episode_return=row.episode_return,\n        )\n        ended",
                f"{ROLLOUTS}::test_device_rollout_keeps_every_transition",
            ),
            "the log-probability of the action as it was clipped": (
                "log_prob=distribution.log_prob(action),",
                "log_prob=distribution.log_prob(executable(env.action_space, action)),",
                f"{ROLLOUTS}::test_actions_are_clipped_on_their_way_only",
            ),
            "what follows an episode's end valid": (
                "(following, running & ~(ended & one_episode)), transition",
                "(following, running), transition",
                f"{ROLLOUTS}::test_one_episode_is_marked_valid_and_the_rest_is_not",
            ),
            "starts of a group next to those of others": (
                "jnp.repeat(x, group_size, axis=0), rows)",
                "jnp.concatenate([x] * group_size), rows)",
                "tests/algorithms/test_grouped.py::test_a_group_starts_in_one_state_and_acts_apart",
            ),
        },
    ),
    *faults_in(
        "logtrick.rollouts.host",
        ROLLOUTS,
        {
            "an episode's seed without its number": (
                "within // self.group_size, int(self.episode[row]))",
                "within // self.group_size, 0)",
                f"{ROLLOUTS}::test_every_episode_has_its_own_seed_and_a_seed_means_the_same_alone",
            ),
            "an episode's seed without its row": (
                "entropy = (self.seed + block, within // self.group_size,",
                "entropy = (self.seed + block, 0,",
                f"{ROLLOUTS}::test_every_episode_has_its_own_seed_and_a_seed_means_the_same_alone",
            ),
            "the first run's seed for all runs": (
                "entropy = (self.seed + block,",
                "entropy = (self.seed,",
                f"{ROLLOUTS}::test_every_episode_has_its_own_seed_and_a_seed_means_the_same_alone",
            ),
            "a return that goes on over episodes on the host": (
                "np.where(mask, np.float32(0), self.episode_return)",
                "self.episode_return",
                f"{ROLLOUTS}::test_host_rollout_delivers_the_same_contract",
            ),
            "idle steps counted on the host": (
                "self.step = self.step + reached.valid",
                "self.step = self.step + 1",
                ROLLOUTS,
            ),
            "a history that begins too late": (
                "oldest = int(self.began.min())",
                "oldest = int(self.began.max())",
                f"{ROLLOUTS}::test_an_interrupted_host_rollout_is_played_again",
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.catalog",
        MODULES,
        {
            "an id from a file imports its module": (
                "(module := module_of(name)) is not None and module not in sys.modules",
                "(module := module_of(name)) is not None and module == name",
                f"{MODULES}::test_an_id_from_a_file_imports_nothing",
            ),
            "a known prefix taken for a module": (
                'named = colon and prefix not in (*_ADAPTERS, "object")',
                "named = colon",
                f"{MODULES}::test_a_prefix_that_is_known_wins_and_a_module_must_look_like_one",
            ),
            "an environment's own words for its constants": (
                "if isinstance(value, bool) or not isinstance(value, int if whole",
                "if False and not isinstance(value, int if whole",
                KWARGS,
            ),
            "keywords that reach nothing taken in silence": (
                "if kwargs and (not callable(env) or isinstance(env, DeviceEnv | HostEnvs)):",
                "if False:",
                KWARGS,
            ),
        },
    ),
    *faults_in(
        "logtrick.envs.adapters.gymnasium",
        MODULES,
        {
            "the module of a plain id forgotten": (
                "_REGISTERED_BY.get(registered.id, 'gym')",
                "'gym'",
            ),
            "keywords that do not reach Gymnasium": (
                '{"disable_env_checker": True, **kwargs}',
                '{"disable_env_checker": True}',
                KWARGS,
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.config",
        KWARGS,
        {
            "keywords forgotten when the environment is found again": (
                'given["kwargs"] = config.env_kwargs',
                'given["kwargs"] = None',
            ),
            "a class found again without its keywords": (
                "isinstance(env, str) or callable(env):",
                "isinstance(env, str):",
            ),
        },
    ),
    *faults_in(
        "logtrick.runs.sweeps",
        KWARGS,
        {
            "another environment for a sweep that has no point yet": (
                "return find_env(base, env)",
                "return find_env(base)",
            ),
        },
    ),
    *faults_in(
        "logtrick.commands.env_flags",
        MODULES,
        {
            "the working directory not looked in": (
                "sys.path.append(here)",
                "pass",
                f"{MODULES}::test_a_module_in_the_working_directory_from_the_command_line",
            ),
        },
    ),
    *faults_in(
        "logtrick.mdp.graphs",
        "tests/test_imports.py::test_a_plugin_is_loaded_only_where_it_is_used",
        {
            "scipy.linalg loaded with the MDPs": (
                "from scipy import sparse\n",
                "from scipy import sparse\nfrom scipy.sparse import csgraph as csgraph\n",
            ),
        },
    ),
)
