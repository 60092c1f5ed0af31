"""`logtrick audit` as its user types it."""

import json
from dataclasses import fields

import pytest

from logtrick.auditing import survey
from logtrick.commands.audit import AuditCommand
from logtrick.commands.cli import main


def run(capfd, *arguments):
    """(exit status, standard output, standard error)."""
    with pytest.raises(SystemExit) as caught:
        main(["audit", *map(str, arguments)])
    output = capfd.readouterr()
    return caught.value.code or 0, output.out, output.err


def test_one_estimator(capfd, tmp_path):
    figure, file = tmp_path / "cloud.svg", tmp_path / "report.json"
    settings = ("--mdp", "gamma-t-fixture", "--weighting", "undiscounted", "--lambda", "0.5")
    code, out, _ = run(capfd, *settings, "--out", figure)
    assert code == 0
    assert "gae_undiscounted" in out
    assert "c = -2" in out
    assert "undecidable (one parameter)" in out
    assert figure.stat().st_size > 5000
    code, out, _ = run(capfd, *settings, "--json", "--out", file)
    printed = json.loads(out)
    assert code == 0
    assert printed["settings"]["lambda_"] == 0.5
    assert printed["scale"] == pytest.approx(-2)
    assert json.loads(file.read_text()) == printed


def test_its_settings_arrive(capfd):
    code, out, _ = run(
        capfd, "--estimator", "rloo", "--mdp", "sequences(2)", "--group-size", "3", "--gamma",
        "0.5", "--policy", "random:3", "--batch-size", "9", "--json",
    )  # fmt: skip
    report = json.loads(out)
    assert code == 0
    assert report["method"] == "enumeration"
    assert report["settings"]["group_size"] == 3
    assert report["settings"]["gamma"] == 0.5
    assert report["batch"]["size"] == 9
    code, out, _ = run(
        capfd, "--method", "sampling", "--samples", "1000", "--horizon", "7", "--key", "3", "--json"
    )
    report = json.loads(out)
    assert report["samples"] == 1000
    assert report["power"] == 0.95
    assert report["detectable_relative_bias"] > 0
    assert report["settings"]["key"] == 3
    assert report["settings"]["horizon"] == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--estimator", "gea"], "Did you mean gae"),
        (["--mdp", "corrido"], "Did you mean corridor"),
        (["--policy", "greedy"], "it is uniform, or random:K"),
        (["--gamma", "2"], "gamma is 2.0"),
        (["--out", "report.txt"], "must end in .json"),
        (["--all", "--out", "page.html"], "must end in .md"),
        (["--all", "--mdp", "corridor"], "--mdp has no effect with --all"),
        (["--all", "--estimator", "gae"], "--estimator has no effect with --all"),
        (["--all", "--lambda", "0.95"], "--lambda has no effect with --all"),
        (["--all", "--group-size", "4"], "--group-size has no effect with --all"),
        (["--key", "1"], "--key 1 has no effect: closed form is exact"),
        (["--samples", "10"], "samples has no effect on this audit"),
        (["--estimator", "rloo", "--lambda", "0.9"], "lambda_ has no effect on rloo"),
        (["--estimator", "rloo", "--weighting", "discounted"], "weighting has no effect on rloo"),
        (["--group-size", "4"], "group_size has no effect on gae"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(capfd, arguments, message):
    code, out, err = run(capfd, *arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in err + out


def test_every_option_changes_what_is_printed(capfd, tmp_path):
    """Where it has no effect it is refused, as above."""
    alone = {
        "estimator": "td_residual", "mdp": "chain", "policy": "random:1", "gamma": "0.5",
        "lambda": "0.5", "weighting": "undiscounted", "horizon": "3", "batch-size": "7",
    }  # fmt: skip
    sampled = {"samples": "200", "key": "1", "method": "closed form"}
    names = {field.name.rstrip("_").replace("_", "-") for field in fields(AuditCommand)}
    assert names == {*alone, *sampled, "group-size", "all", "json", "out"}
    of_sampling = {"samples": "100", "method": "sampling"}
    for options, base in ((alone, {}), (sampled, of_sampling)):
        _, before, _ = run(capfd, "--json", *flags(base))
        for name, value in options.items():
            settings = base | {name: value}
            if name == "method":
                settings.pop("samples")
            code, after, err = run(capfd, "--json", *flags(settings))
            assert code == 0, err
            assert json.loads(after) != json.loads(before), name


def flags(settings):
    return [part for name, value in settings.items() for part in (f"--{name}", value)]


def test_all_of_them(capfd, tmp_path, monkeypatch):
    (true,) = (c for c in survey.survey(["two_state_loop"]) if c.estimator == "q_value")
    monkeypatch.setattr(survey, "survey", lambda: iter([true]))
    code, out, err = run(capfd, "--all")
    assert code == 0
    assert "| `q_value` | unbiased for J1 | J | yes |" in out
    assert "1 of 1 agree" in err
    false = survey.Cell(**{**true.__dict__, "measured": "no function"})
    monkeypatch.setattr(survey, "survey", lambda: iter([true, false]))
    page = tmp_path / "page.md"
    code, out, err = run(capfd, "--all", "--json", "--out", page)
    assert code == 1
    assert "q_value on two_state_loop: claimed unbiased for J1" in err
    assert [cell["agrees"] for cell in json.loads(out)] == [True, False]
    assert "**no**" in page.read_text()
