"""Models with memory: what is carried, where it begins anew, and the gradient through all of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import logtrick as lt
from learners import loss
from logtrick.algorithms.estimation import estimate
from logtrick.policies import MLPValue
from logtrick.policies.actor_critic import Acting, ActorCritic, SharedActorCritic, unroll
from logtrick.policies.memory import initial_carry
from logtrick.policies.recurrent import Recurrent, RecurrentPolicy, RecurrentValue
from logtrick.rollouts.device import Trajectory

SPACE = spaces.Dict({"seen": spaces.Box(-1, 1, (2,)), "action_mask": spaces.MultiBinary(3)})
ACTIONS = spaces.Discrete(3)
N, T = 3, 9


def models():
    small = {"hidden": (5,), "width": 4, "key": 1}
    policy = RecurrentPolicy(SPACE, ACTIONS, cell="lstm", **small)
    return {
        "separate": ActorCritic(policy, RecurrentValue(SPACE, **small)),
        "half": ActorCritic(policy, MLPValue(SPACE, hidden=(5,))),
        "shared": SharedActorCritic(SPACE, ACTIONS, cell="gru", **small),
    }


def in_float64(tree):
    return jax.tree.map(
        lambda x: jnp.asarray(x, jnp.float64) if eqx.is_inexact_array(x) else x, tree
    )


def sharpened(model):
    """With an output layer that is not nearly 0, so that memory matters to the policy."""
    layer = (
        (lambda m: m.actor.weight) if hasattr(model, "actor") else lambda m: m.policy.output.weight
    )
    return eqx.tree_at(layer, model, replace_fn=lambda w: 100 * w)


def collected(model, rng):
    """A masked, truncated, padded batch [N, T], acted upon by the model itself, step by step."""
    policy, fresh = eqx.filter_jit(Acting(model)), initial_carry(model)
    start = jax.tree.map(lambda x: jnp.array(rng.normal(size=(N, *x.shape)), x.dtype), fresh)
    dtype = jax.tree.leaves(fresh)[0].dtype
    ends, columns = rng.random((N, T)) < 0.3, []
    valid = np.ones((N, T), bool)
    valid[0, 6:] = False  # padding behind an end
    ends[0, 5], ends[0, 6:] = True, False
    truncated = ends & (rng.random((N, T)) < 0.5)
    step = np.full((N, T), 3)
    for n in range(N):
        carry = jax.tree.map(lambda x, n=n: x[n], start)
        k = 2 if n else 0  # the first row begins an episode with the batch
        rows = []
        for t in range(T):
            obs, after = (
                {"seen": jnp.array(rng.normal(size=2), dtype), "action_mask": jnp.array(mask)}
                for mask in ([1, 0, 1], [1, 1, 0])
            )
            obs["action_mask"] = jnp.array(np.roll([1, 0, 1], rng.integers(3)))
            carry = fresh if k == 0 else carry
            distribution, carry = policy(obs, carry)
            action = distribution.sample(jax.random.key(int(rng.integers(2**31))))
            step[n, t] = k
            k = 0 if ends[n, t] else k + 1
            rows.append((obs, action, after, distribution.log_prob(action)))
        columns.append(jax.tree.map(lambda *x: jnp.stack(x), *rows))
    obs, action, after, log_prob = jax.tree.map(lambda *x: jnp.stack(x), *columns)
    trajectory = Trajectory(
        obs=obs,
        action=action,
        reward=jnp.array(rng.normal(size=(N, T)), dtype),
        next_obs=after,
        terminated=jnp.array(ends & ~truncated),
        truncated=jnp.array(truncated),
        valid=jnp.array(valid),
        log_prob=log_prob,
        step=jnp.array(step),
        episode_return=jnp.zeros((N, T)),
    )
    return trajectory, start


@eqx.filter_jit
def gradient(algorithm, model, trajectory, carry):
    batch, _ = estimate(algorithm, model, trajectory, carry)
    return jax.grad(lambda m: loss(algorithm, m, batch)[0])(model)


def pieces(trajectory):
    """(row, first step, last step) of each stretch of an episode."""
    ends = np.asarray(trajectory.terminated | trajectory.truncated)
    for n in range(N):
        last = np.flatnonzero(trajectory.valid[n])[-1]
        begin = 0
        for t in range(last + 1):
            if ends[n, t] or t == last:
                yield n, begin, t
                begin = t + 1


def alone(trajectory, n, begin, end):
    """One stretch as a batch of its own, moved to the front and padded to T."""
    order = np.roll(np.arange(T), -begin)
    piece = jax.tree.map(lambda x: x[n : n + 1, order], trajectory)
    return piece._replace(valid=jnp.arange(T)[None] <= end - begin)


@pytest.mark.parametrize("name", ["separate", "half", "shared"])
@pytest.mark.parametrize(("precision", "tolerance"), [(jnp.float64, 1e-12), (jnp.float32, 1e-6)])
def test_a_batch_with_memory_is_the_sum_of_its_episodes(name, precision, tolerance):
    """Padded, masked, truncated; cut at every end and learned from apart, each by itself."""
    algorithm = lt.PPO(
        num_envs=N, num_steps=T, minibatches=1, normalise="none", gamma=0.9, memory="gru"
    )
    with jax.enable_x64(True):
        model = sharpened(in_float64(models()[name]))
        trajectory, start = collected(model, np.random.default_rng(0))

        def cast(x):
            return x.astype(precision) if eqx.is_inexact_array(x) else x

        model, trajectory, start = jax.tree.map(cast, (model, trajectory, start))
        whole = gradient(algorithm, model, trajectory, start)
        fresh, count = initial_carry(model), int(trajectory.valid.sum())
        total = jax.tree.map(jnp.zeros_like, whole)
        stretches = list(pieces(trajectory))
        assert len(stretches) > N
        for n, begin, end in stretches:
            before = jax.tree.map(lambda f, s, n=n, b=begin: (f if b else s[n])[None], fresh, start)
            part = gradient(algorithm, model, alone(trajectory, n, begin, end), before)
            share = (end + 1 - begin) / count
            total = jax.tree.map(lambda a, b, s=share: a + s * b, total, part)
        largest = max(float(jnp.max(jnp.abs(x))) for x in jax.tree.leaves(total))
        for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(total), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize("name", ["separate", "half", "shared"])
def test_what_is_learned_from_is_what_was_done(name):
    """Log-probabilities along the stored sequences are those of the steps, one by one."""
    model = sharpened(models()[name])
    trajectory, start = collected(model, np.random.default_rng(2))
    run = eqx.filter_jit(jax.vmap(lambda o, b, c: unroll(model, o, b, c)[0]))
    again = run(trajectory.obs, trajectory.step == 0, start).log_prob(trajectory.action)
    valid = np.asarray(trajectory.valid)
    np.testing.assert_allclose(again[valid], trajectory.log_prob[valid], atol=1e-5)


def test_the_value_that_follows_remembers_the_step():
    """V(s'_t) is of the true next observation, with the memory that step t left."""
    algorithm = lt.A2C(num_envs=N, gamma=0.9, lambda_=0.0, memory="gru")
    model = sharpened(models()["shared"])
    trajectory, start = collected(model, np.random.default_rng(1))
    batch, _ = eqx.filter_jit(estimate)(algorithm, model, trajectory, start)
    fresh = initial_carry(model)
    for n in range(N):
        carry = jax.tree.map(lambda x, n=n: x[n], start)
        for t in range(T):
            if not trajectory.valid[n, t]:
                break
            at = jax.tree.map(lambda x, n=n, t=t: x[n, t], trajectory)
            carry = fresh if at.step == 0 else carry
            _, value, carry = model(at.obs, carry)
            following = 0.0 if at.terminated else model.state_value(at.next_obs, carry)
            psi = at.reward + 0.9 * following - value
            np.testing.assert_allclose(batch.psi[n, t], psi, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_cells_compute_what_they_say(name):
    """Cho et al. (2014), with the reset gate inside; Hochreiter and Schmidhuber with forgetting."""
    memory = Recurrent(spaces.Box(-1, 1, (2,)), cell=name, width=3, hidden=(4,), key=2)
    obs = np.array([0.3, -0.8], np.float32)
    x = np.asarray(memory.below(obs))
    carry = jax.tree.map(lambda z: z + 0.4, memory.initial_carry())
    h, following = memory(obs, carry)
    sigma = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
    cell = memory.cell
    if name == "gru":
        a, b = np.asarray(cell.weight_ih) @ x, np.asarray(cell.weight_hh) @ np.full(3, 0.4)
        r, z = sigma(a[:3] + b[:3]), sigma(a[3:6] + b[3:6])
        expected = np.tanh(a[6:] + r * b[6:])
        expected = expected + z * (0.4 - expected)
        np.testing.assert_allclose(following, expected, rtol=1e-5)
    else:
        a = np.asarray(cell.weight_ih) @ x + np.asarray(cell.weight_hh) @ np.full(3, 0.4)
        i, f, g, o = sigma(a[:3]), sigma(a[3:6]), np.tanh(a[6:9]), sigma(a[9:])
        c = f * 0.4 + i * g
        np.testing.assert_allclose(following[1], c, rtol=1e-5)
        expected = o * np.tanh(c)
    np.testing.assert_allclose(h, expected, rtol=1e-5)


def test_gates_are_orthogonal():
    cell = Recurrent(spaces.Box(-1, 1, (2,)), cell="gru", width=5, hidden=(5,), key=0).cell
    for gate in np.split(np.asarray(cell.weight_hh), 3):
        np.testing.assert_allclose(gate @ gate.T, np.eye(5), atol=1e-5)
