"""Sequence tasks: the MDP, the environment, and that they are one world."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

from logtrick import SoftmaxTable, check_env, envs, exact
from logtrick.envs import Sequences
from logtrick.errors import ConfigError, UnknownEnvError
from logtrick.mdp import problems
from logtrick.mdp.problems import ArrayVerifier, SequenceTask
from logtrick.mdp.problems.token_tasks import make_task
from logtrick.planning import solve


def echo(**changes):
    """Repeat the prompt; EOS is the middle token of the vocabulary."""
    settings = {
        "vocabulary": 3,
        "eos": 1,
        "limit": 3,
        "prompts": ((0,), (2, 2)),
        "probabilities": (0.25, 0.75),
        "reward": lambda prompt, answer: float(answer == (*prompt, 1)) - 0.1 * len(answer),
    }
    return SequenceTask(**(settings | changes))


def answers(task):
    """Every answer, by recursion over the tokens."""

    def extend(text):
        if len(text) == task.limit or (text and text[-1] == task.eos):
            yield text
        else:
            for token in range(task.vocabulary):
                yield from extend((*text, token))

    return list(extend(()))


def slow_objective(task, policy):
    """Σ over prompts and answers of their chance and their reward; policy(prompt, prefix) [V]."""
    total = 0.0
    for prompt, chance in zip(task.prompts, task.start, strict=True):
        for text in answers(task):
            path = [policy(prompt, text[:t])[token] for t, token in enumerate(text)]
            total += chance * np.prod(path) * task.reward(prompt, text)
    return total


def test_the_mdp_is_the_task():
    task = echo()
    mdp = task.mdp(gamma=1.0)
    rng = np.random.default_rng(0)
    tables = dict(zip(mdp.state_names, rng.dirichlet(np.ones(3), mdp.num_states), strict=True))

    def policy(prompt, prefix):
        return tables[f"{' '.join(map(str, prompt))} → {' '.join([*map(str, prefix), '·'])}"]

    expected = slow_objective(task, policy)
    got = exact.objective(mdp, np.array([tables[name] for name in mdp.state_names]))
    assert got == pytest.approx(expected, rel=1e-13)
    assert task.num_answers == len(answers(task)) == 15
    assert mdp.action_names == ("0", "EOS", "2")


def test_the_default_is_the_gate_of_the_specification():
    mdp = problems.sequences()
    assert (mdp.num_states, mdp.num_actions) == (7, 3)
    assert exact.objective(mdp, SoftmaxTable(mdp)) == pytest.approx(2 / 9, rel=1e-13)
    assert mdp.state_names[:4] == ("·", "0 ·", "1 ·", "0 0 ·")


def test_a_table_a_function_and_a_traced_function_are_the_same_task():
    function = echo().reward
    table = {(p, a): function(p, a) for p in echo().prompts for a in answers(echo())}

    def traced(prompt, answer, length):
        wanted = jnp.where(prompt[1] < 0, jnp.array([0, 1, -1]), jnp.array([2, 2, 1]))
        return jnp.all(answer == wanted) - 0.1 * length

    expected = echo().rewards
    np.testing.assert_array_equal(echo(reward=table).rewards, expected)
    np.testing.assert_allclose(echo(reward=ArrayVerifier(traced)).rewards, expected, atol=1e-15)


@pytest.mark.parametrize(("name", "best"), [("contains_zero", 1), ("parity", 1), ("sort", 1)])
def test_each_standard_task_can_be_solved(name, best):
    mdp = problems.sequences(2, task=name)
    solution = solve(mdp)
    assert mdp.start @ solution.values == pytest.approx(best, abs=1e-12)
    assert mdp.rewards.min() == 0
    assert mdp.rewards.max() == 1


def test_sort_pays_for_every_right_place():
    task = make_task("sort", 2)
    nodes = {tuple(p[p >= 0].tolist()): n for n, p in enumerate(task.tree.prefixes)}
    paid = task.rewards[task.prompts.index((2, 0))]
    assert paid[nodes[0, 2], 3] == 1.0
    assert paid[nodes[0, 0], 3] == pytest.approx(2 / 3, rel=1e-15)  # in float64
    assert paid[nodes[()], 3] == 0.0


@pytest.mark.parametrize("observe", ["state", "tokens"])
@pytest.mark.parametrize("task", [echo(), make_task("sort", 2)], ids=["table", "verifier"])
def test_the_environment_is_the_mdp(task, observe):
    """Every answer to every prompt: the same observations, rewards and ends."""
    env, mdp = Sequences(task, observe), task.mdp(observe=observe)
    step = jax.jit(env.step)
    key = jax.random.key(0)
    if observe == "state":
        assert env.observation_space == spaces.Discrete(mdp.num_states)
    for number, text in itertools.product(range(len(task.prompts)), answers(task)):
        start = env.reset(key)[0]
        state = start._replace(prompt=jnp.asarray(number, jnp.int32))
        at = number * task.num_prefixes
        for t, token in enumerate(text):
            reached = step(key, state, jnp.asarray(token))
            outcome = at * task.vocabulary + token
            assert reached.reward == pytest.approx(mdp.rewards[outcome], abs=1e-6)
            assert reached.terminated == mdp.terminated[outcome]
            assert reached.truncated == (t + 1 == task.limit)
            at = mdp.successors[outcome]
            np.testing.assert_array_equal(reached.obs, mdp.observations[at])
            state = reached.state
        assert reached.terminated


def test_prompts_are_drawn_with_their_probabilities():
    env = Sequences(echo())
    states, obs = jax.vmap(env.reset)(jax.random.split(jax.random.key(3), 4000))
    np.testing.assert_array_equal(obs, states.prompt * 7)
    share = np.mean(np.asarray(states.prompt) == 1)
    assert abs(share - 0.75) < 5 * np.sqrt(0.25 * 0.75 / 4000)  # false alarm: 6e-7


@pytest.mark.parametrize(
    ("name", "observe"), [("contains_zero", "state"), ("parity", "tokens"), ("sort", "state")]
)
def test_ids_make_it_again_and_it_keeps_the_contract(name, observe):
    env = Sequences(make_task(name, 2), observe)
    spec = envs.resolve(env.id)
    assert spec.id == env.id
    assert spec.build(1).observe == observe
    assert check_env(spec, steps=200).unseen == ()


def test_a_task_without_a_name_is_passed_as_an_object():
    assert Sequences(echo()).id == "object:sequences"
    assert envs.resolve(Sequences(echo())).id == "object:sequences"


def test_what_is_too_large_to_list_still_runs():
    task = make_task("sort", 9)
    with pytest.raises(ConfigError, match="are too many to list"):
        task.mdp()
    with pytest.raises(ConfigError, match="too many to list"):
        Sequences(task)
    env = Sequences(task, "tokens")
    state, obs = env.reset(jax.random.key(0))
    for token in [*np.sort(task.prompts[int(state.prompt)]).tolist(), 3]:
        reached = env.step(jax.random.key(0), state, jnp.asarray(token))
        state = reached.state
    assert reached.reward == 1.0
    assert obs.shape == (18 * 4,)


def nan_at_one_answer(prompt, answer):
    return float("nan") if answer == (0, 2, 1) else 0.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompts": ()}, "prompts is empty"),
        ({"eos": 3}, r"eos=3 is not in the vocabulary, which is 0 … 2"),
        ({"eos": -1}, "eos=-1"),
        ({"vocabulary": 1}, "vocabulary=1; it must be a whole number, at least 2"),
        ({"limit": 0}, "limit=0; it must be a whole number, at least 1"),
        ({"prompts": ((0,), (5,))}, "prompt 1 has the token 5"),
        ({"prompts": ((0,), [2])}, r"prompt 1 is \[2\]; a tuple"),
        ({"prompts": ((0,), (0,))}, r"\(0,\) is listed twice"),
        ({"probabilities": (1.0,)}, "1 probabilities for 2 prompts"),
        ({"probabilities": (0.5, 0.6)}, "are no distribution"),
        ({"probabilities": (float("nan"), 0.6)}, "are no distribution"),
        ({"reward": {}}, r"lacks 30 of 30 answers, the answer \(0, 0, 0\) to the prompt \(0,\)"),
        ({"reward": nan_at_one_answer}, r"answer \(0, 2, 1\) to the prompt \(0,\) is nan"),
        ({"limit": 20}, "too many to list"),
    ],
)
def test_what_is_no_task_is_refused(changes, words):
    with pytest.raises(ConfigError, match=words):
        echo(**changes).mdp()


def test_an_entry_too_many_is_refused():
    function = echo().reward
    table = {(p, a): function(p, a) for p in echo().prompts for a in answers(echo())}
    with pytest.raises(ConfigError, match=r"the entry \(\(0,\), \(1, 1\)\)"):
        echo(reward=table | {((0,), (1, 1)): 0.0}).mdp()
    with pytest.raises(ConfigError, match="the reward table lacks 1 of 30"):
        Sequences(echo(reward={k: v for k, v in table.items() if k != ((0,), (1,))}))


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("sequences:sorted", UnknownEnvError, "Did you mean sort"),
        ("sequences:sort:0", ConfigError, "length=0"),
        ("sequences:sort(2, 3)", ConfigError, "write it as"),
        ("sequences:sort(size=3)", ConfigError, "write it as"),
        ("sequences:sort:2,observe=both", ConfigError, "observe='both'"),
        ("sequences:parity(40)", ConfigError, "too many to list"),
    ],
)
def test_ids_that_mean_nothing(name, error, words):
    with pytest.raises(error, match=words):
        envs.resolve(name)


def test_names_of_mdps_that_mean_nothing():
    with pytest.raises(ConfigError, match="No sequence task is called 'sorted'"):
        problems.make("sequences(3, task='sorted')")
    with pytest.raises(ConfigError, match="observe='both'"):
        problems.make("sequences:2,observe=both")
