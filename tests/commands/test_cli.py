"""The command line as its user types it."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import logtrick as lt
from logtrick.commands.cli import main
from logtrick.runs.training.interruption import Interrupted

SMALL = ["--num-envs", "4", "--num-steps", "32", "--minibatches", "2", "--hidden", "8"]


def run(capfd, *arguments):
    """(exit status, standard output, standard error) of one command in this process."""
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    output = capfd.readouterr()
    return caught.value.code or 0, output.out, output.err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    with pytest.raises(SystemExit) as caught:
        main(["train", "CartPole-v1", "--steps", "512", "--seeds", "2", "--out", str(out), *SMALL])
    assert not caught.value.code
    (path,) = out.iterdir()
    return path


def test_train_writes_everything_it_promises(folder):
    names = {path.name for path in folder.iterdir()}
    assert {
        "config.json", "metrics.jsonl", "timings.jsonl", "checkpoints", "policy.safetensors",
        "policy.json", "learning_curve.png", "report.html",
    } <= names  # fmt: skip
    config = json.loads((folder / "config.json").read_text())
    assert config["algorithm"]["hidden"] == [8]
    assert config["steps"] == 512


def test_train_prints_a_summary(capfd, tmp_path):
    arguments = ["train", "CartPole-v1", "--steps", "256", "--out", tmp_path, *SMALL]
    code, out, err = run(capfd, *arguments)
    assert code == 0
    for word in ("return", "steps/s", "compiling", "report"):
        assert word in out
    assert "on the device" in err


def test_json_summaries(capfd, folder):
    code, out, _ = run(capfd, "report", folder, "--json")
    summary = json.loads(out)
    assert code == 0
    assert summary["finished"]
    assert len(summary["final_returns"]) == 2
    assert summary["score"]["low"] <= summary["score"]["mean"] <= summary["score"]["high"]
    code, out, _ = run(capfd, "eval", folder, "--episodes", "3", "--json")
    assert code == 0
    assert len(json.loads(out)["returns"]) == 2


@pytest.mark.reports
def test_train_evaluates_stops_and_keeps_the_best(capfd, tmp_path):
    flags = ["--eval-episodes", "2", "--stop-at", "1", "--tensorboard", "--out", tmp_path]
    code, out, err = run(capfd, "train", "CartPole-v1", "--steps", "2560", *flags, *SMALL)
    assert code == 0
    assert "evaluated at 128:" in err  # 20 times in a run where only the score is given
    assert "stopped at its score, after 128 steps" in out
    (path,) = tmp_path.iterdir()
    assert list(path.glob("tensorboard/seed-0/events.*"))
    assert "best_policy.safetensors" in (path / "report.html").read_text()
    code, out, _ = run(capfd, "eval", path, "--episodes", "2", "--policy", "best", "--json")
    assert code == 0
    assert json.loads(out)["policy"] == "best"


def test_export_says_where_it_wrote(capfd, folder, tmp_path):
    code, out, _ = run(capfd, "export", folder, "--out", tmp_path / "exported")
    assert code == 0
    assert out.strip() == f"{tmp_path}/exported/README.md says how to load it"
    assert (tmp_path / "exported" / "policy.jaxexport").exists()
    code, _, err = run(capfd, "export", folder, "--out", tmp_path / "a", "--policy", "best")
    assert code == 2
    assert "--eval-every 10000" in err


def test_sweep_prints_its_points(capfd, tmp_path):
    varied = ["--set", "hidden=4,8", "--set", "num_envs=4", "--set", "num_steps=8"]
    sizes = ["--seeds", "1", "--steps", "640", "--out", tmp_path]
    code, out, err = run(capfd, "sweep", "CartPole-v1", *varied, *sizes)
    assert code == 0, err
    assert "point-001" in out
    (path,) = tmp_path.iterdir()
    code, out, _ = run(capfd, "sweep", "--resume", path, "--json")
    assert code == 0
    assert [row["n"] for row in json.loads(out)["results"]] == [1, 1]


def test_enjoy_writes_a_film_where_there_is_no_display(capfd, folder, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    code, out, err = run(capfd, "enjoy", folder, "--max-steps", "3")
    assert code == 0, err
    assert "return 3.0" in out
    assert (folder / "episode.gif").read_bytes().startswith(b"GIF89a")
    code, _, _ = run(capfd, "enjoy", folder, "--max-steps", "3", "--out", folder / "frames")
    assert len(list((folder / "frames").iterdir())) == 4


def test_eval_prints_a_table(capfd, folder):
    code, out, _ = run(capfd, "eval", folder, "--episodes", "3", "--greedy")
    assert code == 0
    assert "most probable" in out


def test_resume_of_a_finished_run_changes_nothing(capfd, folder):
    before = (folder / "metrics.jsonl").read_bytes()
    code, out, err = run(capfd, "train", "--resume", folder)
    assert code == 0
    assert "finished" in out
    assert "512 steps, seeds 0–1, finished before" in err
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_envs_lists_and_filters(capfd):
    code, out, _ = run(capfd, "envs", "cartpole", "--json")
    ids = [row["id"] for row in json.loads(out)]
    assert code == 0
    assert "CartPole-v1" in ids
    assert all("cartpole" in name.lower() for name in ids)
    code, out, _ = run(capfd, "envs", "no such thing")
    assert "No environment" in out


def test_words_of_the_user_are_printed_as_they_are(capfd, folder):
    """Neither as markup, `[/x]`, nor as the name of a picture, `:x:`."""
    for command in ("envs", "presets"):
        code, out, _ = run(capfd, command, "[/x] :x:")
        assert code == 0
        assert "'[/x] :x:'" in out
    _, _, err = run(capfd, "audit", "--policy", "random:x:")
    assert "random:x::" in err
    odd = folder.with_name("[bold] :x:")
    shutil.copytree(folder, odd)
    for output in (run(capfd, "report", odd), run(capfd, "train", "--resume", odd)):
        assert "[bold] :x: (finished)" in output[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "CartPole-v7"], "CartPole-v1"),
        (["train"], "No environment was given"),
        (["train", "hoper"], "Did you mean"),
        (["train", "breakout"], "gymnax:Breakout-MinAtar or atari:breakout"),
        (["train", "CartPole-v1", "--algo", "pppo"], "Did you mean ppo?"),
        (["train", "CartPole-v1", "--num-envs", "0"], "num_envs=0"),
        (["train", "CartPole-v1", "--minibatches", "7"], "do not divide"),
        (["train", "CartPole-v1", "--steps", "-5"], "steps=-5"),
        (["train", "CartPole-v1", "--gamma", "1.5"], r"in [0, 1]"),
        (["train", "CartPole-v1", "--eval-every", "0"], "every=0"),
        (["train", "CartPole-v1", "--checkpoint-seconds", "nan"], "checkpoint_seconds=nan"),
        (["train", "--resume", "/nowhere"], "is not a folder"),
        (["train", "--resume", "/nowhere", "--algo", "ppo", "--algo", "a2c"], "--algo cannot"),
        (["train", "--resume", "/nowhere", "--eval-every", "5"], "so --eval-every cannot"),
        (["train", "CartPole-v1", "--resume", "/nowhere"], "ENV cannot be given"),
        (["train", "--resume", "/nowhere", "--gamma", "0.5"], "an algorithm's settings"),
        (["eval", "/nowhere"], "so it is no run"),
        (
            ["sweep", "CartPole-v1", "--set", "gama=.9"],
            "no setting 'gama'. Did you mean gamma",
        ),
        (["sweep"], "No environment was given"),
        (["sweep", "CartPole-v1"], "Nothing varies. Give a setting its values, as in --set gamma"),
        (["sweep", "CartPole-v1", "--set", "gamma=.9..1"], "needs a list of values"),
        (["sweep", "CartPole-v1", "--set", "gamma=.9", "--steps", "0"], "steps=0"),
        (["audit", "--policy", "random:²"], "random:K with a seed K"),
        (["audit", "--key", "-1"], "key=-1; it must be a whole number"),
        (["audit", "--key", "9" * 20], "at least 0 and below 2^63"),
        (["sweep", "--resume", "/nowhere"], "it is no sweep"),
        (["sweep", "CartPole-v1", "--resume", "/nowhere"], "no other option can be given"),
        (["solve", "coridor"], "Did you mean corridor?"),
        (["solve", "nothing like it"], "Known: chain, "),
        (["solve", "corridor", "--gamma", "2"], "lies in [0, 1]"),
        (["solve", "garnet:x"], "garnet:x: "),
        (["solve", "garnet:10,4,seed=s"], "garnet takes num_states, num_actions, branching, seed"),
        (["solve", "corridor", "--kind", "average"], "--restarting"),
        (["solve", "corridor", "--policy", "best"], "is unknown"),
        (["solve", "corridor", "--out", "x.pdf"], "must end in"),
        (["solve", "two_state_loop", "--gamma", "1"], "no policy is proper"),
        (["solve", "corridor", "--tol", "0"], "a bound is a positive number"),
        (["solve", "corridor", "--tol", "1e-30"], "ask for tol="),
        (["solve", "corridor", "--policy", "uniform", "--tol", "1e-30"], "tol=1e-30 cannot be met"),
        (["solve", "corridor", "--policy", "uniform", "--minimise"], "it has no effect"),
        (["solve", "corridor", "--horizon", "0"], "horizon=0; it must be a whole number"),
        (["solve", "forest", "--horizon", "3", "--kind", "average"], "a horizon is solved by"),
        (["solve", "forest", "--gamma", "0.5", "--kind", "average"], "--gamma 0.5 has no effect"),
        (["solve", "corridor", "--terminal", "goal"], "the MDP has no label 'goal'"),
        (["solve", "corridor", "--reward", "steps"], "rewards of a .tra or .umb file"),
        (["derive", "corridor", "--reading", "average"], "--restarting"),
        (["derive", "two_state_loop", "--policy", "optimal"], "no parameters"),
        (["derive", "two_state_loop", "--gamma", "1"], "never ends"),
        (["report", "/nowhere"], "so it is no run"),
        (["export", "/nowhere", "--out", "exported"], "so it is no run"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capfd, tmp_path, arguments, message):
    if arguments[:2] == ["train", "CartPole-v1"] and "--resume" not in arguments:
        arguments = [*arguments, "--out", tmp_path]
    code, out, err = run(capfd, *arguments)
    assert code == 2
    assert message in err
    assert err.startswith("error:")
    assert "Traceback" not in err + out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["eval", "--seed", "-1"], "seed=-1; it must be a whole number, at least 0"),
        (["eval", "--seed", "9" * 20], "it must be a whole number, at least 0"),
        (["enjoy", "--seed", "-1"], "seed=-1; it must be a whole number, at least 0"),
        (["enjoy", "--max-steps", "0"], "max_steps=0; it must be a whole number, at least 1"),
        (["enjoy", "--max-steps", "-3"], "max_steps=-3"),
    ],
)
def test_numbers_that_a_run_cannot_be_played_with(capfd, folder, arguments, message):
    command, *options = arguments
    code, _, err = run(capfd, command, folder, *options)
    assert code == 2
    assert err.startswith("error:")
    assert message in err


def test_commands_that_are_proposed_can_be_pasted(capfd, folder):
    assert str(Interrupted(lt.load(folder))).endswith(f"--resume {folder}")
    spaced = folder.with_name("my runs")
    shutil.copytree(folder, spaced)
    _, _, err = run(capfd, "train", "CartPole-v1", "--out", spaced)
    assert f"logtrick train --resume '{spaced}'" in err
    assert str(Interrupted(lt.load(spaced))).endswith(f"--resume '{spaced}'")


def test_what_does_not_fit_in_memory_is_a_mistake_too(capfd, monkeypatch):
    def run_out(_):
        raise MemoryError("Unable to allocate 60 GiB")

    monkeypatch.setattr("logtrick.commands.solve.run", run_out)
    code, _, err = run(capfd, "solve", "corridor")
    assert (code, err) == (2, "error: not enough memory: Unable to allocate 60 GiB\n")


def test_solve_prints_writes_and_reads_again(capfd, tmp_path):
    path = tmp_path / "lake.npz"
    code, out, _ = run(capfd, "solve", "frozen_lake", "--out", path)
    assert code == 0
    assert "0.542025932" in out
    assert "written" in out
    page = tmp_path / "walk.html"
    arguments = ["--kind", "average", "--restarting", "--policy", "uniform", "--out", page]
    code, _, _ = run(capfd, "solve", "random_walk:7", *arguments)
    assert code == 0
    again = "logtrick solve random_walk:7 --policy uniform --kind average --restarting"
    assert f"<code>{again}</code>" in page.read_text()
    arguments = ["solve", "frozen_lake", "--policy", path, "--gamma", "0.9", "--json"]
    code, out, err = run(capfd, *arguments)
    numbers = json.loads(out)
    assert code == 0
    assert numbers["gamma"] == 0.9
    assert len(numbers["values"]) == 16
    assert not err


@pytest.mark.parametrize("name", ["garnet:100,4", "forest:1000"])
def test_far_sighted_problems_just_work(capfd, name):
    code, out, _ = run(capfd, "solve", name, "--gamma", "0.9999", "--json")
    assert code == 0
    found = json.loads(out)
    assert 0 < found["optimality_gap"] <= 1e-8 * max(found["values"])


def test_solve_over_a_horizon(capfd, tmp_path):
    """The forest's three steps, greatest and least; its policy is read and drawn again."""
    path = tmp_path / "steps.npz"
    code, out, _ = run(capfd, "solve", "forest", "--horizon", "3", "--kind", "total", "--out", path)
    assert code == 0
    assert "γ = 1, 3 steps" in out
    arguments = ["solve", "forest", "--horizon", "3", "--kind", "total", "--json"]
    code, out, _ = run(capfd, *arguments, "--policy", path)
    found = json.loads(out)
    assert code == 0
    assert np.round(found["values"], 9).tolist() == [
        [3.33, 6.93, 10.93], [0.9, 3.6, 7.6], [0, 1, 4], [0, 0, 0],
    ]  # fmt: skip
    assert found["horizon"] == 3
    assert np.shape(found["policy"]) == (3, 3)
    code, out, _ = run(capfd, *arguments, "--minimise")
    assert json.loads(out)["values"][0][0] == 0
    for name, ending in (("frozen_lake", "html"), ("frozen_lake", "png"), ("forest", "html")):
        page = tmp_path / f"page.{ending}"
        code, out, _ = run(capfd, "solve", name, "--horizon", "9", "--out", page)
        assert code == 0
        assert page.stat().st_size > 1000
    assert "logtrick solve forest --horizon 9" in page.read_text()


def test_solve_evaluates_a_run(capfd, tmp_path):
    arguments = ["--steps", "128", "--out", tmp_path, "--num-envs", "4", "--num-steps", "8"]
    code, _, err = run(capfd, "train", "mdp:frozen_lake", *arguments, "--minibatches", "2")
    assert code == 0, err
    (path,) = tmp_path.iterdir()
    code, out, _ = run(capfd, "solve", "frozen_lake", "--policy", path, "--json")
    numbers = json.loads(out)
    assert code == 0
    assert numbers["gradient_norm_error"] is None
    assert 0 < numbers["objective"] < 0.5420259320
    code, _, err = run(capfd, "solve", "corridor", "--policy", path)
    assert code == 2
    assert "was trained on mdp:frozen_lake with the observations Discrete(16)" in err


def test_derive_prints_lines_identities_and_a_sentence(capfd):
    code, out, _ = run(capfd, "derive", "two_state_loop", "--reading", "stationary")
    assert code == 0
    assert out.count("\n D") + out.count("\nD") >= 7
    for words in ("D7, a sum over time, is 2 × D6", "I4", "40 % of ∇r̄ here", "still points"):
        assert words in " ".join(out.split())
    code, out, _ = run(capfd, "derive", "two_state_loop", "--reading", "stationary", "--json")
    found = json.loads(out)
    assert found["dropped"] == pytest.approx(0.4)
    assert [line["name"] for line in found["lines"]] == [f"D{k}" for k in range(1, 8)]
    assert len(found["identities"]) == 5


def test_a_flag_that_does_not_exist_is_refused(capfd):
    code, _, err = run(capfd, "train", "CartPole-v1", "--momentum", "0.9")
    assert code == 2
    assert "--momentum" in err


def test_flags_follow_the_algorithm(capfd):
    code, out, _ = run(capfd, "train", "--help")
    assert code == 0
    assert "--clip-eps" in out
    code, out, _ = run(capfd, "train", "--algo", "reinforce", "--help")
    assert "--clip-eps" not in out
    assert "--lambda" in out


def test_help_shows_the_preset_of_the_environment(capfd):
    rates = {}
    for env in ((), ("hopper",)):
        code, out, _ = run(capfd, "train", *env, "--help")
        assert code == 0
        rates[env] = re.search(r"at the start. \(default: (\S+)\)", out)[1]
    assert rates == {(): "0.001", ("hopper",): "0.0003"}


def test_the_installed_command_runs():
    result = subprocess.run(
        [sys.executable, "-m", "logtrick", "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0
    for command in ("train", "eval", "report", "solve", "envs"):
        assert command in result.stdout


def installed(*arguments, **more):
    """One command in a process of its own."""
    command = [sys.executable, "-m", "logtrick", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **more)


@pytest.mark.parametrize(
    "arguments", [("presets", "hopper"), ("envs", "CartPole-v1"), ("derive", "two_state_loop")]
)
def test_a_terminal_without_our_letters_gets_question_marks(arguments):
    done = installed(*arguments, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "?" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_error():
    shell = f"set -o pipefail; {sys.executable} -m logtrick envs | true"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_an_output_nothing_fails():
    shell = f"{sys.executable} -m logtrick presets hopper >&-"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", ["envs", "presets --json"])
def test_output_that_finds_no_room_is_told_in_one_line(arguments):
    shell = f"{sys.executable} -m logtrick {arguments} > /dev/full"
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True)
    assert done.stderr == "error: the output cannot be written: No space left on device\n"
    assert done.returncode == 2


def test_the_version_is_that_of_the_package(capfd):
    assert run(capfd, "--version") == (0, f"logtrick {lt.__version__}\n", "")


def test_help_calls_arguments_by_what_they_are(capfd):
    names = {"train": "[ENV]", "eval": "RUN", "solve": "MDP", "presets": "[NAME]"}
    for command, name in names.items():
        code, out, _ = run(capfd, command, "--help")
        assert code == 0
        assert name in out.partition("\n")[0]


def test_groups_are_trained_on_sequences(capfd, tmp_path):
    settings = [
        "--num-envs",
        "16",
        "--group-size",
        "4",
        "--hidden",
        "8",
        "--kl",
        "none",
        "--beta",
        "0",
    ]
    arguments = ["train", "sequences:parity:2", "--algo", "grpo", "--steps", "300"]
    code, out, _ = run(capfd, *arguments, "--out", tmp_path, *settings, "--json")
    assert code == 0
    assert json.loads(out)["finished"]
    code, _, err = run(capfd, *arguments, "--out", tmp_path, "--group-size", "1")
    assert code == 2
    assert "a group of one has nothing to compare with" in err
