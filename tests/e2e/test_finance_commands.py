"""The monitor as a desk runs it at a terminal: train, score, take in, watch the index."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

FEED = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>Invented wire</title>
<link>http://wire.example/</link><description>Invented for a test</description>
<item><guid>1</guid><pubDate>{first}</pubDate>
<title>Siemens shares plunge after profit warning</title></item>
<item><guid>2</guid><pubDate>{first}</pubDate>
<title>Nestle raises guidance on strong sales</title></item>
{more}</channel></rss>"""
LATER = "<item><guid>3</guid><title>Toyota recalls cars over faulty brakes</title></item>"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    trained = run(home, "train", "finance", "--method", "head", "--seed", "3")
    assert trained["promotion"]["promoted"]
    return home


def run(home: Path, *words: str, fails: bool = False) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "apps.cli", *words, "--json"],
        capture_output=True,
        text=True,
        env={**os.environ, "TRIPTYCH_HOME": str(home)},
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stderr
    return {"error": done.stderr} if fails else dict(json.loads(done.stdout))


def test_texts_are_scored_overall_and_toward_each_company(home: Path) -> None:
    text = "Siemens files for insolvency, lenders say"
    scored = run(home, "finance", "score", text)["scores"]
    assert scored[0]["text"] == text
    assert scored[0]["label"] == "negative"
    assert scored[0]["reason"]["kind"] == "rule"
    assert [mention["company_id"] for mention in scored[0]["mentions"]] == ["siemens"]
    assert sum(scored[0]["probabilities"].values()) == pytest.approx(1.0)


def test_a_replay_stores_and_scores_each_story_once(home: Path, tmp_path: Path) -> None:
    first = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
    written = first.strftime("%a, %d %b %Y %H:%M:%S +0000")
    for hours, more in ((0, ""), (1, LATER)):
        name = (first + timedelta(hours=hours)).strftime("%Y%m%dT%H%M%SZ.xml")
        (tmp_path / name).write_text(FEED.format(first=written, more=more), encoding="utf-8")
    played = run(home, "finance", "replay", str(tmp_path))
    counted = {name: played[name] for name in ("polls", "entries", "distinct", "stories")}
    assert counted == {"polls": 2, "entries": 5, "distinct": 3, "stories": 3}
    again = run(home, "finance", "replay", str(tmp_path))
    assert (again["distinct"], again["revisions"]) == (0, 0)
    points = run(
        home, "finance", "index", "--company", "siemens", "--step", "hour", "--since", "4h"
    )
    assert any(point["volume"] == 1 for point in points["points"])


def test_a_version_is_measured_by_what_was_asked(home: Path) -> None:
    measured = run(home, "evaluate", "finance", "--data", "sample:finance")
    assert set(measured["metrics"]["by"]["asked"]) == {"company", "whole"}
    assert measured["metrics"]["confusion"]["labels"] == ["negative", "neutral", "positive"]
    assert set(measured["example_of_each_class"]) == {"negative", "neutral", "positive"}


def test_labels_that_are_numbers_are_refused_with_what_to_do(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "numbers.csv"
    data.write_text("text,label\nup it goes,1\ndown it goes,0\n", encoding="utf-8")
    refused = run(home, "train", "finance", "--data", str(data), fails=True)
    assert "names no sentiment: write one of negative, neutral, positive" in refused["error"]
