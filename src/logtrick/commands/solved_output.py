"""What `logtrick solve` prints: the headline numbers, then the states, as a grid or a table."""

from rich.markup import escape
from rich.table import Table

from logtrick.commands.solution_report import facts, state_rows
from logtrick.commands.solving import Solved
from logtrick.commands.terminal_grid import pictures
from logtrick.mdp.gridworlds import gridworld
from logtrick.support.terminal import console

#: So many states are shown; of more, those that are visited most.
SHOWN = 20


def print_solved(solved: Solved, out: str | None) -> None:
    """Print everything there is room for."""
    to = console()
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in facts(solved).items():
        table.add_row(name, escape(value))
    if out is not None:
        table.add_row("written", escape(out))
    to.print(table)
    to.print()
    grid = gridworld(solved.mdp)
    to.print(_states(solved) if grid is None else pictures(solved, grid, to))


def _states(solved: Solved) -> Table:
    """A row for each state, or for those that are visited most."""
    count = solved.mdp.num_states
    title = None
    if count > SHOWN:
        title = f"The {SHOWN} most visited of {count:,} states; --out writes all"
    table = Table(title=title, title_justify="left")
    for head in ("state", "value", "visits"):
        table.add_column(head, justify="left" if head == "state" else "right")
    table.add_column("policy")
    for row in state_rows(solved, SHOWN):
        table.add_row(*map(escape, row))
    return table
