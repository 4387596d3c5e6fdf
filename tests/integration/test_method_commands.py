"""Searching, budgets and robustness as they are run: by the commands of both apps."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from apps.cli import main
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.integration

CUES = {
    "support": {"refund": "refund money", "tracking": "parcel track", "billing": "invoice card"},
    "finance": {"positive": "refund money", "negative": "parcel track", "neutral": "invoice card"},
}
apps = pytest.mark.parametrize("app", list(CUES))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder"), words=[*WORDS, "[", "]"]))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def data(app: str, tmp_path: Path) -> str:
    """Fifty texts of each class, as a file."""
    draw = np.random.default_rng(0)
    path = tmp_path / "mine.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for label, cues in CUES[app].items():
            for _ in range(50):
                words = [*draw.choice(WORDS[12:], size=5), *cues.split()]
                writer.writerow([" ".join(draw.permutation(words)), label])
    return str(path)


def run(*words: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


@apps
def test_a_search_ends_in_a_line_that_trains(app: str, data: str, encoder: str, home: Path) -> None:
    words = ["search", app, "--data", data, "--encoder", encoder, "--method", "head", "--method",
             "full", "--set", "max_length=32", "--budget", "10m", "--seed", "3"]  # fmt: skip
    first = run(*words, "--trials", "2")
    assert [trial["state"] for trial in first["trials"]] == ["done", "done"]
    assert not (home / "models").exists(), "a search registers nothing"
    again = run(*words, "--trials", "3", "--resume")
    assert again["resumed_trials"] == 2
    assert again["trials"][:2] == first["trials"]
    best = again["best"]["validation_accuracy"]
    assert best == max(t["validation_accuracy"] for t in again["trials"] if t["state"] == "done")
    assert "<svg" in Path(again["plot"]).read_text()
    line = shlex.split(again["command"])
    assert line[:3] == ["triptych", "train", app]
    summary = run(*line[1:])
    assert (summary["seed"], summary["encoder"]) == (3, encoder)
    assert summary["metrics"]["accuracy"] > 0.5


@apps
def test_another_search_is_not_resumed(app: str, data: str, encoder: str) -> None:
    words = ["search", app, "--data", data, "--encoder", encoder, "--method", "head"]
    run(*words, "--trials", "1")
    other = CliRunner().invoke(main, [*words, "--seed", "9", "--resume"])
    assert other.exit_code == 1
    assert "without --resume" in other.output


@apps
def test_people_see_a_table_and_the_line(app: str, data: str, encoder: str) -> None:
    words = ["search", app, "--data", data, "--encoder", encoder, "--method", "head"]
    done = CliRunner().invoke(main, [*words, "--trials", "1"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "validation accuracy" in done.output
    assert f"triptych train {app}" in done.output


@apps
def test_a_budget_is_kept_and_told(app: str, data: str, encoder: str) -> None:
    trained = run("train", app, "--data", data, "--encoder", encoder, "--budget", "5m")
    assert "the budget of 5 min on cpu" in trained["reason"]
    for wrong in ("soon", "0s"):
        done = CliRunner().invoke(main, ["train", app, "--data", data, "--budget", wrong])
        assert done.exit_code == 1
        assert "write" in done.output


@apps
def test_robustness_is_measured_on_the_test_split(app: str, data: str, encoder: str) -> None:
    train = ("train", app, "--data", data, "--encoder", encoder, "--method", "head")
    accuracy = run(*train)["metrics"]["accuracy"]
    measure = ("evaluate", app, "--data", data, "--split", "test")
    assert "robustness" not in run(*measure)
    found = run(*measure, "--robustness")["robustness"]
    assert found["clean"] == pytest.approx(accuracy)
    for name in ("typos", "lost spaces", "case", "politeness prefixes", "synonyms"):
        change = found["under"][name]
        assert change["lost"] == pytest.approx(found["clean"] - change["accuracy"])
        assert len(change["draws"]) == 3
    assert found["under"]["typos"]["changed"] > 0.9
    assert found["under"]["case"]["lost"] == pytest.approx(0.0), "this encoder reads no capitals"
    done = CliRunner().invoke(main, [*measure, "--robustness"], catch_exceptions=False)
    assert "politeness prefixes" in done.output
