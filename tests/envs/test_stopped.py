"""A process that is stopped is not a hung environment; one that hangs is found, and told."""

import functools
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from napping import LIMIT, ClosesBadly, Napping, NeverBuilt, OwnAlarm

import logtrick as lt
from logtrick import envs
from logtrick.envs.host import alarm as _alarm
from logtrick.envs.host import processes as _processes
from logtrick.envs.host import vector as _vector
from logtrick.envs.host.alarm import AlarmClock, TimedOut
from logtrick.envs.spec import check_timeout
from logtrick.errors import ConfigError, EnvError
from small_runs import SMALL

SCRIPT = Path(__file__).with_name("napping.py")
WHO = {
    ("sync", "the trainer"): [0],
    ("async", "the trainer"): [0],
    ("async", "a worker"): [2],
    ("async", "all"): [0, 1, 2],
}


def test_whoever_is_stopped_in_a_step_for_longer_than_the_limit_goes_on():
    """Ctrl-Z and `fg`, a container's pause: in the middle of a step, all cases at once."""
    scripts = {}
    for case in WHO:
        command = [sys.executable, str(SCRIPT), case[0]]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        scripts[case] = subprocess.Popen(command, **pipes)
    stopped = []
    for case, script in scripts.items():
        processes = json.loads(script.stdout.readline())
        for place in WHO[case]:
            os.kill(processes[place], signal.SIGSTOP)
            stopped.append(processes[place])
    time.sleep(LIMIT + 1.5)
    for process in stopped:
        os.kill(process, signal.SIGCONT)
    told = {case: script.communicate(timeout=120) for case, script in scripts.items()}
    assert {case: out for case, (out, _) in told.items()} == dict.fromkeys(WHO, "answered\n"), told
    # A worker alone is waited for with a word: nothing else says why training stands still.
    assert "environment 1: its process" in told["async", "a worker"][1]


@pytest.mark.parametrize("with_proc", [True, False])
def test_a_stopped_process_is_known_by_proc_or_by_ps(with_proc, monkeypatch, tmp_path):
    if not with_proc:
        monkeypatch.setattr(_processes, "_PROC", tmp_path)
    elif not Path("/proc/self/stat").exists():
        pytest.skip("this system has no /proc")
    with subprocess.Popen(["sleep", "60"]) as sleeping:
        pids = [sleeping.pid, os.getpid()]
        try:
            assert _processes.stopped(pids) == set()
            sleeping.send_signal(signal.SIGSTOP)
            deadline = time.monotonic() + 20
            while _processes.stopped(pids) != {sleeping.pid}:
                assert time.monotonic() < deadline
            sleeping.send_signal(signal.SIGCONT)
            while _processes.stopped(pids) != set():
                assert time.monotonic() < deadline
        finally:
            sleeping.kill()


def test_a_stop_counts_as_one_slice_whatever_its_length():
    """The clock's own thread, whose every wait here lasts as long as a stop would make it."""
    clock = AlarmClock()
    try:
        assert clock.run(lambda: 1, 0.8) == 1
        begin = time.monotonic()
        with pytest.raises(TimedOut, match=r"did not answer within 0\.8 seconds"):
            clock.run(lambda: time.sleep(60), 0.8)
        assert 0.8 <= time.monotonic() - begin < 20
    finally:
        clock._signal = None  # its thread goes on, and rings nobody
        signal.signal(signal.SIGURG, signal.SIG_DFL)
        _alarm.CLOCK._lost = True  # whose handler that was


@pytest.mark.parametrize("workers", ["sync", "async"])
def test_the_limit_is_the_users(workers, tmp_path):
    """Reset takes 1.5 times the one limit, and half of the other."""
    slow = functools.partial(Napping, reset=0.9)
    arguments = {"steps": 4, "out": tmp_path, "workers": workers, "progress": False}
    algorithm = lt.REINFORCE(num_envs=1, num_steps=4, hidden=(4,))
    with pytest.raises(EnvError, match=r"reset: did not answer within 0\.6 seconds") as caught:
        lt.train(slow, algorithm, timeout=0.6, **arguments)
    assert any("--env-timeout" in note for note in caught.value.__notes__)
    run = lt.train(slow, algorithm, timeout=20, **arguments)
    assert json.loads((run.path / "config.json").read_text())["timeout"] == 20.0
    assert lt.load(run.path).config.timeout == 20.0


@pytest.mark.parametrize("timeout", [0, -1.0, float("nan"), float("inf"), "60", True, None])
def test_a_limit_that_cannot_be_meant(timeout):
    with pytest.raises(ConfigError, match="timeout is"):
        check_timeout(timeout)


def test_a_limit_that_cannot_be_meant_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigError, match=r"timeout is -1 seconds"):
        lt.train(Napping, SMALL, steps=8, out=tmp_path / "out", timeout=-1)
    assert not (tmp_path / "out").exists()


def test_a_worker_that_hangs_while_it_is_built_is_named(monkeypatch):
    monkeypatch.setattr(_vector, "STARTING", 1.0)
    before = time.monotonic()
    with pytest.raises(
        EnvError, match=r"NeverBuilt: environment 0, environment 1 was not built within 3 seconds"
    ):
        envs.make(NeverBuilt, 2, workers="async", timeout=2.0)
    assert time.monotonic() - before < 50
    assert not [p for p in multiprocessing.active_children() if p.name.startswith("Worker<")]


def test_an_environment_that_hangs_while_it_is_built_here_is_named():
    def make():
        time.sleep(60)

    with pytest.raises(EnvError, match=r"make: an environment was not built within 0\.3 seconds"):
        envs.make(make, timeout=0.3)


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("raises", "raised ZeroDivisionError: no door"),
        ("exits", "raised SystemExit: 4"),
        ("hangs", "did not answer within 0.5 seconds"),
    ],
)
def test_a_close_that_fails_loses_no_run(how, word, tmp_path, caplog):
    make = functools.partial(ClosesBadly, how)
    run = lt.train(make, SMALL, steps=128, out=tmp_path, timeout=0.5, progress=False)
    assert run.metrics[-1]["steps"] == 128
    assert (run.path / "README.md").exists()
    assert any(word in record.getMessage() for record in caplog.records), caplog.text
    assert run.evaluate(1, env=make, max_steps=9).returns.shape == (1, 1)


@pytest.mark.parametrize("how", ["raises", "exits", "hangs"])
def test_workers_whose_close_fails_are_ended(how, caplog):
    rows = envs.make(functools.partial(ClosesBadly, how), 2, workers="async", timeout=1.0)
    processes = list(rows._vector.processes)
    caplog.clear()  # the first one is built and closed here, to see its spaces
    begin = time.monotonic()
    rows.close()
    assert time.monotonic() - begin < 50
    assert not any(process.is_alive() for process in processes)
    told = [record.getMessage() for record in caplog.records]
    hangs = "object:ClosesBadly: its close in environment 0 did not answer within 1 seconds"
    assert len(told) == (how == "hangs")
    assert all(message.startswith(hangs) for message in told)


def test_a_stopped_worker_does_not_delay_the_end():
    rows = envs.make(Napping, 2, workers="async", timeout=20.0)
    processes = list(rows._vector.processes)
    os.kill(processes[1].pid, signal.SIGSTOP)
    while not _processes.stopped([processes[1].pid]):
        time.sleep(0.01)
    begin = time.monotonic()
    rows.close()
    assert time.monotonic() - begin < 15
    assert not any(process.is_alive() for process in processes)


def test_a_close_of_the_callers_own_rows_that_raises_loses_no_run(tmp_path, caplog):
    class Rows(gymnasium.vector.SyncVectorEnv):
        def close_extras(self, **options):
            raise ZeroDivisionError("no door")

    inner = envs.make(lambda: gymnasium.make("CartPole-v1"), 4)
    inner._vector.__class__ = Rows
    run = lt.train(inner, SMALL, steps=128, out=tmp_path, progress=False)
    assert run.metrics[-1]["steps"] == 128
    assert "no door" in caplog.text


def test_an_environments_own_alarm_does_not_silence_the_guard():
    before = signal.getsignal(signal.SIGALRM)
    try:
        with envs.make(OwnAlarm, 1, timeout=0.3) as rows:
            rows.reset(np.zeros(1, np.uint32), np.ones(1, bool))
            rows.step(np.zeros(1, int))
            with pytest.raises(EnvError, match=r"did not answer within 0\.3 seconds"):
                rows.step(np.zeros(1, int))
    finally:
        signal.signal(signal.SIGALRM, before)


def test_where_all_its_signals_are_taken_the_guard_says_so(caplog):
    before = {s: signal.signal(s, lambda *_: None) for s in (signal.SIGURG, signal.SIGVTALRM)}
    try:
        clock = AlarmClock()
        with caplog.at_level(logging.WARNING, "logtrick"):
            assert [clock.run(lambda: 3, 0.1) for _ in range(2)] == [3, 3]
        assert [r.getMessage() for r in caplog.records if "--workers async" in r.getMessage()]
        assert len(caplog.records) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_where_one_of_its_signals_is_taken_another_rings():
    before = signal.signal(signal.SIGURG, lambda *_: None)
    virtual = signal.signal(signal.SIGVTALRM, signal.SIG_DFL)  # the process's own clock's
    try:
        clock = AlarmClock()
        with pytest.raises(TimedOut):
            clock.run(lambda: time.sleep(60), 0.2)
        assert signal.getsignal(signal.SIGVTALRM) == clock._ring
    finally:
        clock._signal = None
        signal.signal(signal.SIGURG, before)
        signal.signal(signal.SIGVTALRM, virtual)
