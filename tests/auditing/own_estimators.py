"""Parts of an estimator that somebody wrote for themselves."""

import jax
import jax.numpy as jnp


def score_sum(policy, batch, weights):
    log_prob = jax.vmap(jax.vmap(lambda o, a: policy(o).log_prob(a)))(batch.obs, batch.action)
    return jnp.sum(jnp.where(batch.valid, weights * log_prob, 0.0)) / len(weights)


def masked(batch):
    return jnp.where(batch.valid, batch.reward, 0.0)
