"""Torch modules under audit: somebody else's policy with somebody else's loss, `.grad` read back.

Torch is imported when the first module is read; nothing else here needs it.
"""

import copy
import functools
import importlib
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64

from logtrick.auditing.foreign import attempt
from logtrick.auditing.scored import Runner, ScoredPolicy
from logtrick.errors import ConfigError, EstimatorError, MissingExtraError, ShapeError
from logtrick.mdp.model import FiniteMDP
from logtrick.rollouts.device import Trajectory

LogProbs = Callable[[Any, Any], Any]
Loss = Callable[[Any, Trajectory], Any]
Precision = Literal["float64", "float32"]


def from_torch(
    mdp: FiniteMDP,
    module: Any,
    loss: Loss,
    *,
    log_probs: LogProbs | None = None,
    precision: Precision = "float64",
) -> tuple["TorchPolicy", Callable[..., Any]]:
    """A torch policy and its loss as what `lt.audit` takes: (policy, estimator).

    θ are the parameters that π depends on; a critic's own have no part in J and are left out. The
    estimate is −∂loss/∂θ, for a loss is minimised and J ascended.

    Args:
        mdp: the MDP; the module is called on its `observations`.
        module: a `torch.nn.Module`. It is copied and never changed.
        loss: (module, trajectories) -> the loss, one number; or None, if it called `backward`
            itself: what is then in `.grad` is taken (a whole training step will do, with an
            optimiser whose learning rate is 0). `module` is the copy, which the loss must use;
            `trajectories` is a `Trajectory` of torch tensors [B, T, ...].
        log_probs: (module, observations [S, ...]) -> logits or log π [S, A]; None calls the module
            and takes its `logits` if it has some.
        precision: of the copy. In "float64" what flows into its layers is cast, so that a module
            that makes float32 of its observations still computes in float64; choose "float32" for
            a loss that rounds on its own.

    Returns:
        The policy on this MDP, and `estimator(policy, trajectories)`.

    Raises:
        MissingExtraError: torch is not installed.
        ConfigError: no parameter has a part in π.
        ShapeError: the log-probabilities are not [S, A].
        EstimatorError: when called: the loss is no single number, moved the parameters, or left
            none with a gradient.

    Example, with torch installed::

        class Table(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.logits = torch.nn.Parameter(torch.zeros(mdp.num_states, 4))

            def forward(self, states):
                return self.logits[states]

        def reinforce(module, t):
            log_pi = module(t.obs).log_softmax(-1).gather(-1, t.action[..., None])[..., 0]
            returns = (t.reward * t.valid).sum(-1, keepdim=True)
            return -(returns * log_pi * t.valid).sum(-1).mean()

        mdp = lt.problems.sequences(1, task="sort")  # three prompts, answers of two tokens
        policy, estimator = from_torch(mdp, Table(), reinforce)
        lt.audit(estimator, mdp, policy).gradient_of  # 'J discounted'
    """
    policy = TorchPolicy(mdp, module, log_probs=log_probs, precision=precision)
    return policy, descent(loss)


def descent(loss: Loss) -> Callable[..., Mapping[str, Any]]:
    """The estimator (module, trajectories) -> {name: −∂loss/∂θ} of a loss; see `from_torch`."""

    @functools.wraps(loss)
    def estimator(module: Any, trajectories: Trajectory) -> Mapping[str, Any]:
        before = {name: p.detach().clone() for name, p in module.named_parameters()}
        module.zero_grad(set_to_none=True)
        value = loss(module, trajectories)
        if value is not None:
            if getattr(value, "shape", None) != ():
                raise EstimatorError(
                    f"the loss returned {_shape_of(value)}; one number is needed, or None after "
                    "its own backward()"
                )
            value.backward()
        after = dict(module.named_parameters())
        moved = [name for name, p in after.items() if not p.detach().equal(before[name])]
        for name in moved:
            after[name].detach().copy_(before[name])
        gradients = {name: p.grad for name, p in after.items()}
        given = [gradient for gradient in gradients.values() if gradient is not None]
        if not given:
            raise EstimatorError(
                "no parameter has a gradient after the loss: it must use the module that it is "
                "given, which is a copy of the one that you passed"
            )
        # An optimiser at rest moves by 0 · NaN, and the NaN is what is wrong then.
        if moved and all(bool(gradient.isfinite().all()) for gradient in given):
            raise EstimatorError(
                f"the loss moved the parameter {moved[0]}: take the optimiser's learning rate to "
                "0, so that what is in .grad belongs to the policy that is audited"
            )
        return {
            name: _zeros(after[name]) if gradient is None else -gradient
            for name, gradient in gradients.items()
        }

    return estimator


class TorchPolicy(ScoredPolicy):
    """A `torch.nn.Module` on a finite MDP; θ are the parameters that π depends on, by name."""

    def __init__(
        self,
        mdp: FiniteMDP,
        module: Any,
        *,
        log_probs: LogProbs | None = None,
        precision: Precision = "float64",
    ) -> None:
        torch = _torch()
        self.mdp, self.precision = mdp, precision
        self._log_probs = log_probs or _call
        self.dtype = getattr(torch, precision)
        self.model = _cast(copy.deepcopy(module), self.dtype)
        gradients = torch.autograd.grad(
            self._table().sum(dim=0)[0], self._all().values(), allow_unused=True
        )
        pairs = zip(self._all(), gradients, strict=True)
        self.names = [name for name, gradient in pairs if gradient is not None]
        if not self.names:
            raise ConfigError(f"π depends on no parameter of this {type(module).__name__}")
        self.theta = self.flat({name: self._all()[name].detach() for name in self.names})

    @cached_property
    def probabilities(self) -> Float64[np.ndarray, " P"]:
        """π(a|s), masked where a state lacks an action."""
        table = self._table().detach().exp().numpy()
        return table[self.mdp.pair_states, self.mdp.pair_actions]

    @cached_property
    def scores(self) -> Float64[np.ndarray, "P N"]:
        """∇log π by torch's autograd, one backward pass for each pair."""
        torch = _torch()
        parameters = [self._all()[name] for name in self.names]
        table = self._table()
        pairs = zip(self.mdp.pair_states.tolist(), self.mdp.pair_actions.tolist(), strict=True)
        rows = []
        for state, action in pairs:
            gradient = torch.autograd.grad(
                table[state, action], parameters, retain_graph=True, allow_unused=True
            )
            named = zip(self.names, parameters, gradient, strict=True)
            rows.append(self.flat({n: _zeros(p) if g is None else g for n, p, g in named}))
        return np.stack(rows)

    def at(self, theta: Float64[np.ndarray, " N"]) -> "TorchPolicy":
        """A copy of the module with other numbers in it."""
        torch = _torch()
        other = copy.copy(self)
        for cached in ("probabilities", "scores"):
            other.__dict__.pop(cached, None)
        other.theta = np.array(theta, np.float64)
        with torch.no_grad():
            self._table()  # a module that remembers its last output can be copied without a graph
            other.model = copy.deepcopy(self.model)
            for name, values in other.unravel(other.theta).items():
                other._all()[name].copy_(torch.from_numpy(values))
        return other

    def unravel(self, vector: Float64[np.ndarray, " N"]) -> dict[str, Float64[np.ndarray, "..."]]:
        """A flat vector by the names of the parameters."""
        shapes = {name: tuple(self._all()[name].shape) for name in self.names}
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        parts = np.split(np.array(vector, np.float64), ends[:-1])
        return {n: part.reshape(shapes[n]) for n, part in zip(self.names, parts, strict=True)}

    def flat(self, tensors: Mapping[str, Any]) -> Float64[np.ndarray, " N"]:
        """The tensors of θ as one vector."""
        parts = [np.asarray(tensors[name].detach().numpy(), np.float64) for name in self.names]
        return np.concatenate([part.ravel() for part in parts])

    def runner(self, estimator: Callable[..., Any]) -> Runner:
        """A runner that calls the estimator on one batch after the other."""
        return TorchRunner(estimator, float(np.finfo(self.precision).eps))

    def _all(self) -> dict[str, Any]:
        return {name: p for name, p in self.model.named_parameters() if p.requires_grad}

    def _table(self) -> Any:
        """Log π [S, A] in float64, −∞ at actions that a state does not have."""
        torch = _torch()
        observations = _tensor(self.mdp.observations, self.dtype)
        logits = self._log_probs(self.model, observations)
        wanted = (self.mdp.num_states, self.mdp.num_actions)
        if tuple(getattr(logits, "shape", ())) != wanted:
            raise ShapeError(
                f"the module's log-probabilities are {_shape_of(logits)}; the MDP's states and "
                f"actions need {list(wanted)}"
            )
        available = torch.from_numpy(np.array(self.mdp.available))
        logits = torch.where(available, logits.double(), -np.inf)
        return logits.log_softmax(dim=-1)


class TorchRunner:
    """Calls `estimator(module, trajectories)` with tensors."""

    batched = False

    def __init__(self, estimator: Callable[..., Any], resolution: float) -> None:
        self.estimator, self.resolution = estimator, resolution

    def __call__(self, policy: ScoredPolicy, trajectories: Trajectory) -> Any:
        """One gradient for each of U batches [U, B, T], float64[U, N]."""
        assert isinstance(policy, TorchPolicy)
        rows = []
        for u in range(len(trajectories.reward)):
            batch = Trajectory(*(_tensor(x[u], policy.dtype) for x in trajectories))
            gradient = attempt(self.estimator, policy.model, batch)
            rows.append(policy.flat(_checked(policy, gradient)))
        return np.stack(rows)

    def once(self, policy: ScoredPolicy, batch: Trajectory) -> list[Any]:
        """The numbers of one call."""
        return [self(policy, Trajectory(*(x[None] for x in batch)))]

    numbers = once


def _zeros(parameter: Any) -> Any:
    """Zeros shaped like a parameter."""
    return _torch().zeros_like(parameter)


def _checked(policy: TorchPolicy, gradient: Any) -> Mapping[str, Any]:
    """A gradient by parameter names, after its structure was compared with the policy's."""
    shapes = {name: values.shape for name, values in policy.unravel(policy.theta).items()}
    if isinstance(gradient, Mapping) and shapes.keys() <= gradient.keys():
        found = {name: tuple(getattr(gradient[name], "shape", ())) for name in shapes}
        if found == shapes:
            return gradient
    raise EstimatorError(
        f"the estimator returned {_shape_of(gradient)}; a gradient is a tensor for each of "
        f"{', '.join(f'{name} {list(shape)}' for name, shape in shapes.items())}"
    )


def _cast(module: Any, dtype: Any) -> Any:
    """The module in another precision; what flows into its layers is cast on the way."""

    def into(layer: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            x.to(dtype) if getattr(x, "is_floating_point", lambda: False)() else x
            for x in arguments
        )

    for layer in module.modules():
        if not list(layer.children()):
            layer.register_forward_pre_hook(into)
    return module.to(dtype)


def _call(module: Any, observations: Any) -> Any:
    output = module(observations)
    return getattr(output, "logits", output)


def _tensor(array: Any, dtype: Any) -> Any:
    torch = _torch()
    tensor = torch.from_numpy(np.array(array))
    if tensor.is_floating_point():
        return tensor.to(dtype)
    return tensor if tensor.dtype == torch.bool else tensor.long()


def _shape_of(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"a tensor {list(shape)}"


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        raise MissingExtraError(
            'a torch module needs torch: pip install "logtrick[torch]"'
        ) from error
