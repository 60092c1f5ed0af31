"""CartPole in both homes: `python benchmarks/same_curve.py DEVICE_RUN HOST_RUN`.

Compares two run folders, one of `CartPole-v1` on the device and one of `gym:CartPole-v1` on the
host (`benchmarks/scores.py` leaves them), stretch by stretch of the training.
"""

import argparse

import numpy as np

import logtrick as lt
import results
from logtrick.reports.statistics import summarise
from logtrick.runs.presentation import series

STRETCHES = 10
PROTOCOL = (
    "Mean training return of each seed within each tenth of the training; interquartile mean and "
    "95 % bootstrap interval over ten seeds; and the two-sided p value of Welch's t test between "
    "the two homes. The random numbers differ, the algorithm and its settings do not."
)


def main() -> None:
    from scipy.stats import ttest_ind

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("device")
    parser.add_argument("host")
    options = parser.parse_args()
    runs = {"device": lt.load(options.device), "host": lt.load(options.host)}
    assert runs["device"].config.algorithm == runs["host"].config.algorithm
    curves = {k: series(run.metrics, "episode_return", points=STRETCHES) for k, run in runs.items()}
    rows = []
    for i in range(STRETCHES):
        values = {name: curve.values[i] for name, curve in curves.items()}
        row: dict[str, object] = {"up to step": f"{curves['device'].steps[i]:,.0f}"}
        for name, seeds in values.items():
            score = summarise(seeds)
            row[name] = f"{score.iqm:.1f} [{score.low:.1f}, {score.high:.1f}]"
        equal = np.ptp(np.concatenate(list(values.values()))) == 0
        p = 1.0 if equal else ttest_ind(*values.values(), equal_var=False).pvalue
        rows.append({**row, "p": f"{p:.2f}"})
    algorithm = runs["device"].config.algorithm.name
    print(results.write("same_curve", PROTOCOL, rows, algorithm=algorithm).read_text())


if __name__ == "__main__":
    main()
