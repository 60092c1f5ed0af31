"""Slow transcriptions of the definitions: sums over k, episode by episode, no recursion.

All take one trajectory [T] of NumPy arrays, and all are written from the defining sums, so that
they share nothing with the code under test.
"""

import numpy as np


def episodes(terminated, truncated):
    """[(first, last)] of each episode, both included."""
    first, found = 0, []
    for t in range(len(terminated)):
        if terminated[t] or truncated[t] or t == len(terminated) - 1:
            found.append((first, t))
            first = t + 1
    return found


def last_of(t, terminated, truncated):
    return next(last for first, last in episodes(terminated, truncated) if first <= t <= last)


def first_of(t, terminated, truncated):
    return next(first for first, last in episodes(terminated, truncated) if first <= t <= last)


def beyond(t, terminated, next_values):
    return 0.0 if terminated[t] else next_values[t]


def delta(t, r, v, nv, terminated, gamma):
    return r[t] + gamma * beyond(t, terminated, nv) - v[t]


def n_step_target(t, r, nv, terminated, truncated, gamma, n):
    end = min(t + n - 1, last_of(t, terminated, truncated))
    total = sum(gamma ** (k - t) * r[k] for k in range(t, end + 1))
    return total + gamma ** (end + 1 - t) * beyond(end, terminated, nv)


def each_row(value):
    def rows(r, *args, **kwargs):
        return np.array([value(t, r, *args, **kwargs) for t in range(len(r))])

    return rows


@each_row
def reward_to_go(t, r, nv, terminated, truncated, gamma):
    return n_step_target(t, r, nv, terminated, truncated, gamma, len(r))


@each_row
def episode_return(t, r, nv, terminated, truncated, gamma):
    start = first_of(t, terminated, truncated)
    return n_step_target(start, r, nv, terminated, truncated, gamma, len(r))


@each_row
def total_return(t, r, nv, terminated, truncated, gamma):
    start, end = first_of(t, terminated, truncated), last_of(t, terminated, truncated)
    total = sum(gamma ** (k - t) * r[k] for k in range(start, end + 1))
    return total + gamma ** (end + 1 - t) * beyond(end, terminated, nv)


@each_row
def baselined_return(t, r, v, nv, terminated, truncated, gamma):
    return n_step_target(t, r, nv, terminated, truncated, gamma, len(r)) - v[t]


@each_row
def td_residual(t, r, v, nv, terminated, truncated, gamma):
    return delta(t, r, v, nv, terminated, gamma)


@each_row
def n_step(t, r, v, nv, terminated, truncated, gamma, n):
    return n_step_target(t, r, nv, terminated, truncated, gamma, n) - v[t]


@each_row
def gae(t, r, v, nv, terminated, truncated, gamma, lambda_):
    end = last_of(t, terminated, truncated)
    return sum(
        (gamma * lambda_) ** (k - t) * delta(k, r, v, nv, terminated, gamma)
        for k in range(t, end + 1)
    )


@each_row
def lambda_return(t, r, nv, terminated, truncated, gamma, lambda_):
    steps = last_of(t, terminated, truncated) - t + 1
    targets = [
        n_step_target(t, r, nv, terminated, truncated, gamma, n) for n in range(1, steps + 1)
    ]
    mixed = (1 - lambda_) * sum(lambda_**i * target for i, target in enumerate(targets[:-1]))
    return mixed + lambda_ ** (steps - 1) * targets[-1]


@each_row
def vtrace_targets(t, r, v, nv, ratios, terminated, truncated, gamma, lambda_, rho_bar, c_bar):
    total = v[t]
    for k in range(t, last_of(t, terminated, truncated) + 1):
        trace = np.prod([lambda_ * min(c_bar, ratios[i]) for i in range(t, k)])
        rho = min(rho_bar, ratios[k])
        total += gamma ** (k - t) * trace * rho * delta(k, r, v, nv, terminated, gamma)
    return total


def vtrace(r, v, nv, ratios, terminated, truncated, gamma, lambda_, rho_bar, c_bar, front):
    targets = vtrace_targets(
        r, v, nv, ratios, terminated, truncated, gamma, lambda_, rho_bar, c_bar
    )
    psi = []
    for t in range(len(r)):
        following = beyond(t, terminated, nv)
        if t < last_of(t, terminated, truncated):
            following = (1 - lambda_) * v[t + 1] + lambda_ * targets[t + 1]
        psi.append(min(front, ratios[t]) * (r[t] + gamma * following - v[t]))
    return np.array(psi)


@each_row
def retrace(t, r, q, nv, ratios, terminated, truncated, gamma, lambda_, c_bar):
    total = q[t]
    for k in range(t, last_of(t, terminated, truncated) + 1):
        trace = np.prod([lambda_ * min(c_bar, ratios[i]) for i in range(t + 1, k + 1)])
        total += gamma ** (k - t) * trace * delta(k, r, q, nv, terminated, gamma)
    return total
