"""Problems on a line, and in two or three states."""

import numpy as np

from logtrick.mdp.model import FiniteMDP


def corridor(*, gamma: float = 1.0) -> FiniteMDP:
    """The short corridor with switched actions; all states look the same.

    Right leads on, left back (in the first state it stays), but in the middle state the two are
    exchanged. Every step costs 1. With p the probability of right, J(p) = (2p − 4)/(p(1 − p)).

    Source: Sutton & Barto (2018), example 13.1.
    """
    right, left = (
        [(1, 1, False), (1, 0, False), (1, 2, True)],
        [(1, 0, False), (1, 2, False), (1, 1, False)],
    )
    table = [[[(p, s, -1.0, end)] for p, s, end in both] for both in zip(right, left, strict=True)]
    return FiniteMDP.from_outcomes(
        table, gamma=gamma, start=0, action_names=("right", "left"), observations=np.zeros(3, int)
    )


def puterman_two_state(*, gamma: float = 0.95) -> FiniteMDP:
    """Two states; the second has one action. For γ > 10/11 it is best to stay in the first.

    Source: Puterman (1994), section 3.1.
    """
    table = [
        {0: [(0.5, 0, 5.0, False), (0.5, 1, 5.0, False)], 1: [(1.0, 1, 10.0, False)]},
        {0: [(1.0, 1, -1.0, False)]},
    ]
    return FiniteMDP.from_outcomes(table, gamma=gamma, start=0)


def forest(
    num_states: int = 3,
    *,
    wait: float = 4.0,
    cut: float = 2.0,
    fire: float = 0.1,
    gamma: float = 0.9,
) -> FiniteMDP:
    """When to cut a forest: its age grows by waiting, and fire takes it back to the start.

    Args:
        num_states: ages; the last is the oldest.
        wait: reward for waiting at the oldest age.
        cut: reward for cutting at the oldest age; 1 at the others, 0 at the first.
        fire: its probability.
        gamma: γ.

    Source: the forest example of the MDP Toolbox (Chadès et al. 2014).
    """
    ages = np.arange(num_states)
    transitions = np.zeros((num_states, 2, num_states))
    transitions[ages, 0, np.minimum(ages + 1, num_states - 1)] = 1 - fire
    transitions[ages, 0, 0] += fire
    transitions[ages, 1, 0] = 1.0
    rewards = np.zeros((num_states, 2))
    rewards[1:, 1] = 1.0
    rewards[-1] = wait, cut
    return FiniteMDP.from_arrays(
        transitions, rewards, gamma=gamma, start=0, action_names=("wait", "cut")
    )


def random_walk(num_states: int = 5, *, gamma: float = 1.0) -> FiniteMDP:
    """Left or right along a line, from its middle; only the end at the right pays, 1.

    Under the uniform policy V(k) = k/(n + 1), k = 1 ... n.

    Source: Sutton & Barto (2018), example 6.2, with the two directions as actions.
    """
    last = num_states - 1
    table = [
        [
            [(1.0, max(state - 1, 0), 0.0, state == 0)],
            [(1.0, min(state + 1, last), float(state == last), state == last)],
        ]
        for state in range(num_states)
    ]
    return FiniteMDP.from_outcomes(
        table, gamma=gamma, start=last // 2, action_names=("left", "right")
    )


def chain(num_states: int = 5, *, slip: float = 0.2, gamma: float = 0.95) -> FiniteMDP:
    """Forward pays 10 only at the far end, back to the start pays 2; each slips into the other.

    Source: Strens (2000), figure 1.
    """
    table = []
    for state in range(num_states):
        far = state == num_states - 1
        forward = (min(state + 1, num_states - 1), 10.0 * far, False)
        back = (0, 2.0, False)
        table.append(
            [
                [(1 - slip, *forward), (slip, *back)],
                [(1 - slip, *back), (slip, *forward)],
            ]
        )
    return FiniteMDP.from_outcomes(table, gamma=gamma, start=0, action_names=("forward", "back"))


def vanishing_chain(length: int = 20) -> FiniteMDP:
    """A chain on which the gradient of a poor policy is exponentially small in its length.

    States 0 … length + 1, γ = length/(length + 1). One of four actions leads on, the others
    back; only the last state pays.

    Source: Agarwal et al. (2021), "On the theory of policy gradient methods", proposition 4.1.
    """
    last = length + 1
    table = [
        [[(1.0, min(state + 1, last), float(state == last), False)]]
        + [[(1.0, max(state - 1, 0) if state < last else last, 0.0, False)]] * 3
        for state in range(length + 2)
    ]
    return FiniteMDP.from_outcomes(table, gamma=length / (length + 1), start=0)


def river_swim(num_states: int = 6, *, gamma: float = 0.99) -> FiniteMDP:
    """Drifting left pays a little at the left end; swimming right against the current pays 1.

    Source: Strehl & Littman (2008), with the numbers of Osband et al. (2013).
    """
    last = num_states - 1
    swim = [[(0.4, 0, 0.0, False), (0.6, 1, 0.0, False)]]
    for state in range(1, last):
        ways = ((0.05, state - 1), (0.6, state), (0.35, state + 1))
        swim.append([(p, successor, 0.0, False) for p, successor in ways])
    swim.append([(0.4, last - 1, 1.0, False), (0.6, last, 1.0, False)])
    table = [
        [[(1.0, max(state - 1, 0), 0.005 * (state == 0), False)], swim[state]]
        for state in range(num_states)
    ]
    return FiniteMDP.from_outcomes(table, gamma=gamma, start=0, action_names=("left", "right"))


def gamma_t_fixture(*, gamma: float = 0.5) -> FiniteMDP:
    """Where leaving out γ^t opposes both gradients (G4); all states look the same.

    With p the probability of R, the slopes divided by p(1 − p) are J1 +.25, J2 +6.5 and, of the
    update without γ^t, −.5.
    """
    table = [
        [[(1.0, 1, 1.0, False)], [(1.0, 1, 0.0, False)]],
        [[(1.0, 2, 0.0, False)], [(1.0, 1, 2.5, True)]],
        [[(1.0, 3, 0.0, False)]] * 2,
        [[(1.0, 4, 0.0, False)]] * 2,
        [[(1.0, 4, 8.0, True)]] * 2,
    ]
    return FiniteMDP.from_outcomes(
        table,
        gamma=gamma,
        start=0,
        action_names=("R", "L"),
        state_names=("s0", "s1", "c1", "c2", "c3"),
        observations=np.zeros(5, int),
    )


def two_state_loop(*, gamma: float = 0.5) -> FiniteMDP:
    """s0 leads to s1 by `go` and stays by `stay`; s1 pays 1 and returns to s0 by either.

    The smallest MDP on which the introductory derivation drops a term: with p the probability of
    `go`, the dropped share of ∇r̄ is (1 − γ)/(1 + γp).
    """
    table = [
        [[(1.0, 1, 0.0, False)], [(1.0, 0, 0.0, False)]],
        [[(1.0, 0, 1.0, False)], [(1.0, 0, 1.0, False)]],
    ]
    return FiniteMDP.from_outcomes(
        table, gamma=gamma, start=0, action_names=("go", "stay"), state_names=("s0", "s1")
    )
