"""Group rules in the loop: against slow NumPy, against enumeration, and as training."""

import dataclasses
import itertools

import equinox as eqx
import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from learners import loss
from logtrick import exact
from logtrick.algorithms import grouped
from logtrick.algorithms.group_configs import (
    CISPO,
    DAPO,
    GRPO,
    GSPO,
    RLOO,
    DrGRPO,
    REINFORCEPlusPlus,
)
from logtrick.algorithms.loop import Loop
from logtrick.algorithms.program import Program
from logtrick.auditing.paths import Paths, draw_paths
from logtrick.auditing.policies import read_policy
from logtrick.auditing.rules import Rule
from logtrick.auditing.settings import Settings
from logtrick.envs import resolve
from logtrick.mdp import problems
from logtrick.mdp.problems.tokens import SequenceTask
from logtrick.policies import SoftmaxTable
from logtrick.policies.actor_critic import ActorCritic
from logtrick.psi.registry import ESTIMATORS
from logtrick.rollouts.device import Trajectory

NAMED = [RLOO, GRPO, DrGRPO, DAPO, GSPO, CISPO, REINFORCEPlusPlus]
ROWS = {row.name: row for row in ESTIMATORS}
M, G, T, OBS, ACTIONS = 3, 4, 5, 6, 3


@eqx.filter_jit
def gradient(algorithm, model, reference, trajectory):
    """Of what is ascended: the loop's own estimate and loss."""
    batch = grouped.estimate(algorithm, reference, trajectory)
    return jax.grad(lambda m: -loss(algorithm, m, batch)[0])(model).policy.logits


def table(rng):
    return ActorCritic(SoftmaxTable(OBS, ACTIONS, logits=jnp.array(rng.normal(size=(6, 3)))), None)


def episodes(rng, acting):
    """Groups of whole episodes, junk behind their ends; graded rewards, one unanimous group."""
    rows = M * G
    lengths = rng.integers(1, T + 1, size=rows)
    valid = np.arange(T) < lengths[:, None]
    last = np.arange(T) == lengths[:, None] - 1
    reward = np.where(valid, rng.normal(size=(rows, T)), np.nan)
    reward[G : 2 * G] = np.where(last, 1.0, 0.0)[G : 2 * G]
    obs = rng.integers(OBS, size=(rows, T))
    action = rng.integers(ACTIONS, size=(rows, T))
    log_pi = np.asarray(jax.nn.log_softmax(acting.policy.logits))
    return Trajectory(
        obs=obs,
        action=action,
        reward=reward,
        next_obs=obs,
        terminated=last | ~valid,
        truncated=np.zeros((rows, T), bool),
        valid=valid,
        log_prob=np.where(valid, log_pi[obs, action], np.nan),
        step=np.tile(np.arange(T), (rows, 1)),
        episode_return=np.zeros((rows, T)),
    )


def slow_psi(algorithm, rewards):
    """ψ of each token of each sequence of one group; rewards are lists of different lengths."""
    gamma = algorithm.gamma
    returns = [sum(gamma**k * r for k, r in enumerate(row)) for row in rewards]
    lengths = [len(row) for row in rewards]
    n, mean = len(returns), np.mean(returns)
    if algorithm.psi == "whiten":
        to_go = [
            [sum(gamma**k * row[k] for k in range(t, len(row))) for t in range(len(row))]
            for row in rewards
        ]
        flat = np.concatenate(to_go)
        return [(np.array(row) - flat.mean()) / (flat.std() + 1e-8) for row in to_go]
    of_sequence = {
        "rloo": [r - (sum(returns) - r) / (n - 1) for r in returns],
        "grpo": [
            0.0 if np.ptp(returns) == 0 else (r - mean) / (np.std(returns, ddof=1) + 1e-4)
            for r in returns
        ],
        "dr_grpo": [r - mean for r in returns],
        "opo": [r - np.dot(lengths, returns) / sum(lengths) for r in returns],
    }[algorithm.psi]
    return [np.full(n, p) for p, n in zip(of_sequence, lengths, strict=True)]


def slow_weights(algorithm, lengths):
    n = len(lengths)
    return {
        "sequence_sum": [1 / n for _ in lengths],
        "sequence_mean": [1 / (n * length) for length in lengths],
        "token_mean": [1 / sum(lengths) for _ in lengths],
        "constant_length": [1 / (n * T) for _ in lengths],
    }[algorithm.normaliser]


def slow_coefficient(algorithm, r, psi):
    """∂ rule(r, ψ)/∂ log π of one token, or of one sequence for gspo (without its 1/L)."""
    low, high = 1 - algorithm.clip_eps_low, 1 + algorithm.clip_eps_high
    going_on = r <= high if psi > 0 else r >= low
    match algorithm.ratio:
        case "score":
            return psi
        case "importance":
            return r * psi
        case "cispo":
            return min(max(r, low), high) * psi
        case "dual_clip" if psi < 0 and r > algorithm.dual_clip:
            return 0.0
    return r * psi if going_on else 0.0


def slow_gradient(algorithm, logits, reference, t):
    """E over groups of Σ_i w_i Σ_t (∂rule − β ∂k) ∇log π, with Python loops."""
    log_pi, log_ref = (np.asarray(jax.nn.log_softmax(x)) for x in (logits, reference))
    size = M * G if algorithm.psi == "whiten" else G
    groups = np.arange(M * G).reshape(-1, size)
    total, counted = np.zeros((OBS, ACTIONS)), 0
    for group in groups:
        lengths = [int(t.valid[i].sum()) for i in group]
        steps = [
            [(t.obs[i, k], t.action[i, k]) for k in range(n)]
            for i, n in zip(group, lengths, strict=True)
        ]
        olds = [t.log_prob[i, :n] for i, n in zip(group, lengths, strict=True)]
        rewards = [t.reward[i, :n] for i, n in zip(group, lengths, strict=True)]
        if algorithm.kl == "k1_in_reward":
            rewards = [
                [
                    r - algorithm.beta * (o - log_ref[s, a])
                    for r, o, (s, a) in zip(*row, strict=True)
                ]
                for row in zip(rewards, olds, steps, strict=True)
            ]
        if algorithm.groups == "informative" and np.ptp([sum(row) for row in rewards]) == 0:
            continue
        counted += 1
        psis, weights = slow_psi(algorithm, rewards), slow_weights(algorithm, lengths)
        for path, old, psi, w in zip(steps, olds, psis, weights, strict=True):
            logs = np.array([log_pi[s, a] for s, a in path]) - old
            for k, (s, a) in enumerate(path):
                g = -np.exp(log_pi[s])
                g[a] += 1
                x = log_pi[s, a] - log_ref[s, a]
                if algorithm.ratio == "gspo":
                    c = slow_coefficient(algorithm, np.exp(logs.mean()), psi[0]) / len(path)
                else:
                    c = slow_coefficient(algorithm, np.exp(logs[k]), psi[k])
                penalty = {
                    "k1_in_loss": 1.0,
                    "k2_in_loss": x,
                    "k3_in_loss": 1 - np.exp(-x),
                    "k3_times_ratio_in_loss": np.exp(logs[k]) * x,
                }.get(algorithm.kl, 0.0)
                total[s] += w * (c - algorithm.beta * penalty) * g
    return total / counted


VARIANTS = [
    *(cls(num_envs=M * G, **({} if cls is REINFORCEPlusPlus else {"group_size": G}), minibatches=1)
      for cls in NAMED),
    RLOO(num_envs=M * G, group_size=G, psi="opo", ratio="importance", gamma=0.7),
    DrGRPO(
        num_envs=M * G, group_size=G, minibatches=1, ratio="dual_clip", kl="k2_in_loss", beta=0.3
    ),
    GRPO(num_envs=M * G, group_size=G, minibatches=1, kl="k3_times_ratio_in_loss", beta=0.3),
    RLOO(num_envs=M * G, group_size=G, kl="k1_in_loss", beta=0.3),
    RLOO(num_envs=M * G, group_size=G, kl="k1_in_reward", beta=0.3, gamma=0.9),
    REINFORCEPlusPlus(num_envs=M * G, gamma=0.8),
]  # fmt: skip


@pytest.mark.parametrize("drift", [0.0, 0.7], ids=["on-policy", "off-policy"])
@pytest.mark.parametrize("algorithm", VARIANTS, ids=lambda a: f"{a.name}-{a.ratio}-{a.kl}")
def test_the_loop_ascends_what_the_formulas_say(algorithm, drift):
    """To 1e-12 in float64; `drift` moves the policy away from the one that acted."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(3)
        acting, reference = table(rng), table(rng)
        moved = acting.policy.logits + drift * jnp.array(rng.normal(size=(OBS, ACTIONS)))
        model = eqx.tree_at(lambda m: m.policy.logits, acting, moved)
        t = episodes(rng, acting)
        expected = slow_gradient(algorithm, moved, reference.policy.logits, t)
        kept = reference if algorithm.needs_reference else None
        got = gradient(algorithm, model, kept, jax.tree.map(jnp.asarray, t))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    assert np.abs(expected).max() > 1e-3


def all_groups(size):
    """Every group of answers to the one prompt of a small task: (task, Trajectory [U·size, T])."""
    task = problems.token_tasks.contains_zero(2)
    mdp = task.mdp()
    texts = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2,)]
    rows = [text for group in itertools.product(texts, repeat=size) for text in group]
    states = {(): 0, (0,): 1, (1,): 2}
    obs = np.array([[0, states.get(text[:1], 0)] for text in rows])
    action = np.array([[text[0], text[-1]] for text in rows])
    valid = np.array([[True, len(text) == 2] for text in rows])
    reward = np.where(valid, mdp.rewards[obs * 3 + action], 0.0)
    return mdp, obs, action, valid, reward


@pytest.mark.parametrize(
    ("algorithm", "scale"),
    [
        (RLOO(num_envs=2, group_size=2), 1.0),
        (DrGRPO(num_envs=2, group_size=2, minibatches=1), 0.25),
    ],
    ids=["rloo", "dr_grpo"],
)
def test_the_mean_of_the_loops_gradient_is_the_claimed_one(algorithm, scale):
    """RLOO: ∇J; Dr. GRPO: (G−1)/(G L_max) ∇J = ¼ ∇J. Every group of two, listed."""
    with jax.enable_x64(True):
        mdp, obs, action, valid, reward = all_groups(2)
        logits = jnp.array(np.random.default_rng(5).normal(size=(3, 3)))
        model = ActorCritic(SoftmaxTable(mdp, logits=logits), None)
        log_pi = np.asarray(jax.nn.log_softmax(logits))
        log_prob = np.where(valid, log_pi[obs, action], 0.0)
        chance = np.exp(log_prob.sum(axis=1)).reshape(-1, 2).prod(axis=1)
        last = ~np.roll(valid, -1, axis=1) | (np.arange(2) == 1)
        columns = Trajectory(
            obs, action, reward, obs, last & valid, ~valid & valid, valid, log_prob,
            np.tile([0, 1], (len(obs), 1)), np.zeros(obs.shape),
        )  # fmt: skip
        grouped_rows = jax.tree.map(lambda x: jnp.asarray(x).reshape(-1, 2, *x.shape[1:]), columns)
        each = jax.vmap(lambda t: gradient(algorithm, model, None, t))(grouped_rows)
        mean = np.tensordot(chance, np.asarray(each), axes=1)
        assert chance.sum() == pytest.approx(1, rel=1e-14)
        truth = exact.policy_gradient(mdp, model.policy).logits
    np.testing.assert_allclose(mean, scale * truth, rtol=0, atol=1e-14)
    assert np.abs(truth).max() > 0.01


@pytest.mark.parametrize("env", ["sequences:sort:3,observe=tokens", "gym:CartPole-v1"])
def test_a_group_starts_in_one_state_and_acts_apart(env, monkeypatch):
    algorithm = RLOO(num_envs=6, group_size=3, hidden=())
    loop = Loop(algorithm, resolve(env), seed=0, num_seeds=2, steps=10)
    seen = []
    improve = Program.improve

    def watch(self, settings, total, state, trajectory, carry):
        jax.debug.callback(lambda *x: seen.append(x), trajectory.obs[:, 0], trajectory.action)
        return improve(self, settings, total, state, trajectory, carry)

    monkeypatch.setattr(Program, "improve", watch)
    try:
        state = loop.initial()
        for _ in range(2):
            state, _ = loop.advance(state._replace(steps=0 * state.steps), 1)
        jax.effects_barrier()
    finally:
        loop.close()
    starts = np.stack([obs for obs, _ in seen])
    starts = starts.reshape(8, 3, -1)  # 2 updates × 2 seeds × 2 groups
    np.testing.assert_array_equal(starts, np.repeat(starts[:, :1], 3, axis=1))
    assert len(np.unique(starts[:, 0], axis=0)) >= 6
    actions = np.stack([action for _, action in seen]).reshape(8, 3, -1)[..., :8]
    assert (actions[:, :1] != actions[:, 1:]).any(axis=(1, 2)).all()


def test_rows_that_cannot_start_alike_are_no_groups():
    class OneSeedForAll(gymnasium.vector.VectorEnv):
        num_envs = 6
        spec = gymnasium.spec("CartPole-v1")
        single_observation_space = gymnasium.spaces.Box(-1, 1, (2,))
        single_action_space = gymnasium.spaces.Discrete(2)

    message = "takes one seed for all its rows.* a function that makes one environment"
    with pytest.raises(lt.errors.ConfigError, match=message):
        Loop(RLOO(num_envs=6, group_size=3), resolve(OneSeedForAll()), seed=0, num_seeds=1, steps=9)


def test_the_reference_is_the_policy_before_training():
    algorithm = GRPO(num_envs=8, group_size=4, minibatches=1, hidden=(), beta=0.5)
    loop = Loop(algorithm, resolve("sequences:parity:2"), seed=0, num_seeds=1, steps=10**6)
    before = jax.tree.map(np.array, loop.params)
    state, metrics = loop.advance(loop.initial(), 20)
    assert metrics["reference_kl"][0] == pytest.approx(0, abs=1e-7)
    assert metrics["reference_kl"][-1] > 1e-4
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(np.asarray, state.reference), before)


def test_memory_is_unrolled_from_each_start():
    """What is learned from are the probabilities that acted, in every minibatch."""
    algorithm = RLOO(
        num_envs=8, group_size=2, minibatches=2, hidden=(8,), memory="gru", learning_rate=1e-9
    )
    spec = resolve("sequences:contains_zero:4,observe=tokens")
    loop = Loop(algorithm, spec, seed=0, num_seeds=1, steps=10**6)
    _, metrics = loop.advance(loop.initial(), 3)
    np.testing.assert_allclose(metrics["approx_kl"], 0, atol=1e-7)
    assert (metrics["entropy"] > 0.5).all()


ECHO = SequenceTask(
    vocabulary=4,
    eos=3,
    limit=3,
    prompts=((0, 1), (2, 0), (1, 1)),
    reward=lambda prompt, answer: float(answer == (*prompt, 3)),
)


@pytest.mark.parametrize(
    "cls",
    [
        RLOO,
        GRPO,
        *(pytest.param(cls, marks=pytest.mark.slow) for cls in NAMED if cls not in (RLOO, GRPO)),
    ],
)
def test_training_reaches_the_exact_optimum(cls, tmp_path):
    """J* = 1; what is reached is measured without sampling. The KL keeps GRPO a little below."""
    env = lt.envs.Sequences(ECHO, observe="tokens")
    mdp = ECHO.mdp(observe="tokens")
    algorithm = dataclasses.replace(cls(), hidden=(32,), learning_rate=1e-2)
    run = lt.train(env, algorithm, steps=30_000, out=tmp_path, progress=False)
    start = loop_start(algorithm, env)
    assert exact.objective(mdp, start) < 0.05
    margin = {"grpo": 0.05, "reinforce_plus_plus": 0.05}.get(cls.name, 0.02)
    assert 1 - margin < exact.objective(mdp, run.policy) <= 1 + 1e-12


def loop_start(algorithm, env):
    from logtrick.algorithms.models import build_model

    return build_model(algorithm, env.observation_space, env.action_space, 0).policy


@pytest.mark.parametrize("cls", NAMED)
def test_what_is_trained_is_what_is_audited(cls):
    """The gradient of the loop's loss and the audit's estimate, on the same sampled groups."""
    task = problems.token_tasks.make_task("sort", 2)
    mdp, size = task.mdp(), 4
    rng = np.random.default_rng(8)
    theta, before = rng.normal(size=(2, mdp.num_states, 4))
    whole = {} if cls is REINFORCEPlusPlus else {"group_size": size, "groups": "all"}
    algorithm = cls(num_envs=size, minibatches=1, **whole)
    with jax.enable_x64(True):
        policy, reference = (SoftmaxTable(mdp, logits=jnp.array(x)) for x in (theta, before))
        read = read_policy(mdp, policy)
        settings = Settings(
            gamma=1.0,
            group_size=size,
            epsilon=algorithm.std_eps,
            epsilon_low=algorithm.clip_eps_low,
            epsilon_high=algorithm.clip_eps_high,
            beta=algorithm.beta,
            max_length=task.limit,
            reference=reference,
        )
        starts = np.repeat(rng.choice(np.flatnonzero(mdp.start), size=8), size)
        paths = draw_paths(mdp, read.probabilities, starts, rng, task.limit)
        groups = Paths(
            mdp, *(x.reshape(8, size, -1) for x in (paths.pairs, paths.outcomes, paths.valid))
        )
        audited = Rule(ROWS[cls.name], settings).at(read)(groups)
        kept = ActorCritic(reference, None) if algorithm.needs_reference else None
        trained = [
            gradient(algorithm, ActorCritic(policy, None), kept, jax.tree.map(jnp.asarray, group))
            for group in (
                jax.tree.map(lambda x, u=u: x[u], groups.trajectory(read.probabilities))
                for u in range(8)
            )
        ]
    np.testing.assert_allclose(np.stack(trained).reshape(8, -1), audited, rtol=0, atol=1e-12)
    assert np.abs(audited).max() > 1e-2
