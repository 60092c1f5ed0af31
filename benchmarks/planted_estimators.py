"""Estimators with one fault each, written in plain NumPy, and what `lt.audit` says of them.

    python benchmarks/planted_estimators.py [NAME ...]

Prints one line a fault. The exit status is 1 if a fault went unnoticed. The honest estimators are
GAE with an imperfect critic, trajectories cut at a horizon, and RLOO; the audit of somebody else's
code must tell each faulty one from those, by its mean or by an `EstimatorError`.
"""

import functools
import sys
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import numpy as np

import logtrick as lt
from logtrick.auditing.significance import exceeds_sampling_error
from logtrick.errors import EstimatorError

GAMMA, LAMBDA, HORIZON = 0.7, 0.6, 2


def tree() -> lt.FiniteMDP:
    """Up to three steps, two outcomes of each action, one of which ends."""
    rng = np.random.default_rng(0)
    table: list[Any] = []
    for following in ((2, 3), (2, 3), (4, 4), (4, 4), None):
        choices = []
        for _ in range(2):
            p = rng.uniform(0.3, 0.7)
            go = (p, 4 if following is None else int(rng.choice(following)))
            goes_on = (*go, 2 * float(rng.normal()), following is None)
            choices.append([goes_on, (1 - p, 0, 2 * float(rng.normal()), True)])
        table.append(choices)
    return lt.FiniteMDP.from_outcomes(table, gamma=GAMMA, start=[0.6, 0.4, 0, 0, 0])


MDP = tree()
SEQUENCES = lt.problems.sequences(2)
CRITIC = np.random.default_rng(1).normal(size=MDP.num_states)
OF_ACTIONS = np.random.default_rng(2).normal(size=2)


@dataclass(frozen=True)
class Gae:
    """The honest estimator, with a place for every fault."""

    gamma: float = GAMMA
    lambda_: float = LAMBDA
    trace_gamma: float = GAMMA
    weight: Any = lambda step, t: GAMMA**step
    truncation_ends: bool = False
    ends: bool = True
    next_value: Any = lambda batch: CRITIC[batch.next_obs]
    reward: Any = lambda batch: batch.reward
    baseline: Any = lambda batch: CRITIC[batch.obs]
    cut: Any = lambda batch: batch.terminated | batch.truncated
    after: Any = lambda psi, batch: psi
    mask: Any = lambda batch: batch.valid
    score: Any = lambda pi, batch: np.eye(2)[batch.action] - pi[batch.obs]
    normaliser: Any = lambda batch: len(batch.reward)
    extra: Any = lambda pi: 0.0

    def __call__(self, policy: Any, batch: Any) -> Any:
        """The estimate of ∇J, shaped like the policy."""
        batch = type(batch)(*map(np.asarray, batch))
        logits = np.asarray(policy.logits)
        pi = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        stops = batch.terminated & self.ends | (batch.truncated & self.truncation_ends)
        follows = np.where(stops, 0.0, self.next_value(batch))
        delta = self.reward(batch) + self.gamma * follows - self.baseline(batch)
        psi, ahead = np.zeros_like(delta), np.zeros(len(delta))
        for t in reversed(range(delta.shape[1])):
            ahead = np.where(self.cut(batch)[:, t], 0.0, ahead)
            psi[:, t] = ahead = delta[:, t] + self.trace_gamma * self.lambda_ * ahead
        steps = np.arange(delta.shape[1])
        weights = self.weight(steps, batch) * self.mask(batch) * self.after(psi, batch)
        gradient = np.zeros_like(pi)
        np.add.at(gradient, batch.obs, weights[..., None] * self.score(pi, batch))
        gradient = gradient / self.normaliser(batch) + self.extra(pi)
        return eqx.tree_at(lambda p: p.logits, policy, gradient)


def _next_row(array: np.ndarray) -> np.ndarray:
    """The row after, over the ends of episodes and of the batch's rows."""
    return np.roll(array.ravel(), -1).reshape(array.shape)


def _whitened(psi: np.ndarray, batch: Any) -> np.ndarray:
    inside = psi[batch.valid]
    return (psi - inside.mean()) / (inside.std() + 1e-8)


def _no_last_step(batch: Any) -> np.ndarray:
    return batch.valid & ~(batch.terminated | batch.truncated)


def _entropy(pi: np.ndarray) -> np.ndarray:
    logs = np.log(pi)
    return -0.01 * pi * (logs - (pi * logs).sum(axis=1, keepdims=True))


TRAJECTORY_FAULTS = {
    "γ^t dropped": {"weight": lambda step, b: 1.0},
    "γ^t off by one": {"weight": lambda step, b: GAMMA ** (step + 1)},
    "γ^t twice": {"weight": lambda step, b: GAMMA ** (2 * step)},
    "sign": {"normaliser": lambda b: -len(b.reward)},
    "a scale of 1.01": {"normaliser": lambda b: len(b.reward) / 1.01},
    "λ ignored": {"lambda_": 1.0},
    "λ = 0": {"lambda_": 0.0},
    "γ dropped in the TD residual": {"gamma": 1.0},
    "γ dropped in the trace": {"trace_gamma": 1.0},
    "truncation as termination": {"truncation_ends": True},
    "termination as truncation": {"ends": False},
    "next episode's value": {"next_value": lambda b: _next_row(CRITIC[b.obs])},
    "the trace runs into the next episode": {"cut": lambda b: np.zeros_like(b.terminated)},
    "reward of the next step": {"reward": lambda b: np.roll(b.reward, -1, 1)},
    "ψ of the next step": {"after": lambda psi, b: np.roll(psi, -1, 1)},
    "ψ of the step before": {"after": lambda psi, b: np.roll(psi, 1, 1)},
    "baseline of the next state": {"baseline": lambda b: CRITIC[b.next_obs]},
    "action-dependent baseline": {
        "after": lambda psi, b: psi - OF_ACTIONS[b.action],
    },
    "value added": {"baseline": lambda b: -CRITIC[b.obs]},
    "score of the next action": {
        "score": lambda pi, b: np.eye(2)[np.roll(b.action, -1, 1)] - pi[b.obs],
    },
    "score of the next state": {"score": lambda pi, b: np.eye(2)[b.action] - pi[b.next_obs]},
    "score without its mean": {"score": lambda pi, b: np.eye(2)[b.action]},
    "∇π for ∇log π": {
        "score": lambda pi, b: (
            np.take_along_axis(pi[b.obs], b.action[..., None], -1)
            * (np.eye(2)[b.action] - pi[b.obs])
        ),
    },
    "entropy bonus left in": {"extra": _entropy},
    "positive advantages only": {"after": lambda psi, b: np.maximum(psi, 0.0)},
    "rewards clipped": {"reward": lambda b: np.clip(b.reward, -1.0, 1.0)},
    "whitened over the batch": {"after": _whitened},
    "padding not masked": {"mask": lambda b: np.ones_like(b.valid)},
    "last step dropped": {"mask": _no_last_step},
    "first step only": {"mask": lambda b: b.valid & (b.step == 0)},
    "mean over steps": {"normaliser": lambda b: b.valid.sum()},
    "sum over the batch": {"normaliser": lambda b: 1.0},
    "NaN at an end": {"reward": lambda b: np.where(b.terminated, np.nan, b.reward)},
}
"""What is put in the place of which part of `Gae`."""


@dataclass(frozen=True)
class Rloo:
    """Leave one out on groups of sequences."""

    psi: Any = lambda r: r - (r.sum() - r) / max(len(r) - 1, 1)
    weight: Any = lambda lengths: np.full(len(lengths), 1 / len(lengths))

    def __call__(self, policy: Any, batch: Any) -> Any:
        """The estimate of ∇J, shaped like the policy."""
        batch = type(batch)(*map(np.asarray, batch))
        logits = np.asarray(policy.logits)
        pi = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        returns = np.where(batch.valid, batch.reward, 0.0).sum(axis=1)
        psi = self.psi(returns) * self.weight(batch.valid.sum(axis=1))
        gradient = np.zeros_like(pi)
        scores = np.eye(pi.shape[1])[batch.action] - pi[batch.obs]
        np.add.at(gradient, batch.obs, (psi[:, None] * batch.valid)[..., None] * scores)
        return eqx.tree_at(lambda p: p.logits, policy, gradient)


def _without_epsilon(r: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (r - r.mean()) / r.std()


GROUP_FAULTS = {
    "leave-one-out baseline as the weight": {"psi": lambda r: (r.sum() - r) / max(len(r) - 1, 1)},
    "group mean for leave-one-out": {"psi": lambda r: r - r.mean()},
    "best of the group as the baseline": {"psi": lambda r: r - r.max()},
    "divided by the std": {"psi": lambda r: (r - r.mean()) / (r.std() + 1e-4)},
    "std without ε": {"psi": _without_epsilon},
    "1/length": {"weight": lambda lengths: 1 / (len(lengths) * lengths)},
    "token mean": {"weight": lambda lengths: np.full(len(lengths), 1 / lengths.sum())},
    "ranks for returns": {"psi": lambda r: np.argsort(np.argsort(r)) - (len(r) - 1) / 2},
}


def policy_of(mdp: lt.FiniteMDP) -> Any:
    """A softmax table that is not uniform."""
    shape = (mdp.num_states, mdp.num_actions)
    logits = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    return lt.SoftmaxTable(mdp, logits=logits)


@functools.cache
def _claimed(name: str) -> Any:
    """The report on the registered estimator that the honest code is."""
    if name == "rloo":
        return lt.audit(name, SEQUENCES, policy_of(SEQUENCES), group_size=2)
    told = {"values": CRITIC, "lambda_": LAMBDA, "horizon": HORIZON}
    return lt.audit(name, MDP, policy_of(MDP), **told)


def verdict(name: str | None) -> str | None:
    """What gives the fault away; None if nothing does. None as the name is the honest code."""
    if name is None or name in TRAJECTORY_FAULTS:
        mdp = MDP
        claimed = _claimed("gae")
        planted: Any = replace(Gae(), **TRAJECTORY_FAULTS.get(name or "", {}))
        found: dict[str, Any] = {"horizon": HORIZON}
    else:
        mdp, found = SEQUENCES, {"group_size": 2}
        claimed = _claimed("rloo")
        planted = replace(Rloo(), **GROUP_FAULTS.get(name, {}))
    try:
        report = lt.audit(planted, mdp, policy_of(mdp), **found)
    except EstimatorError as error:
        return str(error).partition(":")[0]
    difference = report.flat.mean - claimed.flat.mean
    if report.samples is not None:
        noise = report.covariance / report.samples
        wrong = exceeds_sampling_error(difference, noise)
    else:
        wrong = bool(np.linalg.norm(difference) > 1e-10 * np.linalg.norm(claimed.flat.mean))
    return f"{report.gradient_of}, cosine {report.cosine:.3f}" if wrong else None


def main() -> int:
    wanted = sys.argv[1:] or [*TRAJECTORY_FAULTS, *GROUP_FAULTS]
    unnoticed = 0
    for name in wanted:
        caught = verdict(name)
        unnoticed += caught is None
        print(f"{name:40}  {caught or 'NOT CAUGHT'}", flush=True)
    print(f"{len(wanted) - unnoticed} of {len(wanted)} caught")
    return int(unnoticed > 0)


if __name__ == "__main__":
    sys.exit(main())
