"""`logtrick eval RUN`: play fresh episodes with a run's policies."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from logtrick.commands.env_flags import Imports


@dataclass(frozen=True, kw_only=True)
class EvalCommand:
    """Play fresh episodes with the policies of a run.

    Example: logtrick eval runs/CartPole-v1-ppo-20260101-120000 --episodes 20
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """The run folder."""
    imports: Imports = ()
    episodes: int = 100
    """Episodes to play with each seed's policy."""
    seed: int = 0
    """The seed of the episodes."""
    greedy: bool = False
    """Take the most probable actions, not sampled ones."""
    policy: Literal["latest", "best"] = "latest"
    """Each seed's latest policy, or the policy of its best evaluation during training."""
    max_steps: int | None = None
    """Most steps of an episode; needed if the environment has no known time limit."""
    env_timeout: float | None = None
    """Seconds that a host environment may take to reset or to step; as in training if not given."""
    json: bool = False
    """Print the result as JSON."""


def run(options: EvalCommand) -> None:
    """Play the episodes and print their returns."""
    from logtrick.commands.output import evaluation_table, print_json
    from logtrick.runs.run import load
    from logtrick.support.programs import use_compilation_cache

    use_compilation_cache()
    result = load(options.run)
    scores = result.evaluate(
        options.episodes,
        seed=options.seed,
        greedy=options.greedy,
        policy=options.policy,
        max_steps=options.max_steps,
        timeout=options.env_timeout,
    )
    if options.json:
        print_json(
            {
                "run": str(result.path),
                "env": result.config.env,
                "greedy": options.greedy,
                "policy": options.policy,
                "mean": scores.mean,
                "std": scores.std,
                "returns": scores.returns.tolist(),
                "lengths": scores.lengths.tolist(),
            }
        )
    else:
        evaluation_table(result, scores, greedy=options.greedy)
