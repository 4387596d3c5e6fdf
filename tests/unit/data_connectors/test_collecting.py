import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_connectors.collecting import collect
from shared.errors import EmptyData, SingleClass
from shared.records import OUT_OF_SCOPE, Example, Reject

pytestmark = pytest.mark.unit

GOOD = [Example("hi", "greet"), Example("bye", "part")]
BAD = Reject(4, "the text is blank", {"text": "", "label": "é"})


def test_rejects_are_written_only_when_there_are_some(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rejects.jsonl"
    assert collect(GOOD, name="x", rejects=path).rejects == ()
    assert not path.exists()
    assert not path.parent.exists()

    assert collect([*GOOD, BAD], name="x", rejects=path).rejects == (BAD,)
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"line": 4, "reason": "the text is blank", "row": {"text": "", "label": "é"}}
    ]
    assert [file.name for file in path.parent.iterdir()] == ["rejects.jsonl"]

    collect(GOOD, name="x", rejects=path)
    assert not path.exists()


def test_rejects_are_written_when_nothing_was_usable(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    with pytest.raises(EmptyData, match=r"none of its 2 rows .* text is blank .*line 4"):
        collect([BAD, BAD], name="x", rejects=path)
    assert len(path.read_text().splitlines()) == 2


def test_rejects_so_far_are_written_when_the_source_breaks(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"

    def breaks() -> Iterator[Example | Reject]:
        yield BAD
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        collect(breaks(), name="x", rejects=path)
    assert len(path.read_text().splitlines()) == 1


def test_one_class_is_refused_unless_that_is_fine() -> None:
    one = [Example("hi", "greet"), Example("hello", "greet"), Example("mow", OUT_OF_SCOPE)]
    with pytest.raises(SingleClass, match="greet"):
        collect(one, name="x")
    with pytest.raises(SingleClass, match="out-of-scope alone"):
        collect([Example("mow", OUT_OF_SCOPE)], name="x")
    assert len(collect(one, name="x", single_class_ok=True).examples) == 3


def test_no_row_at_all_is_empty() -> None:
    with pytest.raises(EmptyData, match="no rows"):
        collect([], name="x")
