"""Training as a user runs it: on real rows, broken off and taken up again."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SETTINGS = ("--set", "epochs=2", "--set", "batch_size=16", "--set", "checkpoint_seconds=0.2")
INTENTS, TRAINING_ROWS, TEST_ROWS = 12, 30, 20


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "apps.cli", *words]


def run(home: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        command(*words, "--json"),
        capture_output=True,
        text=True,
        env=environment(home),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "TRIPTYCH_HOME": str(home)}


@pytest.fixture(scope="module")
def banking_rows(public_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Some intents of Banking77, with some of their rows each."""
    folder = tmp_path_factory.mktemp("rows")
    wanted: set[str] = set()
    for name, most in (("train", TRAINING_ROWS), ("test", TEST_ROWS)):
        counts: dict[str, int] = {}
        with (
            (public_data / "banking77" / f"{name}.csv").open(newline="") as source,
            (folder / f"{name}.csv").open("w", newline="") as target,
        ):
            writer = csv.writer(target)
            writer.writerow(["text", "category"])
            rows = list(csv.DictReader(source))
            wanted = wanted or set(sorted({row["category"] for row in rows})[:INTENTS])
            for row in rows:
                label = row["category"]
                counts[label] = counts.get(label, 0) + 1
                if label in wanted and counts[label] <= most:
                    writer.writerow([row["text"], label])
    return folder / "train.csv", folder / "test.csv"


def test_train_evaluate_and_classify(banking_rows: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = map(str, banking_rows)
    summary = run(
        tmp_path,
        "train",
        "support",
        "--train-data",
        train,
        "--test-data",
        test,
        "--method",
        "head",
    )
    assert summary["data"]["test"] == INTENTS * TEST_ROWS
    assert summary["promotion"]["promoted"]
    assert summary["metrics"]["accuracy"] > 0.9
    measured = run(tmp_path, "evaluate", "support", "--data", test, "--split", "all")
    assert measured["version"] == summary["version"]
    assert measured["metrics"]["accuracy"] == pytest.approx(
        summary["metrics"]["accuracy"], abs=0.01
    )
    listed = run(tmp_path, "models", "list")
    assert summary["version"] in json.dumps(listed)


def test_a_killed_training_resumes(banking_rows: tuple[Path, Path], tmp_path: Path) -> None:
    train, test = map(str, banking_rows)
    words = (
        "train", "support", "--train-data", train, "--test-data", test, "--method", "full",
        *SETTINGS,
    )  # fmt: skip
    unbroken = run(tmp_path / "unbroken", *words)
    home = tmp_path / "broken"
    process = subprocess.Popen(
        command(*words), env=environment(home), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    log = home / "runs" / "support-training.jsonl"
    checkpoint = home / "models" / "checkpoints" / "support" / "checkpoint.safetensors"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and not (checkpoint.is_file() and _steps(log) >= 8):
        assert process.poll() is None, "the training ended before it could be killed"
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    killed_at = _steps(log)
    resumed = run(home, *words, "--resume")
    first = json.loads(log.read_text().splitlines()[0])
    assert first["step"] > 1, "it went on from a checkpoint"
    assert first["step"] <= killed_at + 1
    assert resumed["metrics"]["accuracy"] == pytest.approx(
        unbroken["metrics"]["accuracy"], abs=0.003
    )


def _steps(log: Path) -> int:
    return log.read_text().count('"step"') if log.is_file() else 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty"),
        ("text,label\n", "no"),
        ("text,label\nhello,a\nbye,a\n", "a"),
        ("words,kind\nhello,a\n", "column"),
    ],
)
def test_bad_files_end_in_one_clear_line(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    done = subprocess.run(
        command("train", "support", "--data", str(path), "--json"),
        capture_output=True, text=True, env=environment(tmp_path), check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0].lower()
    assert "Traceback" not in done.stderr


def test_rejected_rows_are_kept_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"please send refund number {n},refund" for n in range(12)]
    rows += [f"where is parcel number {n},tracking" for n in range(12)]
    path.write_text("\n".join(["text,label", *rows, ",refund", "no label here,"]) + "\n")
    done = subprocess.run(
        command("train", "support", "--data", str(path), "--method", "head", "--json"),
        capture_output=True, text=True, env=environment(tmp_path / "home"), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "24 rows read, 2 rejected (line 26:" in done.stderr
    kept = (tmp_path / "home" / "runs" / "rejects.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in kept] == [26, 27]
    assert json.loads(done.stdout)["data"]["train"] > 10
