"""Kill savers with SIGKILL and look at what they leave; run by test_checkpoints.py.

    python kill_while_saving.py FOLDER operations     at every file operation of a save
    python kill_while_saving.py FOLDER random N       at N random moments

It runs as its own process, because it forks, which a process that uses JAX's backends must not:
the trees here are NumPy, and `provenance` (which would start a backend) is replaced.
"""

import itertools
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

import numpy as np

from logtrick.runs import tree_files
from logtrick.runs.checkpoints import CheckpointFolder
from logtrick.support.files import lock_folder

LIKE = {"step": 0, "layers": [np.zeros((64, 64)), np.zeros(64)]}
FILE_OPERATIONS = ("open", "os.", "shutil.")


def state(step):
    return {"step": step, "layers": [np.full((64, 64), step, float), np.full(64, step, float)]}


def content(path):
    """The step that the newest checkpoint holds; every array of it must agree."""
    found = CheckpointFolder(path).latest(LIKE)
    values = {found.tree["step"], *found.tree["layers"][0].flat, *found.tree["layers"][1].flat}
    assert len(values) == 1, f"mixed content {values}"
    assert found.rejected == (), found.rejected
    return found.tree["step"]


def forked(action):
    """Run an action in a fork; the child's process id."""
    child = os.fork()
    if not child:
        try:
            action()
        finally:
            os._exit(0)
    return child


def killed_at_operation(path, nth, step, value):
    """Save in a fork that dies just before its nth file operation; True if it died."""

    def action():
        remaining = itertools.count(1)

        def hook(event, _):
            if event.startswith(FILE_OPERATIONS) and next(remaining) == nth:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        CheckpointFolder(path).save(step, state(value), {})

    _, status = os.waitpid(forked(action), 0)
    return os.WIFSIGNALED(status)


def at_every_operation(root):
    """A new step beside three, a step saved anew, and a step back; each cut at each operation."""
    for name, step in (("new", 4), ("again", 3), ("back", 2)):
        for nth in itertools.count(1):
            path = root / f"{name}-{nth}"
            for old in (1, 2, 3):
                CheckpointFolder(path).save(old, state(old), {})
            died = killed_at_operation(path, nth, step, 99)
            found = content(path)
            assert found in (3, 99), f"{name}, operation {nth}: {found}"
            print("new" if found == 99 else "old")
            # The next writer starts clean.
            CheckpointFolder(path).save(5, state(5), {})
            assert content(path) == 5
            assert all(entry.name.startswith("step-") for entry in path.iterdir())
            if not died:
                assert found == 99
                break


def at_random_moments(root, kills):
    """Save as fast as possible until killed; then go on from what is there."""
    generator = random.Random(2)
    path, announced = root / "checkpoints", 0
    path.mkdir()

    def save_forever(pipe):
        with lock_folder(root):
            for step in itertools.count(announced + 1):
                CheckpointFolder(path).save(step, state(step), {})
                os.write(pipe, step.to_bytes(8, "little"))

    for _ in range(kills):
        reader, writer = os.pipe()
        child = forked(lambda pipe=writer: save_forever(pipe))
        os.close(writer)
        assert select.select([reader], [], [], 60)[0], "the saver does not start"
        time.sleep(generator.uniform(0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with lock_folder(root), open(reader, "rb") as pipe:
            announced = int.from_bytes(pipe.read()[-8:], "little")
            found = content(path)
        # One more may be whole that the saver did not live to announce.
        assert found in (announced, announced + 1), (found, announced)
        announced = found
        print(found)


if __name__ == "__main__":
    tree_files.provenance = dict
    if sys.argv[2] == "operations":
        os.fsync = lambda descriptor: None  # a kill, unlike a power cut, spares what is cached
        at_every_operation(Path(sys.argv[1]))
    else:
        at_random_moments(Path(sys.argv[1]), int(sys.argv[3]))
