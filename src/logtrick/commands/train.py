"""`logtrick train ENV`: ascend J."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

import tyro

from logtrick.algorithms.base import Algorithm
from logtrick.algorithms.configs import PPO
from logtrick.commands.env_flags import EnvKwargs, Imports, read_kwargs
from logtrick.errors import ConfigError

EVALUATIONS = 20
"""How many evaluations a run has where only the score to stop at is given."""


@dataclass(frozen=True, kw_only=True)
class TrainCommand:
    """Train a policy on an environment, and keep everything in a run folder.

    Example: logtrick train CartPole-v1 --seeds 4
    """

    env: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="[ENV]")] = ""
    """The environment: an id (`logtrick envs`), MODULE:ID for one that a package registers with
    Gymnasium, or a preset's short name (`logtrick presets`)."""
    imports: Imports = ()
    env_kwargs: EnvKwargs = ()
    algo: str = "ppo"
    """The algorithm: ppo, trpo, npg, a2c, impala, reinforce, rloo, grpo, dr_grpo, dapo, gspo,
    cispo or reinforce_plus_plus. The algorithm options are its settings for this environment."""
    steps: int | None = None
    """Transitions to learn from, for each seed; the preset's number if not given."""
    seed: int = 0
    """The seed of the first run; the others count up from it."""
    seeds: int = 1
    """How many runs to train side by side."""
    out: str = "runs/"
    """The folder in which the run folder is made."""
    resume: str | None = None
    """Continue the run in this folder, with its environment and settings."""
    workers: Literal["sync", "async"] = "sync"
    """Where host environments run: all in this process (sync), or each in its own (async)."""
    env_timeout: float | None = None
    """Seconds that a host environment may take to reset or to step before it counts as hung; 60
    if not given. It can be given with --resume, too."""
    eval_every: int | None = None
    """Steps between two evaluations, for each seed. An evaluation plays fresh episodes, from which
    training does not learn; the best policies are kept. If this is not given, there are no
    evaluations, or 20 with --stop-at."""
    eval_episodes: int = 10
    """Episodes in each evaluation, for each seed."""
    eval_greedy: bool = True
    """Take the most probable actions in evaluations, not sampled ones."""
    eval_max_steps: int | None = None
    """Most steps of an episode in an evaluation; needed if the environment has no time limit."""
    stop_at: float | None = None
    """Stop training when every seed's evaluation reaches this mean return."""
    tensorboard: bool = False
    """Also write the metrics for TensorBoard: tensorboard --logdir runs."""
    checkpoint_seconds: float = 30.0
    """Seconds between two checkpoints."""
    json: bool = False
    """Print the summary as JSON."""
    algorithm: tyro.conf.OmitArgPrefixes[Algorithm] = field(default_factory=PPO)


def run(options: TrainCommand) -> None:
    """Train, show progress, print the summary."""
    from logtrick.commands.output import print_json, run_table
    from logtrick.envs.spec import TIMEOUT
    from logtrick.runs.summaries import run_summary
    from logtrick.runs.training.progress import ProgressBar
    from logtrick.runs.training.start import resume, train

    progress = ProgressBar()
    if options.resume is not None:
        _refuse_settings(options)
        result = resume(
            options.resume,
            timeout=options.env_timeout,
            checkpoint_seconds=options.checkpoint_seconds,
            progress=progress,
        )
    elif not options.env:
        raise ConfigError("No environment was given. For example: logtrick train CartPole-v1")
    else:
        result = train(
            options.env,
            options.algorithm,
            steps=options.steps,
            seed=options.seed,
            seeds=options.seeds,
            env_kwargs=read_kwargs(options.env_kwargs),
            out=options.out,
            workers=options.workers,
            timeout=TIMEOUT if options.env_timeout is None else options.env_timeout,
            evaluation=_evaluation(options),
            tensorboard=options.tensorboard,
            checkpoint_seconds=options.checkpoint_seconds,
            progress=progress,
        )
    if options.json:
        print_json(run_summary(result.record))
    else:
        run_table(result)


def _evaluation(options: TrainCommand) -> Any:
    """The evaluations that were asked for; None where none were."""
    from logtrick.runs.config import Evaluation

    if options.eval_every is None and options.stop_at is None:
        of_evaluations = ("eval_episodes", "eval_greedy", "eval_max_steps")
        for name in of_evaluations:
            if getattr(options, name) != getattr(TrainCommand(), name):
                flag = "--" + name.replace("_", "-")
                raise ConfigError(
                    f"{flag} has no effect without evaluations; add --eval-every 10000."
                )
        return None
    every = options.eval_every
    if every is None:
        every = max(1, (options.steps or 1) // EVALUATIONS)
    episodes, greedy = options.eval_episodes, options.eval_greedy
    return Evaluation(every, episodes, greedy, options.stop_at, options.eval_max_steps)


def _refuse_settings(options: TrainCommand) -> None:
    """Refuse other settings for a resumed run, with which it would be another run."""
    free = ("resume", "imports", "checkpoint_seconds", "env_timeout", "json", "algorithm")
    given = [f.name for f in fields(options) if f.name not in free]
    changed = [name for name in given if getattr(options, name) != getattr(TrainCommand(), name)]
    if changed or options.algorithm != PPO():
        flags = ("--" + name.replace("_", "-") for name in changed)
        what = ", ".join(flags) or "an algorithm's settings"
        raise ConfigError(
            f"--resume continues a run with its own settings, so {what.replace('--env', 'ENV')} "
            "cannot be given; start a new run to change it."
        )
