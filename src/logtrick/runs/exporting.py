"""A policy as a `jax.export` artefact: to act with it, JAX is enough, without logtrick.

    policy.jaxexport   the function, lowered (StableHLO), for any batch size, on CPU, GPU and TPU
    policy.json        what goes in and what comes out
    README.md          how to load it

The artefact is a program for XLA, without Python code; nothing is pickled.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from gymnasium import spaces

from logtrick.errors import RunError
from logtrick.policies.distributions import Distribution, Product, Reshaped
from logtrick.policies.memory import call, initial_carry
from logtrick.rollouts.device import executable
from logtrick.runs.config import CONFIG, RunConfig
from logtrick.support import extras
from logtrick.support.files import PathLike, lock_folder, one_line_cause, write_json_atomic
from logtrick.support.safe_paths import SafePath
from logtrick.support.spaces import in_words, over_leaves, space_to_dict

ARTEFACT, DESCRIPTION, CARD = "policy.jaxexport", "policy.json", "README.md"
PLATFORMS = ("cpu", "cuda", "tpu")


def export_policy(policy: Any, config: RunConfig, path: PathLike) -> Path:
    """Write a policy as an artefact that is loaded with JAX alone.

    The function takes observations [B, …], and for a policy with memory a list of arrays [B, …]
    too. It returns a dictionary: "action" [B, …], the most probable actions as the environment
    takes them, inside their bounds; "parameters", the arrays of the distribution over actions; and
    "memory", to be given at the next step. Running moments of observations are inside. Discrete
    parts count from 0, in observations too, whatever `start` the environment's spaces have.

    Args:
        policy: one observation -> a distribution, or with memory: see `memory`.
        config: the configuration of the run, for its spaces.
        path: a folder, made where it is not there.

    Returns:
        The folder.

    Raises:
        MissingExtraError: flatbuffers is not installed.
        RunError: the folder is a run's, holds files of these names, or cannot be written.
    """
    extras.load("flatbuffers", "export")
    path = Path(path).absolute()
    if (path / CONFIG).exists():
        raise RunError(
            f"{path} is itself a run, whose files stay as they are; choose another folder."
        )
    if not (path / ARTEFACT).exists():
        for name in (DESCRIPTION, CARD):
            if (path / name).exists():
                raise RunError(
                    f"{path} holds a {name} that no export has written; choose another folder."
                )
    memory, structure = jax.tree.flatten(initial_carry(policy))

    def distribute(obs: Any, memory: Any) -> tuple[Any, Any]:
        return call(policy, obs, jax.tree.unflatten(structure, memory))

    def act(obs: Any, *given: Any) -> dict[str, Any]:
        """Act on one observation."""
        distribution, after = distribute(obs, *given or [[]])
        leaves = jax.tree_util.tree_leaves_with_path(distribution)
        parameters = {jax.tree_util.keystr(p, simple=True, separator="/"): x for p, x in leaves}
        action = executable(config.action_space, distribution.mode)
        out = {"action": action, "parameters": parameters}
        return out | {"memory": jax.tree.leaves(after)} if memory else out

    observation = jax.tree.map(jax.numpy.asarray, config.observation_space.sample())  # 32 bits
    row = [observation, memory] if memory else [observation]
    description = {
        "observations": _shapes(observation),
        "outputs": _shapes(jax.eval_shape(act, *row)),
        "distribution": _kinds(distribute(observation, memory)[0]),
        "initial_memory": [x.tolist() for x in memory],
        "observation_space": space_to_dict(config.observation_space),
        "action_space": space_to_dict(config.action_space),
        "platforms": PLATFORMS,
        "jax": jax.__version__,
    }
    artefact = _lowered(act, row)
    if path.exists() and not path.is_dir():
        raise RunError(f"{path} is a file, and a folder is needed.")
    with one_line_cause(f"Could not make {path}"):
        path.mkdir(parents=True, exist_ok=True)
    folder = SafePath(path)
    with lock_folder(folder):
        (folder / ARTEFACT).write(artefact)
        write_json_atomic(folder / DESCRIPTION, description)
        (folder / CARD).write(_card(config, bool(memory)).encode())
    return path


def _lowered(act: Callable[..., Any], row: list[Any]) -> bytes:
    """The function of one row as an artefact for any number of rows."""
    (size,) = jax.export.symbolic_shape("B")
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((size, *x.shape), x.dtype), row)
    exported = jax.export.export(jax.jit(jax.vmap(act)), platforms=PLATFORMS)(*batch)
    return bytes(exported.serialize())


def _kinds(distribution: Distribution) -> Any:
    """Its class; of a product, that of each part."""
    if isinstance(distribution, Reshaped):
        return _kinds(distribution.flat)
    if not isinstance(distribution, Product):
        return type(distribution).__name__
    return jax.tree.map(_kinds, distribution.parts, is_leaf=lambda x: isinstance(x, Distribution))


def _shapes(tree: Any) -> Any:
    """Dtype and shape of one row of each array."""
    return jax.tree.map(lambda x: f"{x.dtype}{list(x.shape)}", tree)


def _counted(config: RunConfig) -> str:
    parts: list[Any] = []
    over_leaves(parts.append, config.observation_space)
    over_leaves(parts.append, config.action_space)
    if not any(isinstance(part, spaces.Discrete | spaces.MultiDiscrete) for part in parts):
        return ""
    return "- Discrete parts count from 0; a `start` of the environment's is yours to add.\n"


def _card(config: RunConfig, has_memory: bool) -> str:
    given, before, after = "observations", "", ""
    if has_memory:
        given = "observations, memory"
        before = (
            "rows = len(jax.tree.leaves(observations)[0])\n"
            'start = json.loads(Path("policy.json").read_text())["initial_memory"]\n'
            "memory = [np.stack([np.array(x, np.float32)] * rows) for x in start]\n"
        )
        after = 'memory = out["memory"]  # for the next step; start anew with each episode\n'
    return f"""# A policy for {config.env}

Trained by logtrick ({config.algorithm.name}, {config.steps:,} steps).

- Observations: {in_words(config.observation_space)}
- Actions: {in_words(config.action_space)}
{_counted(config)}
To act with it, JAX and flatbuffers are enough (`pip install jax flatbuffers`):

```python
import json
from pathlib import Path

import jax
import numpy as np

policy = jax.export.deserialize(bytearray(Path("{ARTEFACT}").read_bytes()))
{before}out = policy.call({given})  # any number of rows; dtypes and shapes: see policy.json
out["action"]  # the most probable actions
out["parameters"]  # of the distribution over actions, to sample from
{after}```
"""
