"""The direction of imports, what loads what, and that public names are sorted and there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import logtrick as lt

SOURCE = Path(lt.__file__).parent

# Each layer may import from itself and from those before it, never from those after it.
LAYERS = [
    {"errors", "names", "terminal", "dispatch", "safe_paths"},
    {"distributions", "psi", "objectives", "statistics"},
    {
        "told",
        "state_sets",
        "mdp",
        "mdp_arrays",
        "mdp_transforms",
        "graphs",
        "validation",
        "readers",
        "problems",
    },
    {"gridworlds"},
    {"policies"},
    {"natural", "files", "trees", "extras"},
    {"exact", "planning", "derivation", "histories"},
    {"envs"},
    {"rollouts", "programs", "acting", "host_rollouts"},
    {"algorithms", "preset_table", "presets"},
    {"evaluation", "auditing"},
    {"plots", "report"},
    {"filming"},
    {"runs", "progress", "compilation"},
    {"training"},
    {"policy_files", "solving", "grid_figures", "solution_report"},
    {"lessons"},
    {"commands"},
    {"cli", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ("jax", "matplotlib", "gymnasium", "numba", "scipy", "equinox", "optax", "torch", "gymnax")


def imports(path):
    """Names of logtrick's own modules that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (m.split(".")[1] for m in modules if m.startswith("logtrick."))


def files():
    return [p for p in SOURCE.rglob("*.py") if p.relative_to(SOURCE) != Path("__init__.py")]


def module_of(path):
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_run_one_way(path):
    own = module_of(path)
    assert own in LEVEL, f"{own} has no layer yet; give it one in LAYERS"
    for other in imports(path):
        if other != "__version__":
            assert LEVEL[other] <= LEVEL[own], f"{own} must not import {other}"


def loaded(code):
    script = f"import sys; {code}; print('\\n'.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in result.stdout.split("\n")}


def test_importing_logtrick_loads_nothing_heavy():
    assert not loaded("import logtrick") & set(HEAVY)


def test_reading_the_command_line_loads_nothing_heavy():
    code = (
        "from logtrick.cli import _parse; "
        "_parse(['train', 'CartPole-v1', '--algo', 'a2c', '--gamma', '0.9'])"
    )
    assert not loaded(code) & set(HEAVY)


def test_a_plugin_is_loaded_only_where_it_is_used():
    assert not loaded("import logtrick as lt; lt.train; lt.PPO()") & {"gymnax", "torch", "numba"}


def test_public_names_are_sorted_documented_and_there():
    assert lt.__all__ == sorted(lt.__all__)
    for name in lt.__all__:
        assert getattr(lt, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = lt.nothing
    assert set(lt.__all__) <= set(dir(lt))


def test_no_module_reads_pickles():
    banned = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & banned, path
