"""The score of a training: what its last episodes came to, how many they are, and how old."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from logtrick.runs.config import RunConfig

FINAL_EPISODES = 100
"""Episodes at the end of training over which each seed's score is a mean, at least."""


class Latest(NamedTuple):
    """A seed's last episodes: the last whole updates in which at least 100 ended."""

    seed: int
    episode_return: float
    """Their mean, each episode counted once; NaN where none has ended."""
    episodes: int
    """How many there are: fewer than 100 where the whole run had fewer."""
    since_step: int
    """They all ended after this step of the seed."""
    last_step: int
    """And the newest of them by this one; 0 where none has ended."""
    steps: int
    """Transitions that the seed has learned from."""
    is_old: bool
    """Whether no episode has ended for so long that the mean says nothing of the policy as it is.

    That is: for as many transitions as twelve of these episodes take, and as it takes to play four
    of them in every environment; but not before every environment can have come to its time limit,
    where that is at most a tenth of the steps learned from.
    """

    @property
    def score(self) -> float:
        """`episode_return`; NaN where it is too old to be one."""
        return math.nan if self.is_old else self.episode_return

    @property
    def is_score(self) -> bool:
        """Whether these episodes give a score."""
        return not math.isnan(self.score)

    @property
    def measured(self) -> str:
        """Which episodes the score is the mean of, in words.

        Example:
            >>> Latest(0, 7.5, 104, 2048, 4096, 4096, False).measured
            '104 episodes since step 2,048'
        """
        return f"{counted(self.episodes)} since step {self.since_step:,}"

    @property
    def missing(self) -> str:
        """Why there is no score; empty where there is one.

        Example:
            >>> Latest(0, -1064.0, 3, 0, 4096, 61440, True).missing
            'none ended since step 4,096; the 3 episodes before came to -1064.0'
        """
        if self.is_score:
            return ""
        if not self.episodes:
            return "no episode has ended yet"
        before = f"the {self.episodes:,} episodes" if self.episodes > 1 else "the episode"
        return (
            f"none ended since step {self.last_step:,}; {before} before came to "
            f"{self.episode_return:.1f}"
        )


class LatestEpisodes:
    """Follows `metrics.jsonl`, row by row.

    Args:
        config: the configuration of the run.
        rows: the rows that the log holds already.
    """

    def __init__(self, config: RunConfig, rows: Iterable[Mapping[str, Any]] = ()) -> None:
        self._num_envs, self._limit = config.algorithm.num_envs, config.max_episode_steps
        self._seeds = range(config.seed, config.seed + config.seeds)
        self._kept: dict[int, deque[dict[str, Any]]] = {seed: deque() for seed in self._seeds}
        self._counts = dict.fromkeys(self._seeds, 0)
        self._steps = dict.fromkeys(self._seeds, 0)
        self.add(rows)

    def add(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take in new rows, each seed's in their order."""
        for row in rows:
            seed, since = row["seed"], self._steps[row["seed"]]
            self._steps[seed] = row["steps"]
            if not row["episodes"]:
                continue
            kept = self._kept[seed]
            kept.append({**row, "since": since})
            self._counts[seed] += row["episodes"]
            while self._counts[seed] - kept[0]["episodes"] >= FINAL_EPISODES:
                self._counts[seed] -= kept.popleft()["episodes"]

    def of_seeds(self) -> tuple[Latest, ...]:
        """Each seed's last episodes, as they are now."""
        return tuple(map(self._latest, self._seeds))

    def _latest(self, seed: int) -> Latest:
        kept, steps, episodes = self._kept[seed], self._steps[seed], self._counts[seed]
        if not kept:
            return Latest(seed, math.nan, 0, 0, 0, steps, False)
        since, last = kept[0]["since"], kept[-1]["steps"]
        old = steps - last > self._patience(kept, episodes, steps)
        mean = _over_episodes(kept, "episode_return", episodes)
        return Latest(seed, mean, episodes, since, last, steps, old)

    def _patience(self, kept: Sequence[Mapping[str, Any]], episodes: int, steps: int) -> float:
        """Transitions after which the last episodes are old: see `Latest.is_old`."""
        length = _over_episodes(kept, "episode_length", episodes)
        if math.isnan(length):  # not in this log
            length = (kept[-1]["steps"] - kept[0]["since"]) / episodes
        limit = 0 if self._limit is None else self._num_envs * self._limit
        return float(max(12 * length, 4 * self._num_envs * length, min(limit, steps / 10)))


def counted(episodes: int) -> str:
    """A number of episodes in words.

    Example:
        >>> counted(1), counted(1200)
        ('1 episode', '1,200 episodes')
    """
    return f"{episodes:,} episode{'' if episodes == 1 else 's'}"


def together(latest: Sequence[Latest]) -> tuple[str, str]:
    """The score of all seeds and what it is the mean of, in a few words for one line.

    Example:
        >>> old, new = Latest(0, -9.0, 3, 0, 4096, 61440, True), Latest(1, 7.5, 9, 0, 8, 8, False)
        >>> together([new])
        ('7.5', '9 episodes since step 0')
        >>> together([old])
        ('–', 'none ended since step 4,096')
        >>> together([new, old])
        ('7.5', '9 episodes since step 0; none of 1 seed ended since step 4,096')
    """
    scored = [x for x in latest if x.is_score]
    lost = [x for x in latest if x.is_old]
    words = []
    if scored:
        since, episodes = min(x.since_step for x in scored), sum(x.episodes for x in scored)
        words.append(f"{counted(episodes)} since step {since:,}")
    if lost:
        of = f" of {len(lost)} seed{'' if len(lost) == 1 else 's'}" if len(latest) > 1 else ""
        words.append(f"none{of} ended since step {max(x.last_step for x in lost):,}")
    if not scored:
        return "–", "; ".join(words)
    mean = sum(x.episode_return for x in scored) / len(scored)
    return f"{mean:.1f}", "; ".join(words)


def no_score(latest: Sequence[Latest]) -> str:
    """Why a run has no score: what is the matter with its seeds; empty where all have one.

    Example:
        >>> no_score([Latest(0, 7.5, 9, 0, 8, 8, False), Latest(1, -9.0, 3, 0, 4096, 61440, True)])
        'seed 1: none ended since step 4,096; the 3 episodes before came to -9.0'
    """
    missing = {x.seed: x.missing for x in latest if not x.is_score}
    if len(latest) == 1 or (len(missing) == len(latest) and len(set(missing.values())) == 1):
        return latest[0].missing
    return "; ".join(f"seed {seed}: {why}" for seed, why in missing.items())


def _over_episodes(kept: Sequence[Mapping[str, Any]], name: str, episodes: int) -> float:
    """The mean of a metric over episodes: updates count by how many of them ended there."""
    if any(row.get(name) is None for row in kept):
        return math.nan
    return float(sum(row["episodes"] * row[name] for row in reversed(kept))) / episodes
