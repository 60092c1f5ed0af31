"""Training as its user meets it: it learns, it stops, it goes on to the same bits, it refuses."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from logtrick import errors
from logtrick.envs import CartPole
from logtrick.runs.training.interruption import Interrupted
from small_runs import SMALL, Watcher, digest, interrupt_at

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    return lt.train("CartPole-v1", SMALL, steps=2560, seed=1, seeds=2, out=out, progress=False)


def test_a_run_folder_holds_what_it_promises(trained):
    config = json.loads((trained.path / "config.json").read_text())
    assert config["env"] == "CartPole-v1"
    assert config["kind"] == "device"
    assert config["algorithm"]["name"] == "ppo"
    assert {"jax", "logtrick", "python", "device_kind", "device_count"} <= config["made_by"].keys()
    rows = trained.metrics
    assert len(rows) == 2 * 20
    assert [r["seed"] for r in rows[:2]] == [1, 2]
    assert rows[-1]["steps"] == 2560
    assert not any("second" in key for row in rows for key in row)  # wall-clock is elsewhere
    assert any("compile_seconds" in row for row in trained.timings)
    assert len(list((trained.path / "checkpoints").iterdir())) <= 3


def test_load_gives_the_policies_back(trained):
    run = lt.load(trained.path)
    assert len(run.policies) == 2
    obs = np.array([0.1, 0.0, -0.1, 0.2], np.float32)
    np.testing.assert_array_equal(run.policy(obs).logits, trained.policy(obs).logits)
    assert np.any(run.policies[0](obs).logits != run.policies[1](obs).logits)
    scores = run.evaluate(5, seed=3)
    assert scores.returns.shape == (2, 5)
    np.testing.assert_array_equal(scores.returns, scores.lengths)  # CartPole pays 1 a step


def test_steps_are_rounded_up_to_whole_updates(tmp_path):
    run = lt.train("CartPole-v1", SMALL, steps=129, out=tmp_path, progress=False)
    assert run.metrics[-1]["steps"] == 256


def test_the_same_seed_is_the_same_run_and_another_is_not(tmp_path, trained):
    again = lt.train(
        "CartPole-v1", SMALL, steps=2560, seed=1, seeds=2, out=tmp_path, progress=False
    )
    assert digest(again) == digest(trained)
    rows = [row | {"seed": 0} for row in again.metrics]
    assert rows[0::2] != rows[1::2]


def test_a_seed_alone_is_the_seed_among_others(tmp_path, trained):
    alone = lt.train("CartPole-v1", SMALL, steps=2560, seed=2, out=tmp_path, progress=False)
    together = [row for row in trained.metrics if row["seed"] == 2]
    # The same random numbers; sums may be rounded in another order. The first update must agree.
    for name, value in alone.metrics[0].items():
        np.testing.assert_allclose(value, together[0][name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("env", ["CartPole-v1", "gym:CartPole-v1"])
def test_interrupted_and_resumed_is_not_interrupted(env, tmp_path):
    whole = lt.train(env, SMALL, steps=5120, out=tmp_path / "a", progress=False)
    with pytest.raises(Interrupted, match="logtrick train --resume") as caught:
        lt.train(env, SMALL, steps=5120, out=tmp_path / "b", progress=interrupt_at(2))
    run = caught.value.run
    assert 0 < len(run.metrics) < len(whole.metrics)
    with pytest.raises(Interrupted):
        lt.resume(run.path, progress=interrupt_at(1))
    assert digest(lt.resume(run.path, progress=False)) == digest(whole)
    assert digest(lt.resume(run.path, progress=False)) == digest(whole)  # nothing left to do


@pytest.mark.parametrize(("env", "memory"), [("Pendulum-v1", "none"), ("gym:Pendulum-v1", "lstm")])
def test_running_moments_and_memories_resume_too(env, memory, tmp_path):
    algorithm = dataclasses.replace(
        SMALL, observations="normalised", rewards="normalised", memory=memory
    )
    whole = lt.train(env, algorithm, steps=1024, out=tmp_path / "a", progress=False)
    with pytest.raises(Interrupted) as caught:
        lt.train(env, algorithm, steps=1024, out=tmp_path / "b", progress=interrupt_at(1))
    assert len(caught.value.run.metrics) < len(whole.metrics)
    assert digest(lt.resume(caught.value.run.path, progress=False)) == digest(whole)


def test_a_run_remembers_that_it_was_resumed(tmp_path):
    settings = {"steps": 2560, "checkpoint_seconds": 0.0}
    with pytest.raises(Interrupted) as caught:
        lt.train("CartPole-v1", SMALL, out=tmp_path, progress=interrupt_at(2), **settings)
    path = caught.value.run.path
    before = caught.value.run.metrics[-1]
    with pytest.raises(Interrupted):
        lt.resume(path, progress=interrupt_at(1))
    assert not lt.load(path).resumptions[1:]
    run = lt.resume(lt.resume(path, progress=False).path, progress=False)  # the last has no work
    first, second = run.resumptions
    assert (first["update"], first["steps"]) == (before["update"], before["steps"])
    assert first["made_by"] == run.config.provenance
    assert first["update"] < second["update"] < run.metrics[-1]["update"]
    assert first["resumed"] <= second["resumed"]


@pytest.mark.parametrize("env", ["sequences:sort:2", "gym:FrozenLake-v1"])
def test_groups_and_their_reference_resume_too(env, tmp_path):
    algorithm = lt.GRPO(num_envs=8, group_size=4, minibatches=2, epochs=2, hidden=(8,))
    arguments = {"steps": 1500, "seeds": 2, "seed": 4}
    whole = lt.train(env, algorithm, out=tmp_path / "a", progress=False, **arguments)
    with pytest.raises(Interrupted) as caught:
        lt.train(env, algorithm, out=tmp_path / "b", progress=interrupt_at(1), **arguments)
    assert len(caught.value.run.metrics) < len(whole.metrics)
    assert digest(lt.resume(caught.value.run.path, progress=False)) == digest(whole)
    assert whole.metrics[-1]["reference_kl"] > 0


def test_what_cannot_be_replayed_goes_on_with_episodes_that_were_not_there(tmp_path):
    """Else every resumption would begin with the starts, and all chance, of the first update."""

    class Noted(gymnasium.vector.SyncVectorEnv):
        seeds: ClassVar[list] = []

        def reset(self, *, seed=None, options=None):
            self.seeds.append(tuple(seed))
            return super().reset(seed=seed, options=options)

    mode = gymnasium.vector.AutoresetMode.NEXT_STEP
    rows = Noted([lambda: gymnasium.make("CartPole-v1")] * 4, autoreset_mode=mode)
    with pytest.raises(Interrupted) as caught:
        lt.train(rows, SMALL, steps=2560, out=tmp_path, progress=interrupt_at(2))
    first = set(Noted.seeds)
    watcher = Watcher()
    lt.resume(caught.value.run.path, env=rows, progress=watcher)
    assert any("cannot replay" in note for note in watcher.notes)
    assert Noted.seeds[-1] not in first


def test_reinforce_resumes_too(tmp_path):
    algorithm = lt.REINFORCE(num_envs=4, hidden=(8,), psi="baselined_return")
    arguments = {"steps": 3000, "seeds": 2, "seed": 4}
    whole = lt.train("CartPole-v1", algorithm, out=tmp_path / "a", progress=False, **arguments)
    with pytest.raises(Interrupted) as caught:
        lt.train(
            "CartPole-v1", algorithm, out=tmp_path / "b", progress=interrupt_at(1), **arguments
        )
    assert digest(lt.resume(caught.value.run.path, progress=False)) == digest(whole)
    for seed in (4, 5):  # each seed stops by itself once it has its steps
        steps = [row["steps"] for row in whole.metrics if row["seed"] == seed]
        assert steps[-1] >= 3000 > steps[-2]


@pytest.mark.parametrize("env", ["CartPole-v1", "gym:CartPole-v1"])
def test_killed_at_random_moments_and_resumed(env, tmp_path):
    """kill -9 three times; the end is that of the run that was left alone."""
    steps = 40_000 if env.startswith("gym") else 400_000
    script = [sys.executable, str(HERE / "killed_run.py"), env, str(steps)]
    subprocess.run([*script, str(tmp_path / "whole")], check=True, timeout=300)
    rng = np.random.default_rng(0)
    command, survived = [*script, str(tmp_path / "killed")], False
    for _ in range(3):
        process = subprocess.Popen(command)
        while not list((tmp_path / "killed").glob("*/metrics.jsonl")):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 4))
        survived |= process.poll() is not None
        process.send_signal(signal.SIGKILL)
        process.wait()
        (run,) = (tmp_path / "killed").iterdir()
        command = [*script, str(tmp_path / "killed"), str(run)]
    subprocess.run(command, check=True, timeout=300)
    (whole,) = (tmp_path / "whole").iterdir()
    assert digest(lt.load(run)) == digest(lt.load(whole))


def test_the_newest_checkpoint_that_verifies_is_used(tmp_path):
    whole = lt.train("CartPole-v1", SMALL, steps=5120, out=tmp_path / "a", progress=False)
    run = lt.train(
        "CartPole-v1", SMALL, steps=5120, out=tmp_path / "b", checkpoint_seconds=0.0, progress=False
    )
    newest = max((run.path / "checkpoints").glob("step-*")) / "arrays.safetensors"
    data = bytearray(newest.read_bytes())
    data[-7] ^= 4
    newest.write_bytes(data)
    watcher = Watcher()
    assert digest(lt.resume(run.path, progress=watcher)) == digest(whole)
    assert any("passed over" in note and "SHA-256" in note for note in watcher.notes)


@dataclass(frozen=True)
class Poisoned(CartPole):
    """Pays NaN once a row has counted to 20 steps."""

    id: ClassVar[str] = "Poisoned"

    def step(self, key, state, action):
        step = super().step(key, state, action)
        return step._replace(reward=jnp.where(step.state.steps == 20, jnp.nan, step.reward))


def test_a_policy_file_cut_short_is_written_again_by_a_resume(tmp_path):
    run = lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path, progress=False)
    file = run.path / "policy.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-7])
    with pytest.raises(errors.CheckpointError, match=r"is damaged.*train --resume .* writes it"):
        _ = lt.load(run.path).policy
    lt.resume(run.path, progress=False)
    assert file.read_bytes() == whole


def test_nan_stops_the_run_and_names_what_went_bad_first(tmp_path):
    algorithm = dataclasses.replace(SMALL, num_steps=8)
    with pytest.raises(errors.NonFiniteError, match=r"Update 3 of seed 7 .*: rewards\.") as caught:
        lt.train(Poisoned(), algorithm, steps=2560, seed=7, out=tmp_path, progress=False)
    assert "update 0, is kept" in str(caught.value)
    (path,) = tmp_path.iterdir()
    run = lt.load(path)
    assert [row["update"] for row in run.metrics] == [1, 2]
    assert all(np.all(np.isfinite(x)) for x in run.policy(np.zeros(4)).logits)


def test_a_step_that_is_too_large_is_named(tmp_path):
    algorithm = dataclasses.replace(
        SMALL, learning_rate=1e38, max_grad_norm=None, schedule="constant"
    )
    with pytest.raises(errors.NonFiniteError, match=r"bad is: (loss|gradient|log-prob)"):
        lt.train("CartPole-v1", algorithm, steps=2560, out=tmp_path, progress=False)


def test_a_second_writer_is_refused(tmp_path):
    refusals = []

    def try_to_resume(visit):
        if visit == 1:
            (path,) = tmp_path.iterdir()
            code = f"import logtrick as lt; lt.resume({str(path)!r}, progress=False)"
            result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            refusals.append((result.returncode, result.stderr, str(os.getpid())))

    lt.train("CartPole-v1", SMALL, steps=640, out=tmp_path, progress=Watcher(try_to_resume))
    code, message, pid = refusals[0]
    assert code != 0
    assert "RunLockedError" in message
    assert pid in message


def test_training_in_a_thread_leaves_signals_alone(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    arguments = {"steps": 256, "out": tmp_path, "progress": False}
    thread = threading.Thread(target=lt.train, args=("CartPole-v1", SMALL), kwargs=arguments)
    thread.start()
    thread.join()
    assert len(list(tmp_path.iterdir())) == 1
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"env": "CartPole-v7"}, errors.UnknownEnvError, "CartPole-v1"),
        ({"steps": 0}, errors.ConfigError, "steps=0"),
        ({"steps": 2**33}, errors.ConfigError, "4.2 billion"),
        ({"seeds": 0}, errors.ConfigError, "seeds=0"),
        ({"seed": -1}, errors.ConfigError, "seed=-1"),
        ({"env": "Taxi-v4", "algorithm": lt.REINFORCE(num_steps=5)}, None, None),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_made(
    tmp_path, arguments, error, match
):
    settings = {"env": "CartPole-v1", "algorithm": SMALL, "steps": 128} | arguments
    settings |= {"out": tmp_path / "out", "progress": False}
    if error is None:
        assert lt.train(**settings).metrics
        return
    with pytest.raises(error, match=match):
        lt.train(**settings)
    assert not (tmp_path / "out").exists()


WRONG_KINDS = """
import logtrick as lt

told = {"env": "CartPole-v1", "steps": 32, "out": "runs", "progress": False}
for wrong in (
    {"algorithm": lt.PPO},
    {"evaluation": 100},
    {"policy": lt.MLPPolicy},
    {"callbacks": print},
    {"callbacks": [3]},
    {"checkpoint_seconds": "a"},
    {"out": None},
):
    try:
        lt.train(**{**told, **wrong})
    except lt.errors.ConfigError as error:
        print(error)
"""


def test_arguments_of_the_wrong_kind_are_named_before_anything_is_made(tmp_path):
    """In a process of its own, without the types that the tests check."""
    script = [sys.executable, "-c", WRONG_KINDS]
    result = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True)
    assert not result.stderr
    for line, begin in zip(
        result.stdout.splitlines(),
        ("algorithm=", "evaluation=", "policy=", "callbacks=", "callbacks=", "checkpoint_", "out="),
        strict=True,
    ):
        assert line.startswith(begin)
    assert not list(tmp_path.iterdir())


def test_output_folders_that_cannot_serve(tmp_path, trained):
    with pytest.raises(errors.RunError, match="is itself a run"):
        lt.train("CartPole-v1", SMALL, steps=128, out=trained.path, progress=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.RunError, match=r"is a file|Not a directory"):
        lt.train("CartPole-v1", SMALL, steps=128, out=tmp_path / "file", progress=False)
    with pytest.raises(errors.RunError, match="so it is no run"):
        lt.load(tmp_path)
    with pytest.raises(errors.RunError, match="is not a folder"):
        lt.resume(tmp_path / "nothing", progress=False)
    (tmp_path / "config.json").write_text('{"format": 1, "env": "CartPole-v1"}')
    with pytest.raises(errors.RunError, match="is damaged, or not logtrick's"):
        lt.load(tmp_path)


def test_a_foreign_checkpoint_is_refused(tmp_path, trained):
    narrow = dataclasses.replace(SMALL, hidden=(4,))
    other = lt.train("CartPole-v1", narrow, steps=128, seeds=2, out=tmp_path, progress=False)
    for folder in (other.path / "checkpoints").iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    newest = max((trained.path / "checkpoints").glob("step-*"))
    newest.rename(other.path / "checkpoints" / newest.name)
    try:
        with pytest.raises(errors.CheckpointError, match="expected float32"):
            lt.resume(other.path, progress=False)
    finally:
        (other.path / "checkpoints" / newest.name).rename(newest)


def test_a_run_on_another_environment_is_refused(trained):
    with pytest.raises(errors.RunError, match="pass the environment that it was trained on"):
        trained.evaluate(3, env="Pendulum-v1")


def test_constants_of_an_environment_are_remembered(tmp_path):
    moon = CartPole(gravity=1.6)
    run = lt.train(moon, SMALL, steps=128, out=tmp_path, progress=False)
    assert json.loads((run.path / "config.json").read_text())["env_settings"]["gravity"] == 1.6
    with pytest.raises(errors.RunError, match=r"'gravity': 1\.6"):
        lt.resume(run.path, progress=False)
    assert lt.resume(run.path, env=moon, progress=False).evaluate(2, env=moon).mean > 0


def test_an_environment_class_of_the_user(tmp_path):
    class Mine(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)
        action_space = gymnasium.spaces.Discrete(2)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.t = 0
            return self.np_random.uniform(-1, 1, 2).astype(np.float32), {}

        def step(self, action):
            self.t += 1
            obs = self.np_random.uniform(-1, 1, 2).astype(np.float32)
            return obs, float(action), False, self.t >= 5, {}

    algorithm = dataclasses.replace(SMALL, learning_rate=1e-2)
    run = lt.train(Mine, algorithm, steps=5120, out=tmp_path, progress=False)
    assert run.final_returns[0] > 4  # of 5; a random policy gets 2.5
    assert run.evaluate(4, env=Mine, max_steps=9).lengths.tolist() == [[5] * 4]


@pytest.mark.parametrize(
    "algorithm", [lt.A2C(trunk="shared"), lt.PPO(value_clip_eps=0.2), lt.REINFORCE(), lt.RLOO()]
)
def test_every_algorithm_improves(algorithm, tmp_path):
    algorithm = dataclasses.replace(algorithm, learning_rate=3e-3, num_envs=8)
    run = lt.train("CartPole-v1", algorithm, steps=60_000, out=tmp_path, progress=False)
    first = np.mean([r["episode_return"] for r in run.metrics[:5] if r["episodes"]])
    assert run.final_returns[0] > 3 * first


@pytest.mark.parametrize(
    "algorithm",
    [
        lt.PPO(num_envs=4, num_steps=16, hidden=(8,), observations="normalised"),
        lt.TRPO(num_envs=4, num_steps=8, hidden=(8,), minibatches=2, memory="gru"),
    ],
    ids=["ppo", "trpo"],
)
def test_64_bits_change_what_is_exact_and_not_what_is_trained(algorithm, tmp_path):
    """Whoever works with exact gradients has them on; a network's numbers have 32 all the same."""
    with jax.enable_x64(True):
        run = lt.train("Pendulum-v1", algorithm, steps=128, out=tmp_path, progress=False)
        policy = run.policy.module if hasattr(run.policy, "module") else run.policy
    assert {leaf.dtype.name for leaf in jax.tree.leaves(policy)} == {"float32"}
