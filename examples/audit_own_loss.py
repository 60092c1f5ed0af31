"""Is my loss right? One that is and two that are not: `python examples/audit_own_loss.py`."""

import argparse

import equinox as eqx
import jax
import jax.numpy as jnp

import logtrick as lt


def surrogate(policy, trajectories, *, gamma, weight, mean_over_steps):
    """Σ_t weight^t ψ_t log π(a_t|s_t) of each episode, averaged; its gradient should be ∇J."""
    t = trajectories
    log_prob = jax.vmap(jax.vmap(lambda o, a: policy(o).log_prob(a)))(t.obs, t.action)
    psi = lt.psi.reward_to_go(t.reward, t.terminated, t.truncated, gamma=gamma)
    terms = jnp.where(t.valid, weight**t.step * psi * log_prob, 0.0).sum(axis=1)
    return (terms / t.valid.sum(axis=1) if mean_over_steps else terms).mean()


def main() -> None:
    """Audit the three on a world of 15 episodes, all of which are listed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gamma", type=float, default=0.8)
    gamma = parser.parse_args().gamma

    mdp = lt.problems.sequences(3, gamma=gamma)
    policy = lt.SoftmaxTable(mdp)
    losses = {
        "as the theorem has it": {"weight": gamma, "mean_over_steps": False},
        "without γ^t": {"weight": 1.0, "mean_over_steps": False},
        "mean over the steps": {"weight": gamma, "mean_over_steps": True},
    }
    for name, settings in losses.items():

        def of_batch(policy, trajectories, settings=settings):
            return surrogate(policy, trajectories, gamma=gamma, **settings)

        report = lt.audit(eqx.filter_grad(of_batch), mdp, policy)
        verdict = f"{report.gradient_of:14} off by {100 * report.residual:5.2f} %"
        print(f"{name:22} gradient of: {verdict}, curl {report.curl:.3f}")


if __name__ == "__main__":
    main()
