"""V6 on published models, through both kinds of file, against their exact rational results.

https://qcomp.org/benchmarks: consensus (N = 2) and ij; "Storm/exact" are their reference values.
A probability is the total of a reward for arriving; at γ = 1 residuals prove nothing.
"""

import json
from fractions import Fraction

import numpy as np
import pytest

import qvbs
import rationals
from logtrick import exact, planning
from logtrick.commands.cli import main
from logtrick.mdp.model import FiniteMDP

#: K: states, choices and branches; least chance that all decide 1; greatest of disagreement; steps.
CONSENSUS = {
    2: ((272, 400, 492), Fraction(49, 128), Fraction(13, 120), 75, 48),
    4: ((528, 784, 972), Fraction(1793, 4096), Fraction(251, 4080), 243, 192),
}


def finished(state):
    return all(location == qvbs.DONE for location, _ in state[1])


def both_readers(model, labels, rewards, folder):
    """The MDP from explicit files and from UMB, ended where the model is finished."""
    tra, lab, srew = model.write_prism(folder, labels, rewards)
    umb = model.write_umb(folder / "model.umb", labels, rewards)
    return {
        "prism": FiniteMDP.from_prism(tra, lab, srew, terminal="finished"),
        "umb": FiniteMDP.from_umb(umb, terminal="finished"),
    }


def arriving(mdp, states):
    """1 for every outcome that ends in one of the states: its total is the chance to do so."""
    there = np.zeros(mdp.num_states, np.bool_)
    there[states] = True
    return (there[mdp.successors] & mdp.terminated).astype(np.float64)


def best(mdp, rewards, sign):
    """Sup or inf of the total from the start, and the proved bound."""
    solution = planning.solve(mdp.replace(rewards=rewards), tol=1e-9, minimise=sign < 0)
    assert solution.error_bound <= 1e-9 * max(1.0, np.abs(solution.values).max())
    return float(mdp.start @ solution.values), solution


@pytest.mark.parametrize("bound", CONSENSUS)
@pytest.mark.parametrize("reader", ["prism", "umb"])
def test_consensus(reader, bound, tmp_path):
    size, agree_least, disagree_most, steps_most, steps_least = CONSENSUS[bound]
    model = qvbs.consensus(2, bound)
    assert model.size == size
    over = model.numbers(finished)
    ones = [s for s in over if all(coin == 1 for _, coin in model.states[s][1])]
    split = [s for s in over if len({coin for _, coin in model.states[s][1]}) == 2]
    mdp = both_readers(model, {"finished": over}, [1] * len(model.states), tmp_path)[reader]
    assert mdp.num_states == size[0]
    for rewards, sign, truth in (
        (arriving(mdp, ones), -1, agree_least),
        (arriving(mdp, split), 1, disagree_most),
        (mdp.rewards, 1, steps_most),
        (mdp.rewards, -1, steps_least),
    ):
        value, solution = best(mdp, rewards, sign)
        assert abs(value - truth) <= solution.error_bound
        attained = exact.objective(mdp.replace(rewards=rewards), solution.policy)
        assert attained == pytest.approx(float(truth), abs=solution.error_bound + 1e-9)
    certain, _ = best(mdp, arriving(mdp, over), -1)
    assert certain == pytest.approx(1, abs=1e-9)  # c1


def rational_policy_iteration(model, ends, sign):
    """Expected steps by the best (sign 1: longest) policy, in rational arithmetic."""
    inside = [s for s in range(len(model.states)) if s not in ends]
    place = {state: i for i, state in enumerate(inside)}
    policy = dict.fromkeys(inside, 0)
    while True:
        matrix = [[Fraction(i == j) for j in range(len(inside))] for i in range(len(inside))]
        for s in inside:
            for probability, successor in model.choices[s][policy[s]]:
                if successor in place:
                    matrix[place[s]][place[successor]] -= probability
        steps = rationals.solve(matrix, [Fraction(1)] * len(inside))

        def worth(s, choice, steps=steps):
            return sum(p * steps[place[t]] for p, t in model.choices[s][choice] if t in place)

        better = {
            s: max(range(len(model.choices[s])), key=lambda c, s=s: sign * worth(s, c))
            for s in inside
        }
        changed = [s for s in inside if sign * (worth(s, better[s]) - worth(s, policy[s])) > 0]
        if not changed:
            return {s: steps[place[s]] for s in inside}
        policy |= {s: better[s] for s in changed}


@pytest.mark.parametrize("processes", [3, 4])
@pytest.mark.parametrize("reader", ["prism", "umb"])
def test_israeli_jalfon(reader, processes, tmp_path):
    model = qvbs.israeli_jalfon(processes)
    assert model.size[0] == 2**processes - 1
    stable = model.numbers(lambda tokens: tokens.bit_count() == 1)
    mdp = both_readers(model, {"finished": stable}, [1] * model.size[0], tmp_path)[reader]
    for sign in (1, -1):
        truth = rational_policy_iteration(model, stable, sign)
        _, solution = best(mdp, mdp.rewards, sign)
        for state, steps in truth.items():
            assert abs(Fraction(float(solution.values[state])) - steps) <= Fraction(
                solution.error_bound
            )


@pytest.mark.parametrize("ending", ["tra", "umb"])
def test_the_command_line_answers_their_questions(ending, tmp_path, capfd):
    """Rmin and Rmax of consensus with K = 2, from either kind of file: 48 and 75 steps."""
    model = qvbs.consensus(2, 2)
    labels = {"finished": model.numbers(finished)}
    rewards = [1] * len(model.states)
    both_readers(model, labels, rewards, tmp_path)
    name = {"tra": "model.srew", "umb": "steps"}[ending]
    arguments = ["solve", str(tmp_path / f"model.{ending}"), "--terminal", "finished"]
    arguments += ["--reward", name, "--tol", "1e-10", "--json"]

    def asked(*words):
        with pytest.raises(SystemExit) as status:
            main(list(words))
        return status.value.code, capfd.readouterr()

    for more, truth in (([], 75), (["--minimise"], 48)):
        code, shown = asked(*arguments, *more)
        assert code == 0
        found = json.loads(shown.out)
        assert abs(found["objective"] - truth) <= found["optimality_gap"] <= 1e-10 * truth * 1.5
        assert found["minimised"] == bool(more)
    for words, word in (
        ([*arguments[:2], "--terminal", "over"], "over"),
        ([*arguments[:4], "--reward", "coins"], "coins"),
    ):
        code, shown = asked(*words)
        assert code == 2
        assert word in shown.err


def test_where_proper_policies_only_differs():
    """Pmin of a state that may wait for ever is 0; over policies that end it is 1."""
    waits = [[[(1.0, 0, 0.0, False)], [(1.0, 1, 0.0, False)]], [[(1.0, 1, 0.0, False)]]]
    mdp = FiniteMDP.from_outcomes(waits, gamma=1.0, start=0)
    least = planning.solve(mdp.reaching([1]), minimise=True)
    assert least.values[0] == pytest.approx(1)
    for gamma in (0.5, 0.999):  # a policy may wait, and is paid nothing meanwhile
        assert planning.solve(mdp.reaching([1]).replace(gamma=gamma), minimise=True).values[0] == 0


@pytest.mark.slow
def test_a_ring_of_ten_stabilises(tmp_path):
    """1023 states. mcsta, unsound, gives .9999945; the truth is 1 (whatever the scheduler does)."""
    model = qvbs.israeli_jalfon(10)
    stable = model.numbers(lambda tokens: tokens.bit_count() == 1)
    for mdp in both_readers(model, {"finished": stable}, [1] * 1023, tmp_path).values():
        assert mdp.num_states == 1023
        value, solution = best(mdp, arriving(mdp, stable), -1)
        assert abs(value - 1) <= solution.error_bound <= 1e-9
