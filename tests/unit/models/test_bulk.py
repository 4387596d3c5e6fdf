"""Bulk work in parts: whole or not at all, begun again where it broke off, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from models.scale.bulk import run_bulk
from models.scale.cluster import guarded, require_ray
from models.scale.parts import cut, join
from shared.errors import DataError, EmptyData, SettingsError
from shared.finetuning.progress import SilentProgress

pytestmark = pytest.mark.unit


@dataclass
class Lengths:
    """Counts characters; fails at a text, if one is named."""

    fails_at: str | None = None
    seen: list[str] = field(default_factory=list)

    def open(self, threads: int | None) -> Callable[[Sequence[str]], pyarrow.Table]:
        def compute(texts: Sequence[str]) -> pyarrow.Table:
            if self.fails_at in texts:
                raise RuntimeError("power cut")
            self.seen += texts
            return pyarrow.table({"length": [len(text) for text in texts]})

        return compute


def rows(count: int) -> list[tuple[int, str, str]]:
    return [(number + 2, "x" * (number % 7 + 1), "") for number in range(count)]


def test_parts_hold_every_text_in_order(tmp_path: Path) -> None:
    given = [*rows(10), (12, "", "the text is blank"), (13, "last", "")]
    parts = cut(given, tmp_path, {"work": 1}, rows_per_part=4)
    assert (parts.count, parts.rows, parts.rejected) == (3, 11, 1)
    assert parts.first_reason == "line 12: the text is blank"
    outcome = run_bulk(parts, Lengths(), report=SilentProgress())
    assert outcome.computed == 11
    join(parts, tmp_path / "all.parquet")
    join(parts, tmp_path / "all.jsonl")
    found = pyarrow.parquet.read_table(tmp_path / "all.parquet").to_pylist()
    assert found == [{"line": line, "length": len(t)} for line, t, fault in given if not fault]
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == found


def test_what_is_there_is_not_computed_again(tmp_path: Path) -> None:
    given = [(number, f"text {number}", "") for number in range(10)]
    parts = cut(given, tmp_path, {"work": 1}, rows_per_part=3)
    with pytest.raises(RuntimeError, match="power cut"):
        run_bulk(parts, Lengths(fails_at="text 7"), report=SilentProgress())
    assert parts.missing() == [2, 3]
    again = cut(iter(()), tmp_path, {"work": 1}, rows_per_part=3)  # the source is not read again
    work = Lengths()
    assert run_bulk(again, work, report=SilentProgress()).computed == 4
    assert work.seen == [f"text {number}" for number in range(6, 10)]
    assert run_bulk(again, work, report=SilentProgress()).computed == 0
    again.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "part-00000.parquet", "part-00001.parquet", "part-00002.parquet", "part-00003.parquet",
        "plan.json",
    ]  # fmt: skip


def test_a_cut_that_broke_off_is_made_anew(tmp_path: Path) -> None:
    def broken() -> object:
        yield from rows(5)
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        cut(broken(), tmp_path, {}, rows_per_part=2)  # type: ignore[arg-type]
    assert cut(rows(6), tmp_path, {}, rows_per_part=2).rows == 6


def test_results_of_other_work_are_refused(tmp_path: Path) -> None:
    cut(rows(3), tmp_path, {"encoder": "a"})
    with pytest.raises(DataError, match="another model"):
        cut(rows(3), tmp_path, {"encoder": "b"})


def test_a_source_without_a_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmptyData, match="1 rows rejected"):
        cut([(1, "", "the text is blank")], tmp_path, {})


def test_missing_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"triptych\[scale\]"):
        require_ray()


def test_a_cluster_of_its_own_has_a_token_and_sends_nothing() -> None:
    first: dict[str, str] = {}
    second = {"RAY_AUTH_TOKEN": "mine"}
    guarded(first)
    guarded(second)
    assert first["RAY_AUTH_MODE"] == "token"
    assert len(first["RAY_AUTH_TOKEN"]) == 64
    assert first["RAY_USAGE_STATS_ENABLED"] == "0"
    assert second["RAY_AUTH_TOKEN"] == "mine"
