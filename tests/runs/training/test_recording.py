"""What is kept of a run while it is evaluated."""

import numpy as np

import logtrick as lt
from hand_made_runs import made
from logtrick.runs.training.recording import Recorder


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
