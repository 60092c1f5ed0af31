"""The rooms and the direction of imports, what loads what, and that public names are there."""

import ast
import importlib
import subprocess
import sys

import pytest

import house
import logtrick as lt

HOUSE = house.House(house.SOURCE)
HEAVY = ("jax", "matplotlib", "gymnasium", "numba", "scipy", "equinox", "optax", "torch", "gymnax")

# Per room: every room that its files may import from. A new arrow is a decision, made here.
MAY_IMPORT = {
    "errors": set(),
    "support": {"errors"},
    "mdp": {"errors", "support"},
    "psi": {"errors", "support"},
    "policies": {"errors", "support", "psi"},
    "reports": {"errors", "support"},
    "planning": {"errors", "support", "mdp"},
    "exact": {"errors", "support", "mdp", "policies", "planning"},
    "envs": {"errors", "support", "mdp", "policies"},
    "rollouts": {"errors", "support", "mdp", "policies", "reports", "envs"},
    "algorithms": {"errors", "support", "mdp", "psi", "policies", "envs", "rollouts"},
    "auditing": {
        "errors", "support", "mdp", "psi", "policies", "planning", "exact", "envs", "rollouts",
    },
    "runs": {
        "errors", "support", "mdp", "policies", "reports", "envs", "rollouts", "algorithms",
    },
    "lessons": {
        "errors", "support", "mdp", "psi", "policies", "reports", "planning", "exact", "auditing",
    },
    "commands": set(house.ORDER) - {"__main__", "lessons"} | {"lessons"},
    "__main__": {"commands"},
}  # fmt: skip


@pytest.mark.parametrize("finding", HOUSE.findings(), ids=lambda finding: finding.what)
def test_the_house_is_within_its_limits(finding):
    assert finding.count <= finding.limit, finding.where


@pytest.mark.parametrize("room", HOUSE.rooms)
def test_a_room_imports_only_from_the_rooms_that_it_may(room):
    found = {other: lines for (own, other), lines in HOUSE.arrows.items() if own == room}
    assert room in MAY_IMPORT, f"{room} is a new room: give it a row here and a place in ORDER"
    extra = {other: lines for other, lines in found.items() if other not in MAY_IMPORT[room]}
    assert not extra


def test_a_circle_of_files_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert {"a", "b", "c"} in house.strongly_connected(graph)
    assert {"d"} in house.strongly_connected(graph)


@pytest.mark.parametrize("alias", [file.name for file in HOUSE.aliases])
def test_an_old_import_path_leads_to_the_same_things(alias):
    old = importlib.import_module(alias)
    new = importlib.import_module(old.__doc__.partition("has moved to `")[2].partition("`")[0])
    for name in getattr(new, "__all__", ()):
        assert getattr(old, name) is getattr(new, name)


def loaded(code):
    script = f"import sys; {code}; print('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = result.stdout.split("\n")
    return {*modules, *(name.split(".")[0] for name in modules)}


def test_importing_logtrick_loads_nothing_heavy():
    assert not loaded("import logtrick") & set(HEAVY)


def test_reading_the_command_line_loads_nothing_heavy():
    code = (
        "from logtrick.commands.cli import _parse; "
        "_parse(['train', 'CartPole-v1', '--algo', 'a2c', '--gamma', '0.9'])"
    )
    assert not loaded(code) & set(HEAVY)


def test_a_plugin_is_loaded_only_where_it_is_used():
    assert not loaded("import logtrick as lt; lt.train; lt.PPO()") & {"gymnax", "torch", "numba"}
    assert not loaded("import logtrick as lt; lt.train; lt.FiniteMDP") & {"numba", "scipy.linalg"}


def test_public_names_are_sorted_documented_and_there():
    assert lt.__all__ == sorted(lt.__all__)
    for name in lt.__all__:
        assert getattr(lt, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lt.nothing
    assert set(lt.__all__) <= set(dir(lt))


def test_no_module_reads_pickles():
    banned = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for file in HOUSE.files.values():
        for node in ast.walk(file.tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & banned, file.path


@pytest.mark.parametrize("name", ["problems", "distributions", "derivation", "objectives"])
def test_a_name_means_the_same_once_its_old_path_is_imported(name):
    """`import logtrick.problems` makes the alias `lt.problems`, with all that was there before."""
    program = (
        "import importlib, logtrick as lt\n"
        f"before = getattr(lt, {name!r})\n"
        "listed = getattr(before, '__all__', None) or []\n"
        f"importlib.import_module('logtrick.{name}')\n"
        f"after = getattr(lt, {name!r})\n"
        "assert all(getattr(after, n) is getattr(before, n) for n in listed), 'other things'\n"
        "print(len(listed), hasattr(before, 'token_tasks') == hasattr(after, 'token_tasks'))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.endswith(" True\n")
