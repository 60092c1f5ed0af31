"""What the contestants of `exact.py` share: arguments, clocks, and where the answer goes."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def compete(ingest: Callable[..., Any], solve: Callable[..., np.ndarray]) -> None:
    """`… FOLDER GAMMA TOL THREADS`: read the arrays, take the times, save the values.

    Args:
        ingest: (arrays, gamma, tol, threads) -> a model of the contestant's own.
        solve: (model, gamma, tol, threads) -> values [S].
    """
    folder, settings = Path(sys.argv[1]), (*map(float, sys.argv[2:4]), int(sys.argv[4]))
    names = ("successors", "probabilities", "rewards")
    arrays = {name: np.load(folder / f"{name}.npy") for name in names}
    begin = time.perf_counter()
    few = {"successors": arrays["successors"][:20] % 20}
    few |= {name: arrays[name][:20] for name in names[1:]}
    solve(ingest(few, *settings), *settings)
    started = time.perf_counter()
    model = ingest(arrays, *settings)
    ingested = time.perf_counter()
    values = solve(model, *settings)
    solved = time.perf_counter()
    np.save(folder / "values.npy", values)
    row = {"start": started - begin, "ingest": ingested - started, "solve": solved - ingested}
    print(json.dumps(row), flush=True)
