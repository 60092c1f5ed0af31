"""Faults of Gymnasium's environments on the host are told, with row, step and action."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from faulty import FAULTS, Faulty, five_steps
from gymnasium.vector import SyncVectorEnv

from logtrick import envs
from logtrick.errors import EnvError

SEEDS = np.array([1, 13, 3], np.uint32)
ALL = np.ones(3, bool)

FATES = {
    "raises": r"raised ZeroDivisionError: no wheel \(.*faulty.py, line \d+\)",
    "exits": r"raised SystemExit: 4 \(.*faulty.py, line \d+\)",
    "nan obs": "observation .*nan",
    "inf obs": "observation .*inf",
    "nan reward": "reward is nan",
    "inf reward": "reward is inf",
    "reward beyond float32": r"reward is 1e\+300, which is no float32",
    "reward an array": r"reward has shape \(1,\)",
    "reward none": "the reward is None and no number",
    "short obs": r"observation has shape \(1,\), its space \(3,\)",
    "integer obs": "observation has dtype int64, its space float32",
    "text obs": "observation has shape",
    "four values": "step returned 4 values and not",
    "a list": "step returned a list and not",
    "flag a number": "terminated is 0.5 and no bool",
    "flag none": "truncated is None and no bool",
    "reset raises": "raised FileNotFoundError: level.json",
    "reset returns obs alone": "reset returned a ndarray and not",
    "reset returns nan": "observation .*nan",
}


def _break(fault, **options):
    """The error that `fault` leads to in row 1, at its second step or at reset."""
    make = functools.partial(Faulty, fault)
    with envs.make(make, 3, **options) as rows, pytest.raises(EnvError) as caught:
        five_steps(rows, SEEDS)
    return caught.value


@pytest.mark.parametrize("fault", FATES)
def test_a_fault_names_row_step_and_action(fault):
    error = _break(fault)
    where = "reset" if fault.startswith("reset") else "step 2 of its episode, action 1"
    assert str(error).startswith(f"object:Faulty, environment 1, {where}: ")
    assert pytest.raises(EnvError, match=FATES[fault]).matches(error)


def test_every_fault_has_a_fate():
    others = {"hangs", "loops", "tries again", "dies"}
    assert set(FAULTS) - set(FATES) == others


def test_the_authors_traceback_is_kept():
    assert "in _raises" in "".join(_break("raises").__notes__)


@pytest.mark.parametrize(
    ("fault", "fate"),
    [
        ("raises", FATES["raises"]),
        ("short obs", FATES["short obs"]),
        ("nan reward", FATES["nan reward"]),
        ("dies", "died, exit code 3"),
        ("exits", FATES["exits"]),
        ("hangs", "did not answer within 2 seconds"),
        ("reset hangs", "did not answer within 2 seconds"),
    ],
)
def test_a_fault_in_a_worker_process_names_its_row_too(fault, fate):
    before = time.monotonic()
    error = _break(fault, workers="async", timeout=2.0)
    where = "reset" if fault.startswith("reset") else "step 2 of its episode, action 1"
    assert str(error).startswith(f"object:Faulty, environment 1, {where}: ")
    assert pytest.raises(EnvError, match=fate).matches(error)
    assert time.monotonic() - before < 50


@pytest.mark.parametrize("fault", ["hangs", "loops", "tries again", "reset hangs"])
def test_what_hangs_in_this_process_is_named_too(fault):
    before = time.monotonic()
    error = _break(fault, timeout=0.2)
    where = "reset" if fault.startswith("reset") else "step 2 of its episode, action 1"
    told = f"object:Faulty, environment 1, {where}: did not answer within 0.2 seconds."
    assert str(error) == told
    assert time.monotonic() - before < 10
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


class Slow(Faulty):
    def step(self, action):
        time.sleep(0.2)
        return super().step(action)


class Stuck(Faulty):
    def step(self, action):
        time.sleep(60)
        return super().step(action)


def test_rows_that_take_turns_are_timed_one_by_one():
    with envs.make(Slow, 3, timeout=0.3) as rows:
        rows.reset(SEEDS + 20, ALL)
        assert rows.step(np.zeros(3, int)).valid.all()


def test_a_vector_environment_of_the_callers_that_hangs():
    vector = SyncVectorEnv([functools.partial(Faulty, "hangs")] * 2, autoreset_mode="Disabled")
    rows = envs.make(vector, 2, timeout=0.2)
    rows.reset(np.array([1, 13], np.uint32), np.ones(2, bool))
    rows.step(np.zeros(2, int))
    with pytest.raises(EnvError, match=r"an environment: did not answer within 0\.2 seconds"):
        rows.step(np.zeros(2, int))


def test_an_alarm_that_somebody_else_has_set_stays_set():
    """And what hangs is found all the same: the guard has a signal of its own."""
    with envs.make(Stuck, 1, timeout=0.1) as rows:
        rows.reset(SEEDS[:1] + 20, ALL[:1])
        signal.setitimer(signal.ITIMER_REAL, 100)
        try:
            with pytest.raises(EnvError, match=r"did not answer within 0\.1 seconds"):
                rows.step(np.zeros(1, int))
            assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def test_what_somebody_else_does_at_an_alarm_is_left_to_them():
    heard = []

    def ring(number, frame):
        heard.append(number)

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with envs.make(Stuck, 1, timeout=0.1) as rows:
            rows.reset(SEEDS[:1] + 20, ALL[:1])
            with pytest.raises(EnvError, match=r"did not answer within 0\.1 seconds"):
                rows.step(np.zeros(1, int))
        assert heard == []
        signal.raise_signal(signal.SIGALRM)
        assert heard == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_thread_has_no_alarm():
    def work():
        with envs.make(Slow, 1, timeout=0.1) as rows:
            rows.reset(SEEDS[:1] + 20, ALL[:1])
            steps.append(rows.step(np.zeros(1, int)))

    steps = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert steps


def test_a_killed_worker_is_named_and_none_is_left_behind():
    rows = envs.make(Faulty, 3, workers="async")
    rows.reset(SEEDS + 20, ALL)
    processes = list(rows._vector.processes)
    os.kill(processes[2].pid, signal.SIGKILL)
    with pytest.raises(EnvError, match=r"environment 2, .* died, exit code -9"):
        rows.step(np.zeros(3, int))
    assert not any(process.is_alive() for process in processes)
    rows.close()


class IgnoresInterrupts(Faulty):
    """Tells in its observation whether Ctrl-C would end its process."""

    def obs(self):
        return np.full(3, signal.getsignal(signal.SIGINT) is signal.SIG_IGN, np.float32)


@pytest.mark.parametrize(("workers", "ignores"), [("sync", False), ("async", True)])
def test_worker_processes_leave_interrupts_to_their_parent(workers, ignores):
    here = signal.signal(signal.SIGINT, signal.default_int_handler)
    with envs.make(IgnoresInterrupts, 2, workers=workers) as rows:
        obs = rows.reset(np.zeros(2, np.uint32), np.ones(2, bool))
    signal.signal(signal.SIGINT, here)
    assert (obs == ignores).all()


def test_what_a_worker_imports_loads_no_jax():
    source = "import sys, logtrick.envs.host.worker; print('jax' in sys.modules)"
    command = [sys.executable, "-c", source]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"
