"""What is kept of a run while it is evaluated."""

from typing import Any, NamedTuple

import numpy as np

import logtrick as lt
from hand_made_runs import made
from logtrick.runs.checkpoints import Restored
from logtrick.runs.record import has_reached
from logtrick.runs.run import Scores
from logtrick.runs.training.recording import Recorder
from logtrick.runs.training.restoring import _common_checkpoints
from logtrick.runs.tree_files import read_arrays

EVALUATED = lt.Evaluation(every=100, episodes=2, stop_at=5.0)


class State(NamedTuple):
    params: Any


def empty(tmp_path):
    """A run folder of two seeds, 3 and 4, without a row in any log."""
    run = made(tmp_path, rows=[], timings=[], evaluation=EVALUATED)
    with Recorder(tmp_path) as recorder:
        for log in recorder.logs.values():
            log.truncate_to(0)
    return run


def evaluate(recorder, update, means, mark):
    """An evaluation of two seeds by policies whose only array is `mark`."""
    returns = np.array([[m - 1.0, m + 1.0] for m in means])
    params = {"mark": np.full((2, 3), float(mark))}
    recorder.evaluated(update, np.full(2, 100 * update), returns, np.full((2, 2), 9), params)


def test_the_best_policy_is_the_first_of_those_that_tie(tmp_path):
    """Ties are common (a perfect score): the one that came first needed the least training."""
    run = made(tmp_path, rows=[], timings=[], evaluation=lt.Evaluation(every=100, episodes=2))
    with Recorder(tmp_path) as recorder:
        for log in recorder.logs.values():
            log.truncate_to(0)
        evaluate(recorder, 1, [5.0, 7.0], mark=1)
        evaluate(recorder, 2, [5.0, 8.0], mark=2)
        evaluate(recorder, 3, [4.0, 8.0], mark=3)
        np.testing.assert_array_equal(recorder.best["mark"], [[1.0] * 3, [2.0] * 3])
        np.testing.assert_array_equal(recorder.best_returns, [5.0, 8.0])
        evaluate(recorder, 4, [6.0, 8.0], mark=4)
        np.testing.assert_array_equal(recorder.best["mark"], [[4.0] * 3, [2.0] * 3])
    # The best evaluations are those of these policies.
    best = run.record.best_evaluations
    assert [(row["seed"], row["steps"]) for row in best] == [(3, 400), (4, 200)]


def test_what_is_saved_comes_back(tmp_path):
    """The best policies, their returns, the host's episodes, and the logs up to the checkpoint."""
    run, like = empty(tmp_path), {"mark": np.zeros((2, 3))}
    with Recorder(tmp_path) as recorder:
        evaluate(recorder, 1, [5.0, 8.0], mark=1)
        evaluate(recorder, 2, [6.0, 7.0], mark=2)
        state = State({"mark": np.full((2, 3), 9.0)})
        recorder.save(2, state, lambda params: params, {"began": np.arange(3)})
        evaluate(recorder, 3, [9.0, 9.0], mark=3)  # lost with the process
    best = [[2.0] * 3, [1.0] * 3]
    kept, _ = read_arrays(tmp_path / "best_policy.safetensors", like)
    np.testing.assert_array_equal(kept["mark"], best)
    with Recorder(tmp_path) as recorder:
        found = recorder.latest(State(like))
        recorder.cut_back(found)
        assert [row["update"] for row in run.evaluations] == [1, 1, 2, 2]
        assert recorder.last_evaluation == run.evaluations[2:]
        np.testing.assert_array_equal(found.tree["host"]["began"], np.arange(3))
        np.testing.assert_array_equal(recorder.best["mark"], best)
        np.testing.assert_array_equal(recorder.best_returns, [6.0, 8.0])
        evaluate(recorder, 3, [6.5, 7.5], mark=4)
        np.testing.assert_array_equal(recorder.best["mark"], [[4.0] * 3, [1.0] * 3])


def test_rows_are_those_of_the_runs_own_members(tmp_path):
    """Of four that are trained side by side, the last two; one of them had ended before."""
    empty(tmp_path)
    active = np.ones((2, 4), bool)
    active[1, 3] = False
    with Recorder(tmp_path, first=2) as recorder:
        columns = {"steps": [[0, 1, 2, 3], [10, 11, 12, 13]], "episodes": [[1] * 4] * 2}
        rows = recorder.record(columns, active, 7)
    assert [(row["update"], row["seed"], row["steps"]) for row in rows] == [
        (7, 3, 2), (7, 4, 3), (8, 3, 12),
    ]  # fmt: skip


def test_all_seeds_must_reach_the_score(tmp_path):
    for returns, reached in (([5.0, 5.0], True), ([5.0, 4.9], False), ([None, 6.0], False)):
        assert has_reached([{"return": value} for value in returns], EVALUATED) is reached
    run = empty(tmp_path)
    with Recorder(tmp_path) as recorder:
        evaluate(recorder, 1, [4.0, 6.0], mark=1)
        assert not run.stopped_early
        evaluate(recorder, 2, [5.0, 6.0], mark=2)
        assert run.stopped_early


def test_scores_are_of_single_episodes():
    scores = Scores(np.array([[0.0, 2.0], [1.0, 5.0]]), np.ones((2, 2), np.int64))
    assert (scores.mean, scores.std) == (2.0, 3.5**0.5)


class Saved(Recorder):
    """Of a run that has checkpoints of these steps."""

    def __init__(self, *steps):
        self.steps, self.members = steps, slice(0, 1)

    def latest(self, state, at_most=None):
        return Restored(max(s for s in self.steps if s <= (at_most or s)), {}, {}, ())


def test_runs_side_by_side_go_on_from_a_step_that_all_have():
    """A kill comes between two saves: the newest checkpoints are not of one step."""
    for recorders, step in (
        ([Saved(1, 2, 3), Saved(1, 2)], 2),
        ([Saved(1, 3), Saved(1, 2), Saved(1, 2, 3)], 1),
        ([Saved(2, 3), Saved(2, 3)], 3),
    ):
        found = _common_checkpoints(recorders, np.zeros(3))
        assert [restored.step for restored in found] == [step] * len(recorders)
