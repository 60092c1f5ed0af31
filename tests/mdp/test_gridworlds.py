"""What is drawn of a grid: directions, landmarks, idle states, arrows."""

import numpy as np
import pytest

from logtrick.mdp import problems
from logtrick.mdp.gridworlds import COMPASS, arrows, gridworld
from logtrick.mdp.model import FiniteMDP


def compass(mdp):
    return [COMPASS.get(tuple(d), ".") for d in gridworld(mdp).directions.tolist()]


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("frozen_lake", "←↓→↑"),
        ("frozen_lake:map_name=8x8", "←↓→↑"),
        ("FrozenLake-v1(is_slippery=False)", "←↓→↑"),
        ("cliff_walking", "↑→↓←"),
        ("CliffWalking-v1(is_slippery=True)", "↑→↓←"),
        ("example_3_5_grid", "↑→↓←"),
        ("salad_and_poison", "↑→↓←"),
    ],
)
def test_directions_are_read_off_the_layout(name, order):
    assert "".join(compass(problems.make(name))) == order


def test_moves_without_a_direction_and_diagonal_ones():
    # Four cells in a square; 0 stays, 1 leads to the lower right one, 2 jumps, 3 runs in a circle.
    circle = {0: 1, 1: 3, 3: 2, 2: 0}
    table = [[[(1.0, s, 0.0, False)], [(1.0, 3, 1.0, False)], [(1.0, 4, 0.0, False)],
              [(1.0, circle[s], 0.0, False)]] for s in sorted(circle)]  # fmt: skip
    table.append([[(1.0, 0, 0.0, False)]] * 4)
    layout = np.array([[0, 1, -1, -1], [2, 3, -1, 4]], np.int32)
    mdp = FiniteMDP.from_outcomes(table, gamma=0.9, layout=layout)
    assert compass(mdp) == [".", "↘", ".", "."]
    grid = gridworld(mdp)
    assert arrows(grid, np.eye(4)[[1, 0, 0, 0, 0]], None)[:2] == ["↘", "0"]
    assert arrows(grid, np.eye(4)[[1, 0, 0, 0, 0]], ["stay", "b", "c", "d"])[1] == "stay"


def test_who_is_idle():
    lake = gridworld(problems.frozen_lake())
    assert {lake.names[s] for s in np.flatnonzero(lake.idle)} == {"hole", "goal"}
    assert {s for s, name in enumerate(lake.names) if name in ("hole", "goal")} == set(
        np.flatnonzero(lake.idle)
    )
    cliff = gridworld(problems.cliff_walking())
    assert {cliff.names[s] for s in np.flatnonzero(cliff.idle)} == {"cliff", "goal"}
    assert cliff.idle.sum() == 11
    assert gridworld(problems.corridor()) is None


def test_shades_leave_idle_states_and_their_numbers_out():
    lake = gridworld(problems.frozen_lake())
    numbers = np.where(lake.idle, -1e9, np.arange(16.0))
    shades = lake.shades(numbers)
    assert np.isnan(shades[lake.idle]).all()
    assert shades[0] == 0
    assert shades[14] == 1
    assert shades[7 + 1] == pytest.approx(8 / 14)
    flat = lake.shades(np.full(16, 3.0))
    assert (flat[~lake.idle] == 1).all()


def test_arrows_of_likely_actions():
    lake = gridworld(problems.frozen_lake())
    table = np.tile([0.4, 0.1, 0.3, 0.2], (16, 1))
    words = arrows(lake, table, None)
    assert words[0] == "←→↑"
    assert words[5] == ""
