"""Where programs run: in the thread that calls them, unless JAX had begun before."""

import subprocess
import sys

SCRIPT = """
import logtrick as lt

{before}
import jax
import jax.numpy as jnp

x = jnp.ones((500, 500))
program = jax.jit(lambda x: jax.lax.fori_loop(0, 50, lambda _, y: x @ y / 500, x))
program = program.lower(x).compile()
print(program(x).is_ready())
"""
TRAIN = """
lt.train("gym:Pendulum-v1", lt.PPO(num_envs=1, num_steps=32), steps=32, out={out!r}, progress=False)
"""
RESUME = "lt.resume({run!r}, progress=False)"
EVALUATE = "lt.load({run!r}).evaluate(1)"
SPACES = "from gymnasium.spaces import Box; obs, actions = Box(-1, 1, (3,)), Box(-1, 1, (2,))"
POLICY = f"{SPACES}; lt.MLPPolicy(obs, actions)"
VALUE = f"{SPACES}; lt.MLPValue(obs)"
LOOP = """
from logtrick.algorithms.loop import Loop
from logtrick.envs import resolve
Loop(lt.PPO(num_envs=1, num_steps=8), resolve("gym:Pendulum-v1"), seed=0, num_seeds=1, steps=8)
"""
CHECK = "lt.check_env('gym:Pendulum-v1', steps=8)"


def is_ready(before):
    """Whether a program's result is there when its call returns, in a process of its own."""
    script = [sys.executable, "-c", SCRIPT.format(before=before)]
    result = subprocess.run(script, capture_output=True, text=True)
    assert result.stdout, result.stderr
    return result.stdout == "True\n"


def test_programs_run_where_they_are_called_whatever_begins_jax(tmp_path):
    train = TRAIN.format(out=str(tmp_path))
    assert is_ready(train)
    (run,) = map(str, tmp_path.iterdir())
    for door in (RESUME.format(run=run), EVALUATE.format(run=run), POLICY, VALUE, LOOP, CHECK):
        assert is_ready(door)
    # JAX's own way, which the test can tell, where JAX had begun before.
    assert not is_ready(f"import jax; jax.devices(); {CHECK}")
