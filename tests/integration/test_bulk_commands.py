"""``triptych embed`` and ``triptych score`` as they are run: files in, files out, begun again."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from click.testing import CliRunner

from apps.cli import main
from models.encoder_store import load_encoder
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.integration

CUES = {
    "support": {"refund": "refund money", "tracking": "parcel track", "billing": "invoice card"},
    "finance": {"positive": "refund money", "negative": "parcel track", "neutral": "invoice card"},
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_encoder(tmp_path_factory.mktemp("encoder"), words=[*WORDS, "[", "]"]))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str) -> Path:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIPTYCH_RUNTIME", "torch")
    monkeypatch.setenv("TRIPTYCH_ENCODER", encoder)
    return tmp_path / "home"


def run(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, [*words, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return dict(json.loads(result.stdout))


def refusal(*words: str) -> str:
    result = CliRunner().invoke(main, list(words), catch_exceptions=False)
    assert result.exit_code == 1
    return result.stderr


def texts_file(path: Path, count: int) -> list[str]:
    draw = np.random.default_rng(3)
    texts = [" ".join(draw.choice(WORDS, size=int(draw.integers(2, 9)))) for _ in range(count)]
    path.write_text("\n".join([texts[0], "", *texts[1:]]) + "\n", encoding="utf-8")
    return texts


def test_vectors_of_a_file_are_those_of_the_encoder(tmp_path: Path, encoder: str) -> None:
    texts = texts_file(tmp_path / "texts.txt", 45)
    words = ("embed", str(tmp_path / "texts.txt"), "--out", str(tmp_path / "vectors"))
    told = run(*words, "--rows-per-part", "20")
    assert (told["texts"], told["parts"], told["computed_now"]) == (45, 3, 45)
    parts = sorted((tmp_path / "vectors").glob("*.parquet"))
    rows = [row for part in parts for row in pyarrow.parquet.read_table(part).to_pylist()]
    assert [row["line"] for row in rows] == [1, *range(3, 47)], "the blank line is not counted out"
    found = np.array([row["vector"] for row in rows], dtype=np.float32)
    np.testing.assert_allclose(found, load_encoder(encoder).embed(texts), atol=2e-3)

    parts[1].unlink()
    assert run(*words, "--rows-per-part", "20")["computed_now"] == 20
    assert "delete" in refusal(*words), "parts of another size are other work"


def test_what_broke_off_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts_file(tmp_path / "texts.txt", 30)
    words = ("embed", str(tmp_path / "texts.txt"), "--out", str(tmp_path / "v"))
    from models.scale import parts

    write, done = parts.write_whole, []

    def dies(table: Any, path: Path) -> None:
        if len(done) == 2 and path.name.startswith("part-"):
            raise OSError("the disk is full")
        done.extend([path] if path.name.startswith("part-") else [])
        write(table, path)

    monkeypatch.setattr("models.scale.bulk.write_whole", dies)
    with pytest.raises(OSError, match="disk is full"):
        run(*words, "--rows-per-part", "10")
    monkeypatch.setattr("models.scale.bulk.write_whole", write)
    assert run(*words, "--rows-per-part", "10")["computed_now"] == 10


@pytest.mark.parametrize("app", list(CUES))
def test_scores_of_a_table_are_those_of_the_version_in_use(app: str, tmp_path: Path) -> None:
    rows = [
        (f"{cue} please {WORDS[7 + number % 20]} hi {WORDS[9 + number % 13]}", label)
        for label, cue in CUES[app].items()
        for number in range(30)
    ]
    data = tmp_path / "mine.csv"
    with data.open("w", newline="") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])
    version = run("train", app, "--data", str(data), "--method", "head")["version"]

    told = run("score", app, str(data), "--out", str(tmp_path / "s.jsonl"), "--rows-per-part", "40")
    assert (told["texts"], told["parts"]) == (90, 3)
    assert not (tmp_path / "s.jsonl.parts").exists()
    scored = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [row["line"] for row in scored] == list(range(2, 92))
    name = "intent" if app == "support" else "label"
    right = [row[name] == label for row, (_, label) in zip(scored, rows, strict=True)]
    assert np.mean(right) > 0.8

    run("score", app, str(data), "--out", str(tmp_path / "s.parquet"))
    table = pyarrow.parquet.read_table(tmp_path / "s.parquet")
    assert table.column(name).to_pylist() == [row[name] for row in scored]

    first = rows[0][0]
    if app == "support":
        (alone,) = run("support", "classify", first)["results"]
        assert alone["intent"] == scored[0]["intent"]
        assert alone["confidence"] == pytest.approx(scored[0]["confidence"], abs=1e-4)
    else:
        (alone,) = run("finance", "score", first)["scores"]
        assert alone["probabilities"]["positive"] == pytest.approx(scored[0]["positive"], abs=1e-4)
    assert version


def test_refusals_say_what_to_do(tmp_path: Path) -> None:
    texts_file(tmp_path / "texts.txt", 3)
    source = str(tmp_path / "texts.txt")
    assert "--engine ray" in refusal(
        "embed", source, "--out", str(tmp_path / "v"), "--workers", "2"
    )
    assert ".parquet nor .jsonl" in refusal("score", "support", source, "--out", "s.csv")
    assert "support" in refusal("score", "support", source, "--out", str(tmp_path / "s.jsonl"))
    assert "not_there" in refusal("embed", "not_there.txt", "--out", str(tmp_path / "w"))


def test_training_on_ray_is_asked_for_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.scale.cluster.importlib.util.find_spec", lambda name: None)
    assert "triptych[scale]" in refusal("train", "support", "--engine", "ray", "--workers", "2")
    assert "budget" in refusal("train", "support", "--workers", "2", "--budget", "5m")
    assert "torchrun" in refusal("train", "finance", "--workers", "2")
