"""Where programs run: in the thread that calls them, unless the user wants it otherwise."""

import os
import subprocess
import sys

SETTING = "JAX_CPU_ENABLE_ASYNC_DISPATCH"
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
lt.train("gym:CartPole-v1", lt.PPO(num_envs=1, num_steps=32), steps=32, out={out!r}, progress=False)
"""
RESUME = "lt.resume({run!r}, progress=False)"
EVALUATE = "lt.load({run!r}).evaluate(1)"


def is_ready(before, setting=None):
    """Whether a program's result is there when its call returns, in a process of its own."""
    variables = {k: v for k, v in os.environ.items() if k != SETTING}
    if setting is not None:
        variables[SETTING] = setting
    script = [sys.executable, "-c", SCRIPT.format(before=before)]
    result = subprocess.run(script, env=variables, capture_output=True, text=True)
    assert result.stdout, result.stderr
    return result.stdout == "True\n"


def test_programs_run_where_they_are_called_however_jax_begins(tmp_path):
    assert not is_ready("")  # JAX's own way, which the test can tell
    assert is_ready(TRAIN.format(out=str(tmp_path)))
    (run,) = map(str, tmp_path.iterdir())
    assert is_ready(RESUME.format(run=run))
    assert is_ready(EVALUATE.format(run=run))
    assert not is_ready(EVALUATE.format(run=run), "true")  # as the user wants it
