"""Small models of the Quantitative Verification Benchmark Set, and files of any small model.

Written from the protocols' descriptions (https://qcomp.org/benchmarks): the shared coin of Aspnes
and Herlihy (1990), and the self-stabilising ring of Israeli and Jalfon (1990).
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import umb_files

State = Hashable
Choice = list[tuple[Fraction, State]]
HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Model:
    """States in the order of a breadth-first search; transitions with rational probabilities."""

    states: list[State]
    choices: list[list[list[tuple[Fraction, int]]]]

    @property
    def size(self):
        """States, choices and branches, as the benchmark set counts them."""
        choices = [choice for own in self.choices for choice in own]
        return len(self.states), len(choices), sum(map(len, choices))

    def numbers(self, holds: Callable[[State], bool]):
        """The states with a property."""
        return [number for number, state in enumerate(self.states) if holds(state)]

    def write_prism(self, folder: Path, labels: dict[str, list[int]], rewards: list[int]):
        """`.tra`, `.lab` and `.srew`; returns their paths."""
        lines = [
            f"{state} {number} {successor} {probability}"
            for state, own in enumerate(self.choices)
            for number, choice in enumerate(own)
            for probability, successor in choice
        ]
        names = ["init", *labels]
        held = {state: [] for state in range(len(self.states))}
        for index, states in enumerate([[0], *labels.values()]):
            for state in states:
                held[state].append(str(index))
        texts = {
            "tra": [" ".join(map(str, self.size)), *lines],
            "lab": [
                " ".join(f'{index}="{name}"' for index, name in enumerate(names)),
                *(f"{state}: {' '.join(own)}" for state, own in held.items() if own),
            ],
            "srew": [
                f"{len(rewards)} {sum(map(bool, rewards))}",
                *(f"{state} {reward}" for state, reward in enumerate(rewards) if reward),
            ],
        }
        for kind, text in texts.items():
            (folder / f"model.{kind}").write_text("\n".join(text) + "\n")
        return [folder / f"model.{kind}" for kind in texts]

    def write_umb(self, path: Path, labels: dict[str, list[int]], rewards: list[int]):
        """One archive, probabilities as rationals."""
        return umb_files.write(
            path,
            [[(0, {to: p for p, to in choice}) for choice in own] for own in self.choices],
            initial=[0],
            rewards={"steps": {"states": [Fraction(reward) for reward in rewards]}},
            labels={
                name: [state in set(states) for state in range(len(self.states))]
                for name, states in labels.items()
            },
        )


def explore(initial: list[State], choices: Callable[[State], list[Choice]]) -> Model:
    """All states that can be reached."""
    states, numbers, found = list(initial), {s: i for i, s in enumerate(initial)}, []
    for state in states:  # grows while it is read
        own = []
        for choice in choices(state):
            merged: dict[int, Fraction] = {}
            for probability, successor in choice:
                if successor not in numbers:
                    numbers[successor] = len(states)
                    states.append(successor)
                number = numbers[successor]
                merged[number] = merged.get(number, Fraction(0)) + probability
            own.append([(probability, number) for number, probability in merged.items()])
        found.append(own)
    return Model(states, found)


FLIP, WRITE, CHECK, DONE = range(4)


def consensus(processes: int, bound: int) -> Model:
    """The shared coin: each process flips, moves a common counter, and checks it, over and over.

    A state is (counter, (program counter, coin) of each process). A process that finds the counter
    within `processes` of an end decides for that side.
    """
    top = 2 * (bound + 1) * processes

    def step(counter, location, coin):
        if location == FLIP:
            return [(HALF, counter, WRITE, side) for side in (0, 1)]
        if location == WRITE:
            return [(Fraction(1), counter + (1 if coin else -1), CHECK, 0)]
        if counter <= processes:
            return [(Fraction(1), counter, DONE, 0)]
        if counter >= top - processes:
            return [(Fraction(1), counter, DONE, 1)]
        return [(Fraction(1), counter, FLIP, coin)]

    def choices(state):
        counter, locals_ = state
        found = []
        for i, (location, coin) in enumerate(locals_):
            if location == DONE or (location == WRITE and counter == (top if coin else 0)):
                continue
            found.append(
                [
                    (chance, (after, (*locals_[:i], (to, side), *locals_[i + 1 :])))
                    for chance, after, to, side in step(counter, location, coin)
                ]
            )
        return found or [[(Fraction(1), state)]]

    return explore([(top // 2, ((FLIP, 0),) * processes)], choices)


def israeli_jalfon(processes: int) -> Model:
    """A ring: a process that has a token passes it to either side; tokens that meet become one."""

    def choices(state):
        found = []
        for i in range(processes):
            if state >> i & 1:
                rest = state & ~(1 << i)
                sides = ((i + 1) % processes, (i - 1) % processes)
                found.append([(HALF, rest | 1 << side) for side in sides])
        return found

    return explore([(1 << processes) - 1], choices)
