"""Callbacks: what they see, that they can stop a run, and that what they raise loses nothing."""

import jax
import numpy as np
import pytest

import logtrick as lt
from small_runs import SMALL, digest


def train(out, **more):
    return lt.train("CartPole-v1", SMALL, steps=2560, seed=1, out=out, progress=False, **more)


def test_callbacks_see_every_row_once_and_change_nothing(tmp_path):
    rows, evaluations = [], []

    def collect(visit):
        rows.extend(visit.rows)
        evaluations.extend(visit.evaluations)
        assert visit.steps == visit.rows[-1]["steps"]

    with_evaluations = {"evaluation": lt.Evaluation(every=640, episodes=2), "seeds": 2}
    run = train(tmp_path / "a", callbacks=[collect], **with_evaluations)
    assert rows == run.metrics
    assert evaluations == run.evaluations
    assert digest(run) == digest(train(tmp_path / "b", **with_evaluations))


def test_the_models_of_a_visit_are_those_of_that_moment(tmp_path):
    seen = []
    run = train(tmp_path, callbacks=[lambda visit: seen.append(visit.models)])
    first, last = seen[0][0], seen[-1][0]
    for kept, final in zip(jax.tree.leaves(last), jax.tree.leaves(run.models[0]), strict=True):
        np.testing.assert_array_equal(kept, final)
    obs = np.ones(4, np.float32)
    assert np.any(first.policy(obs).logits != last.policy(obs).logits)


def test_a_callback_stops_a_run_that_goes_on_later(tmp_path):
    whole = train(tmp_path / "a")
    stopped = train(tmp_path / "b", callbacks=[lambda visit: visit.stop()])
    assert 0 < stopped.metrics[-1]["steps"] < 2560
    assert digest(lt.resume(stopped.path, progress=False)) == digest(whole)


def test_what_a_callback_raises_reaches_the_caller_and_loses_nothing(tmp_path):
    def fail(visit):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        train(tmp_path / "b", callbacks=[fail])
    (path,) = (tmp_path / "b").iterdir()
    rows = lt.load(path).metrics
    newest = max((path / "checkpoints").glob("step-*")).name
    assert newest == f"step-{rows[-1]['update']:09d}"  # saved where it was, not at the start
    assert digest(lt.resume(path, progress=False)) == digest(train(tmp_path / "a"))
