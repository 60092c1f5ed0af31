"""What every action distribution has."""

import abc
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PRNGKeyArray

from logtrick.policies.protocols import Action


class Distribution(eqx.Module):
    """What π(·|s) is. The parameters are arrays, so a distribution is a pytree."""

    def draw_noise(self, key: PRNGKeyArray) -> Any:
        """The randomness of one sample; it may look at shapes only, not at the parameters.

        A rollout draws the noise of all its steps at once, which is much cheaper than a little
        in every step.
        """
        return key

    @abc.abstractmethod
    def from_noise(self, noise: Any) -> Any:
        """The action that this noise leads to."""

    def sample(self, key: PRNGKeyArray) -> Any:
        """Draw an action."""
        return self.from_noise(self.draw_noise(key))

    @abc.abstractmethod
    def log_prob(self, action: Action) -> Float[Array, "..."]:
        """Log π(a|s); the density's logarithm where actions are continuous."""

    @abc.abstractmethod
    def entropy(self) -> Float[Array, "..."]:
        """−E[log π], in nats; differential entropy where actions are continuous."""

    @abc.abstractmethod
    def kl(self, other: Any) -> Float[Array, "..."]:
        """KL(self ‖ other) = E_self[log self − log other], in nats."""

    @property
    @abc.abstractmethod
    def mode(self) -> Any:
        """The most probable action, taken when a policy acts greedily."""
