"""The recommender as a shop runs it at a terminal: fitted on the sample, lists, neighbours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def run(home: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli", *words, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "TRIPTYCH_HOME": str(home)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    home = tmp_path_factory.mktemp("home")
    return home, run(home, "train", "recommend", "--data", "sample:recommend")


def test_the_sample_is_fitted_measured_and_in_use(trained: tuple[Path, dict[str, Any]]) -> None:
    _, summary = trained
    assert summary["promotion"]["promoted"]
    assert summary["data"]["synthetic"]
    assert summary["data"]["items"] >= 400
    assert summary["metrics"]["ndcg@10"] > 1.2 * summary["ablations"]["popular"]["ndcg@10"]
    assert summary["ablations"]["text"]["coverage@10"] > 0.1


def test_lists_come_from_the_bundle_with_reasons(trained: tuple[Path, dict[str, Any]]) -> None:
    home, summary = trained
    answer = run(home, "recommend", "for-user", "shopper-001", "-k", "5")
    assert answer["bundle"] == summary["version"]
    assert answer["events"] > 0
    assert len(answer["entries"]) == 5
    assert {entry["source"] for entry in answer["entries"]} <= {"behaviour", "text", "popular"}
    because = [entry["reasons"]["because"] for entry in answer["entries"]]
    assert all(because)
    shares = [one["share"] for reasons in because for one in reasons]
    assert 0 < min(shares) <= max(shares) <= 1
    other = run(home, "recommend", "for-user", "shopper-002", "-k", "5")
    ids = [[entry["item"]["id"] for entry in one["entries"]] for one in (answer, other)]
    assert ids[0] != ids[1]


def test_who_is_unknown_gets_what_is_popular(trained: tuple[Path, dict[str, Any]]) -> None:
    answer = run(trained[0], "recommend", "for-user", "nobody-yet", "-k", "5")
    assert answer["events"] == 0
    assert {entry["source"] for entry in answer["entries"]} == {"popular"}


def test_a_fit_on_what_is_stored_is_no_worse(
    trained: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    first = trained[1]
    home = shutil.copytree(trained[0], tmp_path / "home")
    again = run(home, "train", "recommend", "--promote", "--no-test")
    assert again["data"]["name"] == "stored:default"
    assert again["data"]["synthetic"]
    assert again["promotion"]["promoted"], again["promotion"]["reason"]
    listed = run(home, "models", "list", "--app", "recommend")
    assert listed["in_use"] == again["version"]
    assert {one["version"] for one in listed["versions"]} == {first["version"], again["version"]}
