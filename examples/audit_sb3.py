"""What do Stable-Baselines3's A2C and PPO estimate? Their own train(), audited by enumeration.

    python -m pip install "logtrick[torch]" stable-baselines3
    python examples/audit_sb3.py

Nothing of theirs is rewritten: their rollout buffer is filled with the trajectories of the audit,
their train() is called with the learning rate 0 and without gradient clipping, and what it leaves
in `.grad` is the estimate. On a world of seven answers every batch of two can be listed, so the
means are exact.
"""

from collections.abc import Callable

import numpy as np
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import configure
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

import logtrick as lt
from logtrick.auditing.torch_policy import from_torch
from logtrick.rollouts.device import Trajectory

FLOATS = ("rewards", "returns", "values", "log_probs", "advantages", "episode_starts")


def training_step(algorithm: OnPolicyAlgorithm) -> Callable[[torch.nn.Module, Trajectory], None]:
    """One gradient of `algorithm.train()` on a batch of complete episodes."""
    algorithm.set_logger(configure(None, []))

    def loss(module: torch.nn.Module, trajectories: Trajectory) -> None:
        algorithm.policy = module
        algorithm.rollout_buffer = buffer = filled(algorithm, trajectories)
        algorithm.n_epochs, algorithm.batch_size = 1, buffer.buffer_size  # PPO: the whole batch
        algorithm.train()

    loss.__name__ = type(algorithm).__name__
    return loss


def filled(algorithm: OnPolicyAlgorithm, t: Trajectory) -> RolloutBuffer:
    """Their buffer with one episode after the other, in float64."""
    steps = int(t.valid.sum())
    buffer = RolloutBuffer(
        steps,
        algorithm.observation_space,
        algorithm.action_space,
        device="cpu",
        gamma=algorithm.gamma,
        gae_lambda=algorithm.gae_lambda,
    )
    for name in FLOATS:
        setattr(buffer, name, getattr(buffer, name).astype(np.float64))
    columns = (t.obs[t.valid], t.action[t.valid], t.reward[t.valid], t.step[t.valid] == 0)
    values = algorithm.policy.predict_values(columns[0]).detach()
    for k, (obs, action, reward, begins) in enumerate(zip(*columns, strict=True)):
        row = (x.numpy()[None] for x in (obs, action, reward, begins))
        buffer.add(*row, values[k], t.log_prob[t.valid][k])
    buffer.compute_returns_and_advantage(torch.zeros(1), dones=np.array([True]))
    return buffer


def log_probs(policy: torch.nn.Module, observations: torch.Tensor) -> torch.Tensor:
    """Log π of their policy, for every observation."""
    return policy.get_distribution(observations).distribution.logits


def algorithms(mdp: lt.FiniteMDP) -> dict[str, OnPolicyAlgorithm]:
    """A2C and PPO, each with and without normalised advantages, the critic's λ at 1."""
    common = {
        "env": lt.envs.to_gymnasium(mdp),
        "learning_rate": 0.0,
        "max_grad_norm": float("inf"),
        "gamma": mdp.gamma,
        "gae_lambda": 1.0,
        "n_steps": 2,
        "policy_kwargs": {"net_arch": [], "optimizer_class": torch.optim.SGD},
        "device": "cpu",
        "seed": 0,
    }
    made = {
        f"{cls.__name__}, advantages {'normalised' if normalised else 'as they are'}": cls(
            "MlpPolicy", normalize_advantage=normalised, **common, **more
        )
        for cls, more in ((A2C, {}), (PPO, {"batch_size": 2}))
        for normalised in (False, True)
    }
    for algorithm in made.values():
        algorithm.policy.action_net.bias.requires_grad_(False)  # the weights alone are a table
    return made


def audits(mdp: lt.FiniteMDP, batch: int = 2) -> dict[str, "lt.auditing.report.Report"]:
    """One report for each; every batch of `batch` trajectories is listed."""
    reports = {}
    for name, algorithm in algorithms(mdp).items():
        policy, estimator = from_torch(
            mdp, algorithm.policy, training_step(algorithm), log_probs=log_probs
        )
        reports[name] = lt.audit(estimator, mdp, policy, batch_size=batch, group_size=batch)
    return reports


if __name__ == "__main__":
    world = lt.problems.sequences(2, gamma=0.5)
    print(f"{'':36}{'gradient of':>14}{'scale':>8}{'cosine':>8}{'curl':>8}")
    for label, found in audits(world).items():
        numbers = f"{found.scale:8.4f}{found.cosine:8.4f}{found.curl:8.4f}"
        print(f"{label:36}{found.gradient_of:>14}{numbers}")
