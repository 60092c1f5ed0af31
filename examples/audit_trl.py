"""What does TRL's GRPO loss estimate? Its own `_compute_loss`, audited by enumeration.

    python -m pip install "logtrick[torch]" trl
    python examples/audit_trl.py

The trainer is made without its __init__, which wants a language model, a tokenizer and a data set,
and gets the attributes that its loss reads. The language model is a table of logits over prefixes.
The advantages are computed where TRL computes them, in the middle of its generation code, so these
three lines are transcribed: `advantages`. Every group of two answers is listed: exact means.
"""

from collections import defaultdict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from trl import GRPOConfig, GRPOTrainer

import logtrick as lt
from logtrick.auditing.torch_policy import from_torch
from logtrick.mdp.problems.token_tasks import contains_zero
from logtrick.mdp.problems.tokens import SequenceTask
from logtrick.rollouts.device import Trajectory

LOSSES = ("grpo", "dr_grpo", "dapo", "bnpo")


class TableLM(torch.nn.Module):
    """A language model: one row of logits for each unfinished answer to the one prompt."""

    def __init__(self, task: SequenceTask):
        super().__init__()
        self.task = task
        generator = torch.Generator().manual_seed(0)
        shape = (task.num_prefixes, task.vocabulary)
        self.table = torch.nn.Parameter(torch.randn(shape, generator=generator))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """The logits of the next token."""
        return self.table[states]


class AsTransformer:
    """The face that TRL's loss looks at: ids in, log-probabilities of the tokens out."""

    def __init__(self, module: TableLM, states: torch.Tensor):
        self.module, self.states = module, states

    def __call__(self, input_ids: torch.Tensor, **_: Any) -> SimpleNamespace:
        """`input_ids` are one token of prompt and the answer; the states belong to the answer."""
        log_pi = self.module(self.states).log_softmax(-1)
        tokens = log_pi.gather(-1, input_ids[:, 1:, None])[..., 0]
        start = torch.zeros_like(tokens[:, :1])
        entropy = -(log_pi.exp() * log_pi).sum(-1)
        padded = (torch.cat([start, x], dim=1) for x in (tokens, entropy))
        return SimpleNamespace(**dict(zip(("log_probs", "entropy"), padded, strict=True)))


def trainer(loss_type: str, limit: int) -> GRPOTrainer:
    """A GRPOTrainer with what `_compute_loss` reads, at the defaults of its configuration."""
    made = object.__new__(GRPOTrainer)
    accelerator = SimpleNamespace(
        num_processes=1,
        sync_gradients=True,
        is_main_process=False,
        autocast=lambda: torch.autocast("cpu", enabled=False),
        gather=lambda x: x,
        gather_for_metrics=lambda x: x,
        reduce=lambda x, reduction: x,
    )
    attributes = {
        "args": SimpleNamespace(
            delta=None, use_bias_correction_kl=False, steps_per_generation=1, report_to=[]
        ),
        "accelerator": accelerator,
        "model": SimpleNamespace(training=True),
        "_metrics": {"train": defaultdict(list)},
        "loss_type": loss_type,
        "max_completion_length": limit,
        "beta": GRPOConfig.beta,
        "epsilon_low": GRPOConfig.epsilon,
        "epsilon_high": GRPOConfig.epsilon,
        "importance_sampling_level": "token",
        "current_gradient_accumulation_steps": 1,
        "top_entropy_quantile": 1.0,
        "off_policy_mask_threshold": None,
        "use_vllm": False,
        "aux_loss_enabled": False,
        "_entropy_bonus_enabled": False,
    }
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def advantages(rewards: torch.Tensor, scaled: bool) -> torch.Tensor:
    """TRL's, of one group: R minus its mean, over its standard deviation + 1e-4."""
    centred = rewards - rewards.mean()
    std = rewards.std() if len(rewards) > 1 else torch.zeros(())
    return centred / (std + 1e-4) if scaled else centred


def loss_of(loss_type: str, task: SequenceTask) -> Callable[[TableLM, Trajectory], torch.Tensor]:
    """`GRPOTrainer._compute_loss` on one group."""

    def loss(module: TableLM, t: Trajectory) -> torch.Tensor:
        mask = t.valid.long()
        inputs = {
            "prompt_ids": torch.zeros_like(t.action[:, :1]),
            "prompt_mask": torch.ones_like(t.action[:, :1]),
            "completion_ids": t.action,
            "completion_mask": mask,
            "advantages": advantages((t.reward * t.valid).sum(-1), loss_type != "dr_grpo"),
            "num_items_in_batch": mask.sum().double(),
        }
        model = AsTransformer(module, t.obs)
        return trainer(loss_type, task.limit)._compute_loss(model, inputs)

    loss.__name__ = f"TRL, loss_type={loss_type}"
    return loss


def audits(task: SequenceTask, group_size: int = 2) -> "dict[str, lt.auditing.report.Report]":
    """One report for each loss type; every group is listed."""
    mdp, reports = task.mdp(), {}
    for loss_type in LOSSES:
        policy, estimator = from_torch(mdp, TableLM(task), loss_of(loss_type, task))
        reports[loss_type] = lt.audit(
            estimator, mdp, policy, group_size=group_size, horizon=task.limit
        )
    return reports


if __name__ == "__main__":
    print(f"{'loss_type':10}{'gradient of':>28}{'scale':>8}{'cosine':>8}{'curl':>8}")
    for label, found in audits(contains_zero(2)).items():
        numbers = f"{found.scale:8.4f}{found.cosine:8.4f}{found.curl:8.4f}"
        print(f"{label:10}{found.gradient_of:>28}{numbers}")
