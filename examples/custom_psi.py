"""A ψ of your own, measured before anybody trains with it: `python examples/custom_psi.py`.

The idea: an advantage that looks one step ahead as far as the critic can be trusted, and to the end
of the episode as far as it cannot. The audit says what that costs and brings where the critic is
wrong.
"""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import logtrick as lt


def mixed(trajectories, values, next_values, *, trust, gamma):
    """ψ_t = trust · δ_t + (1 − trust) · (G_t − V(s_t))."""
    t = trajectories
    ends = t.terminated, t.truncated
    delta = lt.psi.td_residual(t.reward, values, next_values, *ends, gamma=gamma)
    to_the_end = lt.psi.baselined_return(
        t.reward, values, *ends, next_values=next_values, gamma=gamma
    )
    return trust * delta + (1 - trust) * to_the_end


def estimator(critic, trust, gamma):
    """policy, trajectories -> gradient."""

    def surrogate(policy, t):
        log_prob = jax.vmap(jax.vmap(lambda o, a: policy(o).log_prob(a)))(t.obs, t.action)
        psi = mixed(t, critic[t.obs], critic[t.next_obs], trust=trust, gamma=gamma)
        return jnp.where(t.valid, gamma**t.step * psi * log_prob, 0.0).sum(axis=1).mean()

    return eqx.filter_grad(surrogate)


def main() -> None:
    """Bias against variance, over the weight."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trust", type=float, nargs="*", default=[0.0, 0.5, 1.0])
    parser.add_argument("--batch", type=int, default=8)
    options = parser.parse_args()

    mdp = lt.problems.sequences(3, gamma=0.9)  # 15 episodes: the audit lists them all
    policy = lt.SoftmaxTable(mdp)
    wrong = lt.exact.state_values(mdp, policy) + np.random.default_rng(0).normal(
        scale=0.2, size=mdp.num_states
    )
    print("trust   bias    std     error of a batch")
    for trust in options.trust:
        report = lt.audit(estimator(jnp.asarray(wrong), trust, mdp.gamma), mdp, policy)
        bias = np.linalg.norm(np.concatenate([np.ravel(b) for b in jax.tree.leaves(report.bias)]))
        std, error = np.sqrt(report.variance), np.sqrt(report.mse(options.batch))
        print(f"{trust:5.2f}  {bias:.4f}  {std:.4f}  {error:.4f}")


if __name__ == "__main__":
    main()
