"""The model card: `README.md` in a run folder, for whoever is given the policy."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from logtrick.runs.config import RunConfig, given_in_python
from logtrick.runs.latest import FINAL_EPISODES
from logtrick.runs.record import RunRecord
from logtrick.runs.summaries import run_summary
from logtrick.support.files import write_bytes_atomic
from logtrick.support.markdown import markdown_table
from logtrick.support.spaces import in_words

CARD = "README.md"


def write_model_card(record: RunRecord) -> Path:
    """Write what the policy is, how it was trained and what it scored; the file's path."""
    config, summary = record.config, run_summary(record)
    given = given_in_python(config)
    name = type(config.algorithm).__name__
    actions = in_words(config.action_space)
    text = f"""# {config.env} · {name}

{_state(summary)}

- **What it is.** {config.seeds} {_plural("policy", "policies", config.seeds)} with \
{_plural("its value function", "their value functions", config.seeds)}, one for each training \
seed ({_seeds(record)}): {in_words(config.observation_space)} → {actions}.
- **Which gradient was ascended.** {_sentence(config.algorithm.estimates)}
- **Not for.** Anything but {config.env}; nothing else was tried.

## Scores

{_scores(record, summary)}

## Training

{config.steps:,} steps for each seed were asked for, {summary["steps_done"]:,} were made. Settings:

{_table(dataclasses.asdict(config.algorithm))}

## Load

```python
import logtrick as lt

run = lt.load({_load(config)})  # data only: nothing in this folder is executed
run.policy  # the first seed's: one observation -> a distribution over actions
run.evaluate(episodes=100, greedy=True{", env=…" if "env" in given else ""}).mean
```

Without logtrick: `run.export("exported")` writes a function that JAX alone loads.

## Made with

{_table(config.provenance)}
"""
    path = record.folder / CARD
    write_bytes_atomic(path, text.encode("utf-8", "replace"))
    return path.path


def _state(summary: Mapping[str, Any]) -> str:
    if summary["stopped_early"]:
        return "Trained by logtrick until its evaluations reached the score that was asked for."
    return "Trained by logtrick." if summary["finished"] else "Trained by logtrick, not to the end."


def _scores(record: RunRecord, summary: Mapping[str, Any]) -> str:
    """The scores, with how they were measured."""
    score, evaluation, latest = summary["score"], record.config.evaluation, record.last_episodes
    lines = []
    if score is None:
        why = "; ".join(f"seed {x.seed}: {x.missing}" for x in latest if not x.is_score)
        lines.append(f"There is no score ({why}).")
    elif score["n"] == 1:
        lines.append(
            f"{score['mean']:.2f}: mean training return over the last {latest[0].measured} "
            "(sampled actions). One seed: how much other seeds would differ is not known."
        )
    else:
        lines.append(
            f"{score['mean']:.2f} ± {score['std']:.2f} (mean and standard deviation over "
            f"{score['n']} seeds), interquartile mean {score['iqm']:.2f}, 95 % bootstrap interval "
            f"[{score['low']:.2f}, {score['high']:.2f}]: each seed's mean training return over its "
            f"last episodes (at least {FINAL_EPISODES} where there were as many; sampled actions): "
            f"{'; '.join(f'seed {x.seed}: {x.measured}' for x in latest)}."
        )
    if (best := record.best_evaluations) and evaluation is not None:
        actions = "the most probable" if evaluation.greedy else "sampled"
        values = ", ".join(f"{row['return']:.2f} at step {row['steps']:,}" for row in best)
        lines.append(
            f"Best evaluation of each seed: {values} (means of {evaluation.episodes} episodes with "
            f"{actions} actions; the best of several evaluations looks better than it is)."
        )
    return "\n\n".join(lines)


def _load(config: RunConfig) -> str:
    """The arguments that open the run; files name no code, so a policy of one's own is given."""
    return '"."' if config.policy is None else '".", policy=…'


def _seeds(record: RunRecord) -> str:
    first, last = record.config.seed, record.config.seed + record.config.seeds - 1
    return str(first) if first == last else f"{first}–{last}"


def _plural(one: str, several: str, count: int) -> str:
    return one if count == 1 else several


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}"


def _table(values: Mapping[str, Any]) -> str:
    return markdown_table(("name", "value"), [(f"`{name}`", v) for name, v in values.items()])
