"""The data doctor on real messages with the real encoder, and its command as it is run."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from apps.support.commands.check import check
from apps.support.doctor import check_dataset
from models.encoder import TextEncoder
from models.encoder_store import load_encoder
from shared.records import Dataset, Example

pytestmark = pytest.mark.integration

INTENTS = 20
EXAMPLES_EACH = 50


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return load_encoder()


def banking_subset(folder: Path) -> list[Example]:
    """The first messages of the first intents of Banking77's training file."""
    by_intent: dict[str, list[Example]] = defaultdict(list)
    with (folder / "banking77" / "train.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            by_intent[row["category"]].append(Example(row["text"], row["category"]))
    return [one for name in sorted(by_intent)[:INTENTS] for one in by_intent[name][:EXAMPLES_EACH]]


def test_flipped_labels_are_found(public_data: Path, encoder: TextEncoder) -> None:
    examples = banking_subset(public_data)
    labels = sorted({example.label for example in examples})
    random = np.random.default_rng(1)
    flipped = set(random.choice(len(examples), len(examples) // 20, replace=False).tolist())
    for row in flipped:
        others = [label for label in labels if label != examples[row].label]
        examples[row] = replace(examples[row], label=others[random.integers(len(others))])
    report = check_dataset(Dataset("flipped", tuple(examples)), encoder=encoder)
    found = {
        row - 1
        for finding in report.findings
        if finding.kind == "likely_wrong_label"
        for row in finding.rows
    }
    precision, recall = len(found & flipped) / len(found), len(found & flipped) / len(flipped)
    assert precision >= 0.85
    assert recall >= 0.75


def test_another_language_is_told(encoder: TextEncoder) -> None:
    english = ["Where is my parcel now?", "Has the parcel that I ordered been sent?"]
    others = [
        "Wo ist mein Paket und wann kommt es an?",
        "Где сейчас моя посылка?",
        "我的包裹在哪里",
    ]
    examples = tuple(Example(text, "track") for text in [*english, *others])
    report = check_dataset(Dataset("tongues", examples), encoder=encoder)
    told = {
        row: finding.details["language"] or finding.details["script"]
        for finding in report.findings
        if finding.kind in ("unknown_language", "unknown_script")
        for row in finding.rows
    }
    assert told == {3: "German", 4: "Cyrillic", 5: "Han"}


@pytest.fixture
def faulty_file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    rows = [f"where is parcel {n},track" for n in range(8)]
    rows += [f"give me my money back {n},refund" for n in range(8)]
    path.write_text("\n".join(["message,topic", *rows, "lonely,tiny", ""]), encoding="utf-8")
    return path


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(check, arguments, env={"TRIPTYCH_HOME": str(folder / "home")})
    return result.exit_code, result.stdout, result.stderr


COLUMNS = ("--text-column", "message", "--label-column", "topic")


def test_json_is_all_that_standard_output_holds(faulty_file: Path) -> None:
    code, output, errors = run(faulty_file.parent, str(faulty_file), *COLUMNS, "--json")
    report = json.loads(output)
    assert code == 0
    assert report["rows"] == 17
    assert report["classes"] == 3
    assert report["warnings"] >= 1
    assert ["tiny_class", [17]] in [[one["kind"], one["rows"]] for one in report["findings"]]
    assert "embed" in errors


def test_warnings_fail_when_they_are_told_to(faulty_file: Path) -> None:
    code, output, _ = run(faulty_file.parent, str(faulty_file), *COLUMNS, "--fail-on-warnings")
    assert code == 1
    assert "tiny class" in output


def test_a_wrong_column_is_one_line_of_error(faulty_file: Path) -> None:
    code, output, errors = run(faulty_file.parent, str(faulty_file), "--text-column", "body")
    assert (code, output) == (1, "")
    assert errors.startswith("error: ")
    assert "message" in errors
