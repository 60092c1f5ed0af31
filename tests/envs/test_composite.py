"""Dict and Tuple spaces through every adapter of Gymnasium: nothing is lost, faults are named."""

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import logtrick as lt
from logtrick.envs import make, resolve
from logtrick.errors import EnvError, SpaceError
from logtrick.support.spaces import over_leaves, space_from_dict, space_to_dict

SPACE = spaces.Dict(
    {
        "seen": spaces.Box(-9, 9, (2,), np.float32),
        "room": spaces.Discrete(3, start=1),
        "pair": spaces.Tuple([spaces.MultiBinary(2), spaces.MultiDiscrete([2, 3])]),
        "action_mask": spaces.Dict({"go": spaces.MultiBinary(3)}),
    }
)
ACTIONS = spaces.Dict({"go": spaces.Discrete(3, start=5), "by": spaces.Box(-1, 1, (1,))})


class Rooms(gymnasium.Env):
    """Shows its step and what was done; ends after three steps."""

    observation_space, action_space = SPACE, ACTIONS
    fault = None

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t, self.action = 0, {"go": 5, "by": np.zeros(1, np.float32)}
        return self._obs(), {}

    def step(self, action):
        assert ACTIONS.contains(action), action
        self.t, self.action = self.t + 1, action
        obs = self._obs()
        if self.fault is not None and self.t == 2:
            obs = self.fault(obs)
        return obs, float(action["go"]), False, self.t >= 3, {}

    def _obs(self):
        seen = np.array([self.t, self.action["by"][0]], np.float32)
        mask = np.array([1, 1, self.t % 2], np.int8)
        pair = (np.array([1, 0], np.int8), np.array([0, 2]))
        return {"seen": seen, "room": 1 + self.t % 3, "pair": pair, "action_mask": {"go": mask}}


def vector(mode):
    return SyncVectorEnv([Rooms] * 2, autoreset_mode=mode)


@pytest.mark.parametrize(
    "space",
    [SPACE, ACTIONS, spaces.Tuple([spaces.Discrete(2)]), spaces.MultiDiscrete([3, 2], np.int32)],
)
def test_spaces_survive_a_round_trip(space):
    assert space_from_dict(space_to_dict(space)) == space
    with pytest.raises(SpaceError):
        space_to_dict(spaces.Dict({"text": spaces.Text(4)}))


@pytest.mark.parametrize("mode", [None, *AutoresetMode])
def test_parts_arrive_whole_and_shifted_to_zero(mode):
    envs = make(Rooms if mode is None else vector(mode), 2)
    assert envs.action_space["go"] == spaces.Discrete(3)
    obs = envs.reset(np.arange(2, dtype=np.uint32), np.ones(2, bool))
    np.testing.assert_array_equal(obs["room"], [0, 0])
    action = {"go": np.array([0, 2]), "by": np.array([[0.5], [-0.5]], np.float32)}
    for t in (1, 2, 3):
        step = envs.step(action)
        np.testing.assert_array_equal(step.obs["seen"], [[t, 0.5], [t, -0.5]])  # at the end too
        np.testing.assert_array_equal(step.obs["room"], [t % 3] * 2)
        np.testing.assert_array_equal(step.obs["pair"][1], [[0, 2]] * 2)
        np.testing.assert_array_equal(step.reward, [5, 7])
    assert step.truncated.all()
    fresh = envs.reset(np.arange(2, dtype=np.uint32), np.ones(2, bool))
    if mode is AutoresetMode.NEXT_STEP:
        fresh = envs.step(action).obs
    np.testing.assert_array_equal(fresh["seen"], np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        (lambda obs: {"seen": obs["seen"]}, "lacks parts"),
        (lambda obs: obs | {"seen": np.zeros(3, np.float32)}, r"\['seen'\] has shape \(3,\)"),
        (lambda obs: obs | {"seen": np.full(2, np.nan, np.float32)}, r"\['seen'\] \[nan nan\]"),
        (lambda obs: obs | {"room": 0}, r"\['room'\] 0 is not in Discrete\(3, start=1\)"),
        (
            lambda obs: obs | {"pair": (np.ones(2, np.int8), np.ones(3, int))},
            r"\['pair'\]\[1\] has",
        ),
        (lambda obs: obs | {"action_mask": {"go": np.zeros(3, np.int8)}}, "allows no action"),
    ],
)
def test_faults_in_a_part_are_named(fault, match):
    envs = make(type("Faulty", (Rooms,), {"fault": staticmethod(fault)}), 2)
    envs.reset(np.arange(2, dtype=np.uint32), np.ones(2, bool))
    action = {"go": np.array([0, 2]), "by": np.zeros((2, 1), np.float32)}
    envs.step(action)
    with pytest.raises(EnvError, match=match) as caught:
        envs.step(action)
    assert "environment 0, step 2" in str(caught.value)


class Doors(gymnasium.Env):
    """Two coordinates of an action; only one door of the second is open, from step 1 or from 0."""

    observation_space = spaces.Dict(
        {"t": spaces.Box(-9, 9, (1,)), "action_mask": spaces.MultiBinary(5)}
    )
    action_space = spaces.MultiDiscrete([2, 3])
    masks = ([1, 1, 0, 1, 0],)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._obs(), {}

    def step(self, action):
        self.t += 1
        return self._obs(), 0.0, self.t == 3, False, {}

    def _obs(self):
        mask = np.array(self.masks[self.t % len(self.masks)], np.int8)
        return {"t": np.array([self.t], np.float32), "action_mask": mask}


@pytest.mark.parametrize(
    ("masks", "where"),
    [
        (([0, 0, 0, 0, 0],), "environment 0, reset"),
        (([1, 1, 0, 0, 0],), "environment 0, reset"),
        (([1, 1, 0, 1, 0], [0, 0, 1, 1, 1]), "environment 0, step 1 of its episode"),
    ],
)
@pytest.mark.parametrize("mode", AutoresetMode)
def test_a_mask_leaves_every_coordinate_some_action(masks, where, mode):
    doors = type("Doors", (Doors,), {"masks": masks})
    envs = make(SyncVectorEnv([doors] * 2, autoreset_mode=mode), 2)
    seeds, mask = np.arange(2, dtype=np.uint32), np.ones(2, bool)
    with pytest.raises(EnvError, match=f"{where}.*allows no action"):
        _ = envs.reset(seeds, mask), envs.step(np.zeros((2, 2), int))


@pytest.mark.parametrize("mode", AutoresetMode)
def test_the_mask_of_a_later_episode_is_looked_at_too(mode):
    class Second(Doors):
        """Allows nothing at the start of its second episode; at ends a mask may be empty."""

        starts = 0

        def reset(self, **arguments):
            self.starts += 1
            return super().reset(**arguments)

        def _obs(self):
            stuck = self.t == 3 or (self.t == 0 and self.starts == 2)
            return super()._obs() | {"action_mask": np.full(5, not stuck, np.int8)}

    envs = make(SyncVectorEnv([Second], autoreset_mode=mode), 1)
    seeds, mask = np.zeros(1, np.uint32), np.ones(1, bool)
    envs.reset(seeds, mask)
    for _ in range(3):
        step = envs.step(np.zeros((1, 2), int))
    assert step.terminated.all()
    with pytest.raises(EnvError, match=r"environment 0, reset: .*allows no action"):
        _ = envs.reset(seeds, mask), envs.step(np.zeros((1, 2), int))


def test_a_mask_that_is_built_unlike_the_actions_is_refused():
    mask = spaces.Dict({"go": spaces.MultiBinary(5)})
    space = spaces.Dict({"t": spaces.Box(-9, 9, (1,)), "action_mask": mask})
    shown = {"t": np.zeros(1, np.float32), "action_mask": {"go": np.ones(5, np.int8)}}
    odd = type("Odd", (Doors,), {"observation_space": space, "_obs": lambda self: shown})
    with pytest.raises(SpaceError, match="does not fit actions in MultiDiscrete"):
        make(odd, 1).reset(np.zeros(1, np.uint32), np.ones(1, bool))


def test_unknown_parts_are_refused():
    bad = type("Bad", (Rooms,), {"observation_space": spaces.Dict({"t": spaces.Text(3)})})
    with pytest.raises(SpaceError, match="the part Text"):
        resolve(bad)


def test_training_with_parts_resumes(tmp_path):
    algorithm = lt.PPO(num_envs=2, num_steps=8, minibatches=2, memory="gru", memory_width=4)
    run = lt.train(Rooms, algorithm, steps=64, out=tmp_path, progress=False)
    again = lt.resume(run.path, env=Rooms, progress=False)
    assert again.evaluate(2, env=Rooms, max_steps=5).lengths.tolist() == [[3, 3]]


def test_leaves_are_visited_with_their_values():
    found = over_leaves(
        lambda space, value: (type(space).__name__, value), ACTIONS, {"go": 1, "by": 2}
    )
    assert found == {"by": ("Box", 2), "go": ("Discrete", 1)}
