"""A user's own module as the policy: trained, saved, resumed, and never guessed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from logtrick.errors import ConfigError, RunError
from logtrick.policies.distributions import Categorical, Normal, Product

SMALL = lt.PPO(num_envs=4, num_steps=16, minibatches=2, hidden=(8,))


class Own(eqx.Module):
    weight: jax.Array
    label: str = eqx.field(static=True, default="own")

    def __call__(self, obs):
        return Categorical(self.weight @ obs)


class Remembering(eqx.Module):
    cell: eqx.nn.GRUCell

    def initial_carry(self):
        return jnp.zeros(2)

    def __call__(self, obs, carry):
        carry = self.cell(obs, carry)
        return Categorical(carry), carry


def own(observation_space, action_space, seed):
    rng = np.random.default_rng(seed)
    return Own(jnp.array(rng.normal(size=(action_space.n, 4)) / 10, jnp.float32))


def test_a_factory_makes_each_seed_its_own(tmp_path):
    run = lt.train(
        "CartPole-v1", SMALL, policy=own, steps=256, seeds=2, out=tmp_path, progress=False
    )
    assert [type(policy) for policy in run.policies] == [Own, Own]
    assert np.any(run.policies[0].weight != run.policies[1].weight)
    with pytest.raises(RunError, match=r"object:own.*load\(path, policy=…\)"):
        _ = lt.load(run.path).policy
    with pytest.raises(RunError, match="pass it again"):
        lt.resume(run.path, progress=False)
    again = lt.load(run.path, policy=own)
    np.testing.assert_array_equal(again.policy.weight, run.policy.weight)
    assert again.evaluate(2).returns.shape == (2, 2)
    lt.resume(run.path, policy=own, progress=False)


def test_a_module_is_where_training_starts(tmp_path):
    start = own(None, lt.envs.resolve("CartPole-v1").action_space, 0)
    algorithm = lt.A2C(num_envs=4, learning_rate=0.1)
    run = lt.train("CartPole-v1", algorithm, policy=start, steps=4000, out=tmp_path, progress=False)
    assert np.any(run.policy.weight != start.weight)
    assert run.models[0].value is not None


def test_a_module_with_memory(tmp_path):
    def remembering(observation_space, action_space, seed):
        return Remembering(eqx.nn.GRUCell(4, 2, key=jax.random.key(seed)))

    run = lt.train("gym:CartPole-v1", SMALL, policy=remembering, steps=128, out=tmp_path)
    assert run.evaluate(2).returns.shape == (1, 2)
    bad = lt.PPO(num_envs=4, num_steps=16, minibatches=8)
    with pytest.raises(ConfigError, match="minibatches=8 must divide num_envs=4"):
        lt.train("CartPole-v1", bad, policy=remembering, steps=128, out=tmp_path)


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        (lambda *_: lambda obs: obs, "no floating-point arrays"),
        (lambda *_: eqx.nn.Linear(4, 2, key=jax.random.key(0)), "returns a distribution"),
    ],
)
def test_what_is_no_policy_is_refused(policy, match, tmp_path):
    with pytest.raises(ConfigError, match=match):
        lt.train("CartPole-v1", SMALL, policy=policy, steps=128, out=tmp_path)


@pytest.mark.parametrize(
    ("env", "distribution"),
    [
        ("CartPole-v1", lambda x: Categorical(jnp.zeros(3) + x)),  # there are two actions
        ("CartPole-v1", lambda x: Normal(jnp.zeros(1) + x, jnp.zeros(1))),
        ("Pendulum-v1", lambda x: Normal(jnp.zeros(2) + x, jnp.zeros(2))),
        ("Pendulum-v1", lambda x: Product({"torque": Normal(jnp.zeros(1) + x, jnp.zeros(1))})),
    ],
)
def test_actions_that_are_not_the_environments_are_refused(env, distribution, tmp_path):
    class Odd(eqx.Module):
        weight: jax.Array

        def __call__(self, obs):
            return distribution(self.weight)

    with pytest.raises(ConfigError, match=r"policy=Odd.* do not fit the action space"):
        lt.train(env, SMALL, policy=Odd(jnp.zeros(())), steps=64, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
