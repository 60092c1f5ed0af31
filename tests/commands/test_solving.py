"""`logtrick solve`: what is computed, stored, drawn and printed."""

import io
import json

import jax
import numpy as np
import pytest
from rich.console import Console

from logtrick import exact, planning
from logtrick.commands import solved_output, solving
from logtrick.commands.policy_files import read_parametrised, read_policy
from logtrick.commands.solution_report import facts, policy_in_words, state_rows, with_error, write
from logtrick.commands.terminal_grid import pictures
from logtrick.errors import ConfigError, MDPError, ShapeError
from logtrick.mdp import problems
from logtrick.mdp.gridworlds import gridworld
from logtrick.runs.training.progress import BoundBar
from random_mdps import random_mdp, random_table


@pytest.fixture(scope="module")
def lake():
    return solving.solve("frozen_lake", problems.frozen_lake())


def test_an_optimum_is_evaluated_and_proved(lake):
    numbers = lake.numbers()
    assert numbers["objective"] == pytest.approx(0.5420259320, abs=1e-10)
    truth = planning.solve(lake.mdp).values
    assert np.abs(numbers["values"] - truth).max() < 1e-9
    assert 0 < numbers["optimality_gap"] < 1e-8
    assert numbers["policy"].shape == (16,)
    assert numbers["gradient_norm"] <= numbers["gradient_norm_error"]


@pytest.mark.parametrize(("seed", "kind"), [(0, "discounted"), (1, "total"), (2, "average")])
def test_the_gradient_by_logits_is_that_of_a_softmax(seed, kind):
    mdp = random_mdp(seed, ends=kind != "average", gamma=0.9)
    table = random_table(mdp, seed)
    result = exact.evaluate(mdp, table, kind)
    with jax.enable_x64(True):

        def objective(logits):
            masked = jax.nn.softmax(logits, axis=-1, where=mdp.available)
            return exact.objective(mdp, masked, kind)

        logits = np.log(np.where(table > 0, table, 1.0))
        truth = np.asarray(jax.grad(objective)(logits))
    assert result.logit_gradient == pytest.approx(truth, rel=1e-9, abs=1e-12)


def test_slopes_of_a_table_and_of_a_shared_table():
    corridor = problems.corridor()
    shared = solving.solve("corridor", corridor, "uniform").slope
    assert shared.norm == pytest.approx(np.sqrt(8))
    assert shared.error < 1e-9
    assert shared.parameters == "2 logits (observation × action)"


def test_kinds():
    forest = problems.forest()
    assert solving.solve("forest", forest, kind="average").numbers()["objective"] == pytest.approx(
        3.24
    )
    corridor = problems.corridor().restarting()
    found = solving.solve("corridor", corridor, "uniform", "average")
    assert found.evaluation.objective == pytest.approx(-1)
    assert "less the average" in facts(found)["values"]


# Policies from files.


@pytest.mark.parametrize("ending", ["npz", "json"])
@pytest.mark.parametrize("policy", ["optimal", "uniform"])
def test_what_was_written_can_be_evaluated_again(lake, tmp_path, ending, policy):
    first = solving.solve("frozen_lake", lake.mdp, policy)
    path = str(tmp_path / f"solved.{ending}")
    write(first, path)
    again = solving.solve("frozen_lake", lake.mdp, path)
    assert again.source == path
    assert again.solution is None
    assert np.array_equal(again.evaluation.values, first.evaluation.values)
    stored = (
        json.loads((tmp_path / "solved.json").read_text()) if ending == "json" else np.load(path)
    )
    assert stored["visitation"] == pytest.approx(first.evaluation.visitation)
    assert float(stored["objective"]) == first.evaluation.objective


def test_policies_as_bare_arrays(tmp_path):
    corridor = problems.corridor()
    table = np.array([[0.7, 0.3]] * 3)
    np.save(tmp_path / "table.npy", table)
    (tmp_path / "actions.json").write_text("[0, 1, 0]")
    assert np.array_equal(read_policy(corridor, str(tmp_path / "table.npy")).policy, table)
    found = solving.solve("corridor", corridor, str(tmp_path / "actions.json"))
    assert found.evaluation.objective == pytest.approx(-3)
    assert found.actions.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "content", "error", "words"),
    [
        ("p.json", "[[0.5, 0.5]]", ShapeError, r"p.json: the policy has shape \(1, 2\)"),
        ("p.json", "[0, 1, 7]", MDPError, "p.json: state 2 has no action 7"),
        ("p.json", "[[0.5, 0.6], [1, 0], [1, 0]]", MDPError, "p.json: the policy sums to 1.1"),
        ("p.json", '{"table": []}', ConfigError, "holds no policy"),
        ("p.json", "[[1, 0], [1]]", ConfigError, "holds no policy"),
        ("p.json", '["left"]', ConfigError, "a policy consists of numbers"),
        ("p.json", "{", ConfigError, "holds no policy"),
        ("p.npy", "nothing", MDPError, "no file of arrays"),
        ("p.txt", "[0, 1, 0]", ConfigError, "is unknown; give uniform"),
    ],
)
def test_files_that_are_no_policy(tmp_path, name, content, error, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(error, match=words):
        read_policy(problems.corridor(), str(tmp_path / name))


def test_archives_without_a_policy(tmp_path):
    np.savez(tmp_path / "p.npz", table=np.ones(3))
    with pytest.raises(ConfigError, match="no array `policy`; it has table"):
        read_policy(problems.corridor(), str(tmp_path / "p.npz"))


def test_tables_with_parameters(tmp_path):
    corridor = problems.corridor()
    np.save(tmp_path / "p.npy", np.array([[0.7, 0.3]] * 3))
    policy = read_parametrised(corridor, str(tmp_path / "p.npy")).policy
    assert policy.logits.shape == (1, 2)
    assert policy.logits.dtype == np.float64
    assert exact.tables.probabilities(corridor, policy) == pytest.approx(np.array([[0.7, 0.3]] * 3))
    for table, words in (
        ([[0.7, 0.3], [0.6, 0.4], [0.7, 0.3]], "treats states 0 and 1 differently"),
        ([[1.0, 0.0]] * 3, "action 1 of state 0 no probability"),
    ):
        np.save(tmp_path / "p.npy", np.array(table))
        with pytest.raises(ConfigError, match=words):
            read_parametrised(corridor, str(tmp_path / "p.npy"))


# Words.


def test_words(lake):
    assert policy_in_words(lake, 0) == "left"
    garnet = solving.solve("garnet", problems.garnet(30, 6, 2), "uniform")
    assert policy_in_words(garnet, 0) == "0 .17, 1 .17, 2 .17, 3 .17, …"
    rows = state_rows(garnet, 5)
    assert len(rows) == 5
    most = np.argsort(-garnet.evaluation.visitation)[:5]
    assert [int(row[0]) for row in rows] == most.tolist()
    assert [row[0] for row in state_rows(lake, 99)][:2] == ["0 start", "1"]


def test_numbers_that_cannot_be_told_from_nothing_are_nothing():
    assert with_error(-3e-12, 1e-11) == "0 ± 1e-11"
    assert with_error(-3e-11, 1e-11) == "-3e-11 ± 1e-11"


# Pictures.


def shown(solved, width=80, color=None):
    console = Console(width=width, color_system=color, force_terminal=color is not None)
    with console.capture() as capture:
        console.print(pictures(solved, gridworld(solved.mdp), console))
    return capture.get()


def test_plain_pictures(lake):
    text = shown(lake)
    lines = text.splitlines()
    assert lines[0].split() == ["Values", "and", "policy", "Visits"]
    assert lines[2].split()[:4] == ["0.542", "0.499", "0.471", "0.457"]
    assert lines[3].split() == ["←", "↑", "↑", "↑"]
    assert "\x1b" not in text
    assert text.count("hole") == 8
    narrow = shown(lake, width=40).splitlines()
    assert narrow.index("Visits") > narrow.index("Values and policy") > -1


def test_colors_only_where_there_are_some(lake, monkeypatch):
    text = shown(lake, color="truecolor")
    assert "48;2;121;167;206" in text  # the best state: .55 of the hue
    assert "48;2;255;255;255" in text  # the worst
    monkeypatch.setenv("NO_COLOR", "1")
    assert "48;2" not in shown(lake, color="truecolor")


def test_wide_grids_shrink_to_arrows_and_then_to_a_word():
    cliff = solving.solve("cliff_walking", problems.cliff_walking())
    assert "-13.0" in shown(cliff)
    small = shown(cliff, width=40)
    assert "-13" not in small
    assert small.count("→") == 33
    assert "12 columns are more" in shown(cliff, width=20)


def test_a_table_where_there_is_no_grid(capsys):
    solved_output.print_solved(solving.solve("g", problems.garnet(30, 2, 2)), None)
    out = capsys.readouterr().out
    assert "The 20 most visited of 30 states" in out


@pytest.mark.parametrize("name", ["frozen_lake", "cliff_walking", "example_3_5_grid"])
def test_png(name, tmp_path):
    path = tmp_path / "grid.png"
    write(solving.solve(name, problems.make(name), "uniform"), str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ConfigError, match="has no layout to draw"):
        write(solving.solve("corridor", problems.corridor(), "uniform"), str(path))


def test_html_is_one_file_and_loads_nothing(lake, tmp_path):
    path = tmp_path / "lake.html"
    write(lake, str(path))
    page = path.read_text()
    assert page.count("<svg") == 2
    assert "0.542026" in page
    assert "default-src 'none'" in page
    assert "src=" not in page
    assert "#0b5fa5" not in page.partition("</style>")[2]  # colours are the page's to choose
    assert "var(--line)" in page
    assert page.count("<tr>") == 17


def test_a_small_gradient_keeps_its_exponent(tmp_path):
    path = tmp_path / "chain.html"
    chain = problems.vanishing_chain(20)
    solved = solving.solve("vanishing_chain", chain, "uniform")
    assert 0 < solved.slope.norm < 1e-4
    write(solved, str(path))
    assert f"<strong>{solved.slope.norm:.6g}</strong>" in path.read_text()
    assert "e-" in f"{solved.slope.norm:.6g}"


def test_names_are_text_in_a_page(tmp_path):
    path = tmp_path / "x.html"
    nasty = problems.frozen_lake().replace(state_names=["<script>$x$"] * 16)
    write(solving.solve("<script>", nasty, "uniform"), str(path))
    assert "<script" not in path.read_text()


@pytest.mark.parametrize("name", ["x.pdf", "x", "/nowhere/x.png"])
def test_outputs_that_cannot_be(lake, name):
    with pytest.raises(ConfigError, match="--out"):
        write(lake, name)


def test_the_bar_fills_with_the_bounds_logarithm():
    with BoundBar(tol=1e-8) as bar:
        bar.bar.live.console = Console(file=io.StringIO(), force_terminal=True)
        (task,) = bar.bar.tasks
        bar.show(planning.Progress(1, np.inf, 0.1))
        assert not bar.bar.live.is_started  # what is over soon needs no bar
        shares = []
        for bound in (np.inf, 1e2, 1e-3, 1e-8, 1e-9):
            bar.show(planning.Progress(7, bound, 2.0))
            shares.append(None if task.total is None else task.completed / task.total)
        assert shares == [None, 0.0, pytest.approx(0.5), pytest.approx(1.0), 1.0]
        assert task.fields["words"] == "7 backups, 2 s, bound 1e-09"
