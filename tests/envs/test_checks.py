"""`check_env` on environments with one planted fault each."""

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import logtrick as lt
from logtrick.envs import MountainCar, TwoState, TwoStateGym
from logtrick.errors import ConfigError, EnvError, SpaceError

TRUE_ENDS = "the observation at an end is the one that was reached"
LIMIT = "the time limit of 3 steps truncates, and does not terminate"
REPLAY = "the same seed and actions give the same episode"


@dataclass(frozen=True)
class Broken(TwoState):
    """`TwoState` with a fault: what `spoil` does to the true results."""

    def step(self, key, state, action):
        return self.spoil(key, state, super().step(key, state, action))

    def spoil(self, key, state, step):
        return step


class Untraceable(Broken):
    def spoil(self, key, state, step):
        return step if step.reward > 0 else step._replace(reward=-step.reward)


class UntraceableReset(Broken):
    def reset(self, key):
        state, _ = super().reset(key)
        return state, np.eye(2)[int(state.place)]


class PlainTuple(Broken):
    def spoil(self, key, state, step):
        return step.state, step.obs, step.reward, step.terminated, step.truncated


class WideReward(Broken):
    def spoil(self, key, state, step):
        return step._replace(reward=step.reward[None])


class IntegerReward(Broken):
    def spoil(self, key, state, step):
        return step._replace(reward=step.reward.astype(jnp.int32))


class NumberFlag(Broken):
    def spoil(self, key, state, step):
        return step._replace(truncated=step.truncated.astype(jnp.float32))


class DriftingState(Broken):
    def spoil(self, key, state, step):
        return step._replace(state=step.state._replace(steps=step.state.steps * 1.0))


class OtherState(Broken):
    def spoil(self, key, state, step):
        return step._replace(state=(step.state.place, step.state.steps))


class WideObs(Broken):
    def reset(self, key):
        state, obs = super().reset(key)
        return state, obs[None]

    def spoil(self, key, state, step):
        return step._replace(obs=step.obs[None])


class IntegerObs(Broken):
    def reset(self, key):
        state, obs = super().reset(key)
        return state, obs.astype(jnp.int32)

    def spoil(self, key, state, step):
        return step._replace(obs=step.obs.astype(jnp.int32))


CALLS = []


class Remembers(Broken):
    def spoil(self, key, state, step):
        CALLS.append(1)
        return step._replace(reward=step.reward + len(CALLS))


class RemembersAtReset(Broken):
    def reset(self, key):
        CALLS.append(1)
        state, obs = super().reset(key)
        return state, obs * (len(CALLS) % 2)


class NanReward(Broken):
    def spoil(self, key, state, step):
        return step._replace(reward=jnp.where(state.place == 1, jnp.nan, step.reward))


class InfiniteObs(Broken):
    def spoil(self, key, state, step):
        return step._replace(obs=jnp.where(state.steps == 1, jnp.inf, step.obs))


class LeavesItsSpace(Broken):
    def spoil(self, key, state, step):
        return step._replace(obs=step.obs * jnp.where(state.steps == 1, 1.5, 1.0))


class LeavesItsSpaceBelow(Broken):
    def spoil(self, key, state, step):
        return step._replace(obs=step.obs - 0.25)


class ResetsItself(Broken):
    """What most JAX environments do: at an end, the state and observation are the next ones'."""

    def spoil(self, key, state, step):
        fresh, obs = self.reset(jax.random.fold_in(key, 1))
        ended = step.terminated | step.truncated

        def pick(a, b):
            return jnp.where(ended, a, b)

        return step._replace(state=jax.tree.map(pick, fresh, step.state), obs=pick(obs, step.obs))


class ResetsItselfToOneStart(ResetsItself):
    def reset(self, key):
        return super().reset(jax.random.key(0))


class LimitTerminates(Broken):
    def spoil(self, key, state, step):
        return step._replace(
            terminated=step.terminated | step.truncated, truncated=jnp.zeros((), bool)
        )


class LimitForgotten(Broken):
    def spoil(self, key, state, step):
        return step._replace(truncated=step.truncated & (step.state.steps >= 5))


DEVICE_FAULTS = {
    Untraceable: "step cannot be traced by jax: TracerBoolConversionError",
    UntraceableReset: "reset cannot be traced by jax: ConcretizationTypeError",
    PlainTuple: "step returns a tuple and no logtrick Step",
    WideReward: r"reward is float32\[1\], not one floating scalar",
    IntegerReward: r"reward is int32\[\], not one floating scalar",
    NumberFlag: r"truncated is float32\[\], not one bool_ scalar",
    DriftingState: r"state.steps is int32\[\] after reset and float32\[\] after step",
    OtherState: "state after step is another pytree than after reset",
    WideObs: r"observation is float32\[1, 2\]; its space is Box",
    IntegerObs: r"observation is int32\[2\]; its space is Box",
    Remembers: "step gave two results for the same arguments",
    RemembersAtReset: "reset gave two results for the same arguments",
    NanReward: r"row \d, step \d+: the reward is nan",
    InfiniteObs: r"row \d, step 1: the observation is \[inf inf\]",
    LeavesItsSpace: r"step 1: the next observation\[\d\] is 1.5, outside \[0, 1\]",
    LeavesItsSpaceBelow: r"step 0: the next observation\[\d\] is -0.25, outside \[0, 1\]",
    ResetsItself: "looks like a fresh start",
    ResetsItselfToOneStart: "looks like a fresh start",
    LimitTerminates: "an episode terminated at step 3 and was not truncated; its time limit is 3",
    LimitForgotten: "an episode went on at step 3 and was not truncated; its time limit is 3",
}


@pytest.mark.parametrize("broken", DEVICE_FAULTS, ids=lambda broken: broken.__name__)
def test_a_fault_on_the_device_is_named(broken):
    with pytest.raises(EnvError, match=DEVICE_FAULTS[broken]) as caught:
        lt.check_env(broken(), steps=200)
    assert str(caught.value).startswith("TwoState-v0")


def test_the_sound_one_passes_all():
    report = lt.check_env(Broken(), steps=200)
    assert report.unseen == ()
    assert {TRUE_ENDS, LIMIT} < set(report.passed)
    assert len(report.passed) == 8
    assert (report.steps, report.episodes) == (200, 4 * 16)


def test_the_state_that_is_returned_counts_and_not_only_the_flags():
    """An environment that ends at random is not taken for one that resets itself."""
    report = lt.check_env(TwoState(end_probability=0.5), steps=200)
    assert report.unseen == ()


@dataclass(frozen=True)
class Windy(TwoState):
    """Random steps and random starts: nobody can tell from outside whether it resets itself."""

    def step(self, key, state, action):
        return super().step(key, state, jax.random.bernoulli(key).astype(jnp.int32))


def test_what_cannot_be_decided_is_said():
    report = lt.check_env(Windy(), steps=200)
    assert report.unseen == (f"{TRUE_ENDS}: its steps are random, and its starts too",)
    patient = dataclasses.replace(MountainCar(), max_episode_steps=10_000)
    report = lt.check_env(patient, steps=100)
    assert [text.partition(":")[0] for text in report.unseen] == [
        TRUE_ENDS,
        "the time limit of 10000 steps truncates, and does not terminate",
    ]


class Loose(TwoStateGym):
    """Draws its start from chance that no seed governs."""

    def reset(self, *, seed=None, options=None):
        return super().reset(seed=None)


class Sticky(TwoStateGym):
    """Remembers across episodes."""

    total = 0.0

    def step(self, action):
        obs, reward, *rest = super().step(action)
        self.total += reward
        return obs, self.total, *rest


class Wide(TwoStateGym):
    def _observation(self):
        return super()._observation() * np.float32(1.5)


HOST_FAULTS = {
    "loose": (Loose, "with the same seed and actions .* super\\(\\).reset"),
    "sticky": (Sticky, r"environment \d, step \d+: reward was .* with the same seed and actions"),
    "wide": (Wide, r"observation\[\d\] is 1.5, outside \[0, 1\]"),
    "limit": (
        lambda: gymnasium.wrappers.TimeLimit(TwoStateGym(TwoState(max_episode_steps=99)), 3),
        None,
    ),
}


@pytest.mark.parametrize("name", ["loose", "sticky", "wide"])
def test_a_fault_on_the_host_is_named(name):
    make, text = HOST_FAULTS[name]
    with pytest.raises(EnvError, match=text):
        lt.check_env(make, steps=200)


def test_sound_host_environments_pass():
    for env in (TwoStateGym, TwoStateGym(), HOST_FAULTS["limit"][0], "gym:MountainCar-v0"):
        report = lt.check_env(env, steps=1000)
        assert report.kind == "host"
        assert REPLAY in report.passed
        assert report.unseen == ()
        assert report.episodes >= 4
    assert "the time limit of 200 steps truncates, and does not terminate" in report.passed


@pytest.mark.parametrize("mode", AutoresetMode)
def test_vector_environments_pass_in_every_mode(mode):
    vector = SyncVectorEnv([TwoStateGym] * 3, autoreset_mode=mode)
    report = lt.check_env(vector, steps=300)
    idle = 75 if mode is AutoresetMode.NEXT_STEP else 0
    assert report.steps == 300 - idle
    replayed = REPLAY in report.passed
    assert replayed is (mode is AutoresetMode.DISABLED)
    assert len(report.unseen) == 1 - replayed
    assert not vector.closed


class Shows(TwoStateGym):
    """Always the same observation, of a space of integers."""

    def __init__(self, space, shown):
        super().__init__()
        self.observation_space, self.shown = space, np.asarray(shown, space.dtype)

    def _observation(self):
        return self.shown


@pytest.mark.parametrize(
    ("space", "inside", "outside"),
    [
        (spaces.MultiDiscrete([2, 3]), [1, 2], [1, 3]),
        (spaces.MultiBinary(1), [1], [2]),
        (spaces.MultiBinary((2, 2)), np.ones((2, 2)), np.full((2, 2), -1)),
    ],
)
def test_arrays_of_integers_have_limits_too(space, inside, outside):
    report = lt.check_env(lambda: Shows(space, inside), steps=50)
    assert "observations stay in their space" in report.passed
    with pytest.raises(EnvError, match="is not in Multi"):
        lt.check_env(lambda: Shows(space, outside), steps=50)


def test_the_same_seed_checks_the_same_steps():
    first, again = (lt.check_env("gym:CartPole-v1", seed=4, steps=400) for _ in range(2))
    other = lt.check_env("gym:CartPole-v1", seed=5, steps=400)
    assert first == again
    assert first.episodes != other.episodes


def test_the_space_of_the_caller_keeps_its_own_generator():
    env = TwoStateGym()
    env.action_space.seed(0)
    expected = [env.action_space.sample() for _ in range(5)]
    env.action_space.seed(0)
    lt.check_env(env, steps=50)
    assert [env.action_space.sample() for _ in range(5)] == expected


@dataclass(frozen=True)
class Pairs(TwoState):
    """Shows its state as a pair of whole numbers."""

    id: ClassVar[str] = "Pairs"
    space: ClassVar[spaces.Space] = spaces.MultiDiscrete([2, 2])

    @property
    def observation_space(self):
        return self.space

    def pair(self, state):
        return jnp.stack([state.place, state.place])

    def reset(self, key):
        state, _ = super().reset(key)
        return state, self.pair(state)

    def step(self, key, state, action):
        step = super().step(key, state, action)
        return step._replace(obs=self.pair(step.state))


class Bits(Pairs):
    space = spaces.MultiBinary(2)

    def pair(self, state):
        return super().pair(state) == 1


class Named(Pairs):
    def pair(self, state):
        return {"pair": super().pair(state)}


class Decimal(Pairs):
    def pair(self, state):
        return super().pair(state).astype(jnp.float32)


def test_whole_numbers_of_any_size_are_whole_numbers():
    for env in (Pairs(), Bits()):
        assert "observations stay in their space" in lt.check_env(env, steps=50).passed
    with pytest.raises(EnvError, match=r"the observation is a dict; its space is MultiDiscrete"):
        lt.check_env(Named(), steps=50)
    with pytest.raises(EnvError, match=r"the observation is float32\[2\]; its space"):
        lt.check_env(Decimal(), steps=50)


@dataclass(frozen=True)
class PairActions(TwoState):
    id: ClassVar[str] = "Pairs"

    @property
    def action_space(self):
        return spaces.Box(0, 3, (1,), np.int32)


def test_what_no_policy_serves_is_refused():
    with pytest.raises(SpaceError, match=r"Pairs: .*Box\(0, 3, \(1,\), int32\)"):
        lt.check_env(PairActions())
    with pytest.raises(SpaceError, match=r"Box\(0, 3, \(1,\), int32\)"):
        lt.check_env("gym:tabular/CliffWalking-v0")
    with pytest.raises(ConfigError, match="steps=0"):
        lt.check_env("CartPole-v1", steps=0)


@dataclass(frozen=True)
class Parts(TwoState):
    """Shows two parts; the mask allows action 0 in state 0, and action 1 in state 1."""

    id: ClassVar[str] = "Parts"
    fault: str = ""

    @property
    def observation_space(self):
        seen = spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (2,))])
        return spaces.Dict(
            {"seen": seen, "action_mask": spaces.Dict({"to": spaces.MultiBinary(2)})}
        )

    @property
    def action_space(self):
        return spaces.Dict({"to": spaces.Discrete(2), "by": spaces.Box(-1, 1, (2, 2))})

    def reset(self, key):
        state, obs = super().reset(key)
        return state, self.parts(state, obs)

    def step(self, key, state, action):
        allowed = action["to"] == state.place
        allowed = allowed | (self.fault == "stuck")
        step = super().step(key, state, action["to"])
        obs = self.parts(step.state, step.obs)
        if self.fault == "wide":
            obs["seen"] = (obs["seen"][0], step.obs * 1.5)
        if self.fault == "nan":
            obs["seen"] = (obs["seen"][0], jnp.where(step.state.steps == 2, jnp.nan, step.obs))
        reward = jnp.where(allowed & jnp.all(jnp.abs(action["by"]) <= 1), step.reward, jnp.nan)
        return step._replace(obs=obs, reward=reward)

    def parts(self, state, obs):
        mask = {"to": jnp.arange(2) == state.place}
        shown = {"seen": (state.place, obs), "action_mask": mask}
        match self.fault:
            case "lacks":
                del shown["seen"]
            case "more":
                shown["more"] = obs
            case "stuck":
                shown["action_mask"] = {"to": jnp.zeros(2, bool)}
            case "shape":
                shown["seen"] = (state.place, obs[:1])
        return shown


class GymParts(gymnasium.Env):
    """The same on the host."""

    observation_space, action_space = Parts().observation_space, Parts().action_space
    drift, total = 0.0, 0.0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.t = int(self.np_random.integers(2)), 0
        return self.shown(), {}

    def step(self, action):
        assert action["to"] == self.place
        assert self.action_space["by"].contains(action["by"])
        self.place, self.t = int(self.np_random.integers(2)), self.t + 1
        type(self).total += self.drift
        return self.shown(), 0.0, self.t == 5, False, {}

    def shown(self):
        mask = {"to": (np.arange(2) == self.place).astype(np.int8)}
        box = np.full(2, self.total, np.float32)
        return {"seen": (self.place, box), "action_mask": mask}


def test_parts_are_checked_each_and_masks_are_kept_to():
    """Both environments fail at the first action that their mask does not allow."""
    report = lt.check_env(Parts(), steps=200)
    assert report.unseen == ()
    assert "observations stay in their space" in report.passed
    for env in (GymParts, SyncVectorEnv([GymParts] * 3, autoreset_mode=AutoresetMode.NEXT_STEP)):
        assert "observations stay in their space" in lt.check_env(env, steps=200).passed


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("wide", r"the next observation\['seen'\]\[1\]\[\d\] is 1.5, outside \[0, 1\]"),
        ("nan", r"step 1: the observation\['seen'\]\[1\] is \[nan nan\], which is not finite"),
        ("stuck", "step 0: its action_mask allows no action, yet the episode goes on"),
        ("lacks", "the observation lacks parts of its space Dict"),
        ("more", "the observation has parts that its space .* lacks"),
        ("shape", r"the observation\['seen'\]\[1\] is float32\[1\]; its space is Box"),
    ],
)
def test_faults_in_a_part_are_named(fault, match):
    with pytest.raises(EnvError, match=match):
        lt.check_env(Parts(fault=fault), steps=200)


def test_a_part_that_no_seed_governs_is_named():
    drifting = type("Drifting", (GymParts,), {"drift": 1e-4})
    with pytest.raises(
        EnvError, match=r"obs\['seen'\]\[1\] was \[.*and with the same seed and actions \["
    ) as told:
        lt.check_env(drifting, steps=200)
    assert "keep nothing from one episode to the next" in str(told.value)


@pytest.mark.parametrize("arguments", [{"steps": True}, {"seed": -1}])
def test_numbers_of_steps_and_seeds_are_whole(arguments):
    with pytest.raises(ConfigError, match="must be a whole number"):
        lt.check_env("CartPole-v1", **arguments)
