"""UMB archives of small models, written by `umbi` at the level of the file format.

umbi's builder of models (`ExplicitAts`, then `SimpleAts`) changed its name and its methods after
0.2.5, the last release for Python 3.11; the class that stands for a file is the same in all.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

from umbi import umb, version
from umbi.binary import SizedType
from umbi.datatypes import NumericPrimitiveType, PrimitiveType
from umbi.umb import index

#: The index of an action (0 where the model names none) and the probability of each successor.
Choice = tuple[int, dict[int, Fraction]]


def write(
    path: Path,
    choices: Sequence[Sequence[Choice]],
    *,
    initial: Sequence[int],
    rewards: dict[str, dict[str, list[Fraction]]],
    labels: dict[str, list[bool]],
    actions: Sequence[str] = (),
) -> Path:
    """An MDP: the choices of each state; rewards by name and level; labels of states."""
    flat = [choice for own in choices for choice in own]
    branches = [branch for _, own in flat for branch in own.items()]
    rational = SizedType.for_type(NumericPrimitiveType.RATIONAL)
    flags = {name: {"states": values} for name, values in labels.items()}
    annotations = {"rewards": rewards, "aps": flags}
    kinds = {"rewards": rational, "aps": SizedType.for_type(PrimitiveType.BOOL)}
    system = index.TransitionSystem(
        num_players=1,
        num_states=len(choices),
        num_initial_states=len(initial),
        num_choices=len(flat),
        num_choice_actions=len(actions),
        num_branches=len(branches),
        branch_probability_type=rational,
    )
    described = {
        group: {
            name: index.AnnotationDescription(applies_to=list(levels), type=kinds[group])
            for name, levels in named.items()
        }
        for group, named in annotations.items()
    }
    umb.write(
        umb.ExplicitUmb(
            index=index.UmbIndex(
                format_version=version.__format_version__,
                format_revision=version.__format_revision__,
                file_data=index.umbi_file_data(),
                transition_system=system,
                annotations=described,
            ),
            state_is_initial=[state in initial for state in range(len(choices))],
            state_to_choices=offsets(choices),
            choice_to_branches=offsets([own for _, own in flat]),
            branch_to_target=[target for target, _ in branches],
            branch_to_probability=[probability for _, probability in branches],
            choice_to_choice_action=[action for action, _ in flat] if actions else None,
            choice_action_to_string=list(actions) or None,
            annotations=annotations,
        ),
        path,
    )
    return path


def offsets(items: Sequence) -> list[int]:
    """Where each item's own begin, and where the last one's end."""
    return list(accumulate(map(len, items), initial=0))
