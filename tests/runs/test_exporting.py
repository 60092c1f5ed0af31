"""Exported policies: the same numbers as the policy, for any batch, loaded with JAX alone."""

import dataclasses
import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import logtrick as lt
from four_in_one import FourInOne
from logtrick import errors
from logtrick.policies.distributions import Normal
from logtrick.policies.memory import initial_carry
from small_runs import SMALL

# Runs a README's block with observations.npz, then one more step with the memory that came out.
LOAD = """
import sys, re, os
from pathlib import Path
os.chdir(sys.argv[1])
import numpy as np
loaded = np.load("observations.npz")
observations = {key: loaded[key] for key in ("cue", "gate", "lock")}
observations["action_mask"] = {"door": loaded["mask"]}
exec(re.search(r"```python\\n(.*?)```", Path("README.md").read_text(), re.DOTALL)[1])
out = policy.call(observations, memory)
np.savez("out.npz", **out["action"], **out["parameters"])
assert not any(name.split(".")[0] in ("logtrick", "equinox") for name in sys.modules)
"""


def trained(out, env, policy=None, **changes):
    algorithm = dataclasses.replace(SMALL, **changes)
    return lt.train(env, algorithm, steps=256, out=out, progress=False, policy=policy)


def loaded(folder):
    return jax.export.deserialize(bytearray((folder / "policy.jaxexport").read_bytes()))


def same(found, expected):
    """To the bit or nearly: another batch size may sum in another order."""
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("env", "changes", "kind"),
    [
        ("CartPole-v1", {}, "Categorical"),
        (
            "Pendulum-v1",
            {"observations": "normalised", "distribution": "tanh_normal"},
            "TanhNormal",
        ),
        ("Pendulum-v1", {"trunk": "shared", "distribution": "normal"}, "Normal"),
        ("Pendulum-v1", {"distribution": "beta"}, "Beta"),
        ("mdp:frozen_lake", {}, "Categorical"),
    ],
)
def test_it_is_the_policy_for_any_batch(env, changes, kind, tmp_path):
    run = trained(tmp_path, env, **changes)
    folder = run.export(tmp_path / "exported")
    described = json.loads((folder / "policy.json").read_text())
    assert described["distribution"] == kind
    space = run.config.observation_space
    space.seed(0)
    for rows in (1, 5):
        obs = np.stack([np.asarray(space.sample()) for _ in range(rows)])
        obs = obs.astype(np.float32 if obs.dtype.kind == "f" else np.int32)
        out = loaded(folder).call(obs)
        expected = jax.vmap(run.policy)(obs)
        assert len(out["parameters"]) == len(jax.tree.leaves(expected))
        for name, found in out["parameters"].items():
            same(found, getattr(expected, name))
        same(out["action"], action := expected.mode)
        assert described["outputs"].keys() == out.keys()
        assert described["outputs"]["action"] == f"{action.dtype}{list(action.shape[1:])}"


def test_memory_masks_dicts_and_hybrid_actions_by_its_own_readme_without_logtrick(tmp_path):
    run = trained(tmp_path, FourInOne(), memory="lstm", memory_width=8)
    folder = run.export(tmp_path / "exported")
    described = json.loads((folder / "policy.json").read_text())
    assert described["distribution"] == {"door": "Categorical", "push": "Normal"}
    rng = np.random.default_rng(0)
    obs = {
        "cue": np.eye(4, dtype=np.int8)[:3],
        "gate": np.array([0, 1, 0], np.int32),
        "lock": rng.uniform(-1, 1, (3, 1)).astype(np.float32),
        "mask": np.array([[1, 0, 1, 0], [0, 0, 1, 1], [1, 1, 1, 1]], np.int8),
    }
    np.savez(folder / "observations.npz", **obs)
    subprocess.run([sys.executable, "-c", LOAD, str(folder)], check=True, timeout=120)
    found = np.load(folder / "out.npz")

    obs["action_mask"] = {"door": obs.pop("mask")}
    carry = jax.tree.map(lambda x: np.stack([x] * 3), initial_carry(run.policy))
    _, carry = jax.vmap(run.policy)(obs, carry)
    expected, _ = jax.vmap(run.policy)(obs, carry)
    same(found["parts/door/logits"], expected.parts["door"].logits)
    same(found["parts/push/mean"], expected.parts["push"].mean)
    assert np.array_equal(np.isneginf(found["parts/door/logits"]), obs["action_mask"]["door"] == 0)
    same(found["door"], expected.mode["door"])
    same(found["push"], np.clip(expected.mode["push"], -1, 1))


class Steep(eqx.Module):
    weight: jax.Array

    def __call__(self, obs):
        return Normal(self.weight * obs[:1], jnp.zeros(1))


def test_a_policy_of_ones_own_whose_actions_are_brought_inside_their_bounds(tmp_path):
    run = trained(tmp_path, "Pendulum-v1", policy=Steep(jnp.full(1, 10.0)))
    obs = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    out = loaded(run.export(tmp_path / "exported")).call(obs)
    mean = jax.vmap(run.policy)(obs).mean
    same(out["parameters"]["mean"], mean)
    same(out["action"], np.clip(mean, -2, 2))
    assert np.any(np.abs(mean) > 2)
    assert 'lt.load(".", policy=…)' in (run.path / "README.md").read_text()


def test_where_it_cannot_be_written(tmp_path):
    run = trained(tmp_path, "CartPole-v1")
    card = (run.path / "README.md").read_bytes()
    with pytest.raises(errors.RunError, match="is itself a run"):
        run.export(run.path)
    assert (run.path / "README.md").read_bytes() == card
    (tmp_path / "file").touch()
    with pytest.raises(errors.RunError, match="file is a file, and a folder is needed"):
        run.export(tmp_path / "file")
    (tmp_path / "mine").mkdir()
    for name in ("README.md", "policy.json"):
        theirs = tmp_path / "mine" / name
        theirs.write_text("of a project")
        with pytest.raises(errors.RunError, match=f"holds a {name} that no export has written"):
            run.export(tmp_path / "mine")
        assert theirs.read_text() == "of a project"
        theirs.unlink()
    again = run.export(run.export(tmp_path / "exported"))
    assert "Discrete parts count from 0" in (again / "README.md").read_text()
    pushed = trained(tmp_path, "Pendulum-v1").export(tmp_path / "pushed")
    assert "Discrete" not in (pushed / "README.md").read_text()


def test_without_the_package_nothing_is_made(tmp_path, monkeypatch):
    run = trained(tmp_path, "CartPole-v1")
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(errors.MissingExtraError, match=r'"logtrick\[export\]"'):
        run.export(tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


def test_the_model_card_says_what_was_measured(tmp_path):
    run = lt.train(
        "CartPole-v1", SMALL, steps=1024, seeds=2, out=tmp_path, progress=False,
        evaluation=lt.Evaluation(every=512, episodes=2),
    )  # fmt: skip
    card = (run.path / "README.md").read_text()
    score = run.final_returns
    assert f"{score.mean():.2f} ± {score.std(ddof=1):.2f}" in card
    assert "over 2 seeds" in card
    assert "gradient of no function (G4)" in card
    assert "2 policies" in card
    assert "1,024 were made" in card
    rows = [row for row in run.evaluations if row["seed"] == 1]
    best = max(rows, key=lambda row: row["return"])  # the first of several, as `best_policy` is
    assert f"{best['return']:.2f} at step {best['steps']:,}" in card
    assert "(means of 2 episodes" in card


def test_the_card_of_one_seed_and_of_a_stopped_run_is_honest(tmp_path):
    stop = lambda visit: visit.stop()  # noqa: E731
    run = lt.train("CartPole-v1", SMALL, steps=5120, out=tmp_path, progress=False, callbacks=[stop])
    card = (run.path / "README.md").read_text()
    assert "One seed: how much other seeds would differ is not known." in card
    assert "not to the end" in card
    lt.resume(run.path, progress=False)
    assert "not to the end" not in (run.path / "README.md").read_text()
