"""A policy acts in environments, and no transition loses information.

`device.rollout` is one pure function for one device environment (`vmap` makes many of it);
`host.HostRollout` steps rows of host environments and returns the same `Trajectory`; `acting`
chooses actions on the host; `evaluation` plays whole episodes for a score, and `filming` draws
one. A transition carries (obs, action, reward, next_obs, terminated, truncated, valid), where
next_obs is the observation that was really reached, at the end of an episode too.
"""

from logtrick.rollouts.device import DeviceRow, Trajectory, rollout, start_row, start_rows

__all__ = ["DeviceRow", "Trajectory", "rollout", "start_row", "start_rows"]
