"""A run folder, opened for reading."""

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from logtrick.envs import EnvSpec
from logtrick.envs.spec import check_timeout
from logtrick.errors import CheckpointError, ConfigError, RunError
from logtrick.runs.config import env_settings, find_env, read_config
from logtrick.runs.folder import BEST, POLICY, model_template, resume_command
from logtrick.runs.latest import Latest
from logtrick.runs.record import RunRecord
from logtrick.runs.tree_files import read_arrays
from logtrick.support.files import PathLike
from logtrick.support.safe_paths import Place, folder_of

if TYPE_CHECKING:
    from logtrick.rollouts.filming import Film

Which = Literal["latest", "best"]


@dataclass(frozen=True)
class Scores:
    """Undiscounted returns of evaluation episodes."""

    returns: Float[np.ndarray, "seeds episodes"]
    lengths: Int[np.ndarray, "seeds episodes"]
    """The steps of each episode."""

    @property
    def mean(self) -> float:
        """The mean return over all episodes of all seeds."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """The standard deviation of the returns of single episodes."""
        return float(self.returns.std())


class Run:
    """A run folder, opened for reading.

    Args:
        path: the folder. It may be a link; in it, none is followed.
        policy: the policy that the run was trained with, where that was a user's own.

    Attributes:
        path: the folder, absolute: it stays the same where an environment changes the process's
            working directory.
        folder: the same, to reach what is in it.

    Raises:
        RunError: it is not a run folder, or a file in it is damaged.
    """

    def __init__(self, path: Place, *, policy: Any = None) -> None:
        self.folder, self._policy = folder_of(path), policy
        self.path = self.folder.path
        self.config = read_config(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @functools.cached_property
    def models(self) -> tuple[Any, ...]:
        """Policy and value function of each seed, as they were at the latest checkpoint."""
        if not (self.folder / POLICY).exists():
            raise RunError(f"{self.path} holds no {POLICY} yet: no checkpoint was reached.")
        return self._read_models(POLICY)

    @functools.cached_property
    def best_models(self) -> tuple[Any, ...]:
        """Policy and value function of each seed, as they were at its best evaluation."""
        if not (self.folder / BEST).exists():
            raise RunError(
                f"{self.path} holds no {BEST}: it was trained without evaluations, or none has "
                "reached a checkpoint yet. `--eval-every 10000` has them made."
            )
        return self._read_models(BEST)

    def _read_models(self, name: str) -> tuple[Any, ...]:
        import jax

        self.check_policy()
        try:
            stacked, _ = read_arrays(self.folder / name, model_template(self.config, self._policy))
        except CheckpointError as error:
            raise CheckpointError(
                f"{error} `{resume_command(self.path, self.config)}` writes it again, from the "
                "latest checkpoint that is whole."
            ) from error
        return tuple(jax.tree.map(lambda x, s=s: x[s], stacked) for s in range(self.config.seeds))

    def check_policy(self) -> None:
        """Raise if the run needs the user's own policy and has none: files name no code."""
        if self.config.policy is not None and self._policy is None:
            raise RunError(
                f"{self.path} was trained with a policy of your own ({self.config.policy}), which "
                "only Python can make: pass it again, lt.load(path, policy=…), or to resume "
                "lt.resume(path, policy=…)."
            )

    def models_of(self, which: Which) -> tuple[Any, ...]:
        """`models` for "latest", `best_models` for "best"."""
        if which not in ("latest", "best"):
            raise ConfigError(f"policy={which!r}; it is 'latest' or 'best'.")
        return self.models if which == "latest" else self.best_models

    @property
    def policies(self) -> tuple[Any, ...]:
        """The policy of each seed: one observation -> a distribution over actions."""
        return tuple(model.policy for model in self.models)

    @property
    def policy(self) -> Any:
        """The first seed's policy."""
        return self.policies[0]

    @property
    def record(self) -> RunRecord:
        """What the folder holds now: rows and scores, each log parsed at most once."""
        return RunRecord(self.folder, self.config)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One row for each update and seed."""
        return self.record.metrics

    @property
    def timings(self) -> list[dict[str, Any]]:
        """Wall-clock of each stretch of training, and the moments at which it was resumed."""
        return self.record.timings

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """One row for each evaluation and seed; none where the run is trained without them."""
        return self.record.evaluations

    @property
    def resumptions(self) -> list[dict[str, Any]]:
        """When training was resumed, from which update, and under which versions."""
        return self.record.resumptions

    @property
    def stopped_early(self) -> bool:
        """Whether the last evaluation came up to the score at which training was to stop."""
        return self.record.stopped_early

    @property
    def final_returns(self) -> Float[np.ndarray, " seeds"]:
        """Each seed's mean training return over its last episodes.

        The last whole updates in which at least 100 episodes ended (fewer where the whole run had
        fewer). NaN where none ended, or none for so long that the mean is no score of the policy
        as it is: `last_episodes` says how many they are, and since when.
        """
        return self.record.final_returns

    @property
    def last_episodes(self) -> tuple[Latest, ...]:
        """Each seed's last episodes: their mean return, how many they are, and how old."""
        return self.record.last_episodes

    def evaluate(
        self,
        episodes: int = 100,
        *,
        seed: int = 0,
        greedy: bool = False,
        policy: Which = "latest",
        max_steps: int | None = None,
        env: Any = None,
        timeout: float | int | None = None,
    ) -> Scores:
        """Play fresh episodes with each seed's policy.

        Every episode counts once, whatever its length, so the mean is unbiased.

        Args:
            episodes: for each policy.
            seed: the seed of the episodes.
            greedy: take the most probable action instead of a sample.
            policy: "latest", or "best": that of each seed's best evaluation while it was trained.
            max_steps: where an episode is cut at the latest; needed where the environment has no
                time limit that is known.
            env: the environment, where it has no id by which it is found again.
            timeout: seconds that a row of a host environment may take to answer; None: as in
                training.

        Returns:
            The returns and lengths [seeds, episodes].
        """
        from logtrick.rollouts.evaluation import evaluate

        timeout = self._timeout(timeout)
        spec = self.env_spec(env, timeout=timeout)
        played = evaluate(
            self.models_of(policy),
            spec,
            episodes,
            seed=seed,
            greedy=greedy,
            max_steps=max_steps,
            timeout=timeout,
        )
        return Scores(*played)

    def film(
        self,
        *,
        seed: int = 0,
        greedy: bool = True,
        policy: Which = "latest",
        max_steps: int | None = None,
        mode: Literal["rgb_array", "human"] = "rgb_array",
        env: Any = None,
        timeout: float | int | None = None,
    ) -> "Film":
        """Play one episode with the first seed's policy, recorded or shown: see `filming.film`.

        Args:
            seed: the seed of the episode.
            greedy: take the most probable action instead of a sample.
            policy: "latest" or "best".
            max_steps: where the episode is cut.
            mode: "rgb_array" records, "human" shows a window.
            env: the environment, where it has no id: a class or function that takes `render_mode`.
            timeout: as for `evaluate`.
        """
        from logtrick.rollouts.filming import film

        timeout = self._timeout(timeout)
        return film(
            self.models_of(policy)[0],
            self.env_spec(env, timeout=timeout),
            seed=seed,
            greedy=greedy,
            max_steps=max_steps,
            mode=mode,
            env=env,
            timeout=timeout,
        )

    def _timeout(self, timeout: float | int | None) -> float:
        return self.config.timeout if timeout is None else check_timeout(timeout)

    def export(self, path: PathLike, *, policy: Which = "latest") -> Path:
        """Write the first seed's policy as a function that JAX alone loads; the folder.

        Args:
            path: the folder to write.
            policy: "latest" or "best".

        Raises:
            MissingExtraError: flatbuffers is not installed: `pip install "logtrick[export]"`.
        """
        from logtrick.runs.exporting import export_policy

        return export_policy(self.models_of(policy)[0].policy, self.config, path)

    def env_spec(self, env: Any = None, *, timeout: float | int | None = None) -> EnvSpec:
        """The environment that the run was trained on, checked against its spaces."""
        spec = find_env(self.config, env, timeout=timeout)
        for name in ("observation_space", "action_space"):
            if getattr(spec, name) != getattr(self.config, name):
                raise RunError(
                    f"{self.path} was trained with the {name} {getattr(self.config, name)}, but "
                    f"{spec.id} has {getattr(spec, name)}; pass the environment that it was "
                    "trained on."
                )
        if env is None and env_settings(spec) != self.config.env_settings:
            raise RunError(
                f"{self.path} was trained on {spec.id} with settings of its own "
                f"({self.config.env_settings}); pass that environment: env=…"
            )
        return spec

    def report(self, *, video: bool = False, max_steps: int | None = None) -> Path:
        """Write `learning_curve.png` and `report.html`.

        Args:
            video: play an episode and put its GIF into the report.
            max_steps: where that episode is cut.

        Returns:
            The report's path.
        """
        from logtrick.runs.presentation import write_run_report

        if max_steps is not None and not video:
            raise ConfigError(
                "max_steps has no effect without video=True, because it limits the filmed episode."
            )
        return write_run_report(self.record, film=self.film(max_steps=max_steps) if video else None)


def load(path: PathLike, *, policy: Any = None) -> Run:
    """Open a run folder again; nothing in it is executed.

    Args:
        path: the folder, `runs/CartPole-v1-ppo-…`.
        policy: the policy that the run was trained with, where that was your own.

    Returns:
        The run: its policies, metrics and scores.

    Raises:
        RunError: it is not a run folder, or a file in it is damaged.
    """
    return Run(path, policy=policy)
