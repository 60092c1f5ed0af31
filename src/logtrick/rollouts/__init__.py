"""Rollouts: a policy acts in environments, and no transition loses information.

A rollout returns a `Trajectory`, T transitions (obs, action, reward, next_obs, terminated,
truncated, valid) with log π of each action. next_obs is the observation that was really reached, at
the end of an episode too, and the two flags stay apart, so that every ψ can bootstrap rightly.

`device.rollout` is one pure function for one device environment, of which `jax.vmap` makes many;
`host.HostRollout` steps rows of host environments and returns the same `Trajectory`; `acting`
chooses the actions on the host. `evaluation` plays whole episodes for a score, and `filming` draws
one.
"""

from logtrick.rollouts.device import DeviceRow, Trajectory, rollout, start_row, start_rows

__all__ = ["DeviceRow", "Trajectory", "rollout", "start_row", "start_rows"]
