import json
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from data_connectors.event_files import EventColumns, event_or_reason, moment, read_events
from data_connectors.rows import Row
from shared.catalogue import BehaviourEvent
from shared.errors import UnknownColumn
from shared.records import Reject

pytestmark = pytest.mark.unit

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def events_of(path: Path, columns: EventColumns | None = None) -> list[BehaviourEvent]:
    outcomes = list(read_events(path, columns))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Reject)]
    return [outcome for outcome in outcomes if isinstance(outcome, BehaviourEvent)]


def test_all_columns(tmp_path: Path) -> None:
    path = write(
        tmp_path / "events.csv",
        "event_id,user_id,item_id,event,timestamp,session_id,weight\n"
        "e1,ann,jug,Add to cart,2026-03-04T05:06:07Z,s1,0.5\n"
        "e2,bob,pot,,1772600767,,\n",
    )
    assert events_of(path) == [
        BehaviourEvent("e1", "ann", "jug", "cart", WHEN, "s1", None, 0.5),
        BehaviourEvent("e2", "bob", "pot", "view", WHEN),
    ]


def test_a_value_makes_a_rating_unless_a_type_says_otherwise(tmp_path: Path) -> None:
    path = write(
        tmp_path / "ratings.csv",
        "userId,movieId,rating,type\n1,2,4.5,\n1,3,,\n1,4,2,purchase\n",
    )
    assert [(e.item, e.type, e.value) for e in events_of(path)] == [
        ("2", "rating", 4.5),
        ("3", "view", None),
        ("4", "purchase", None),
    ]
    (bought,) = read_events(write(tmp_path / "b.csv", "user,item\n1,2\n"), default_type="purchase")
    assert isinstance(bought, BehaviourEvent)
    assert bought.type == "purchase"


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-04T05:06:07Z", "2026-03-04 05:06:07", "2026-03-04T06:06:07+01:00",
        "1772600767", 1772600767, 1772600767.0, "1772600767000", 1772600767000000, WHEN,
        WHEN.replace(tzinfo=None), WHEN.astimezone(timezone(timedelta(hours=-5))),
    ],
)  # fmt: skip
def test_one_moment_in_every_notation(written: object) -> None:
    assert moment(written) == WHEN
    assert moment(written).utcoffset() == timedelta(0)


def test_days_and_times_before_1970() -> None:
    assert moment(date(2026, 3, 4)) == moment("2026-03-04") == datetime(2026, 3, 4, tzinfo=UTC)
    assert moment("-86400") == datetime(1969, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize("written", ["", None, "yesterday", "2026-13-01", "1e300", "inf", "nan"])
def test_what_is_no_time(written: object) -> None:
    with pytest.raises(ValueError, match="the time is"):
        moment(written)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"user": " "}, "the user is blank"),
        ({"item": None}, "the item is blank"),
        ({"type": "teleport"},
         "the type is 'teleport', not one of view, click, cart, purchase, rating, dislike"),
        ({"time": "soon"}, "the time is 'soon', neither ISO 8601 nor a number since 1970"),
        ({"time": ""}, "the time is blank"),
        ({"value": "many"}, "the value is 'many', not a number"),
        ({"value": "9"}, "a rating's value lies from 0 to 5, and is 9.0"),
        ({"value": "", "type": "rating"}, "a rating needs a value, and no other event has one"),
        ({"weight": "-1"}, "weight is -1.0, not above 0 and at most 1000"),
        ({"item": ["a"]}, "the item is a list, not a text"),
        ({"session": "a\x00"}, "it holds a NUL character"),
        ({"user": "u" * 121}, f"user needs 1 to 120 printable characters, and is '{'u' * 40}'"),
    ],
)  # fmt: skip
def test_rows_that_hold_no_event(values: dict[str, object], reason: str) -> None:
    names = ("user", "item", "type", "time", "session", "value", "weight")
    row = Row(2, {"user": "ann", "item": "jug", "time": "2026-03-04", "value": 3, **values})
    assert event_or_reason(row, EventColumns(**{name: name for name in names})) == reason


def test_a_bad_row_does_not_stop_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", '{"user": 1, "item": 2}\n{"user": 1}\nno\n')
    first, second, third = read_events(path)
    assert isinstance(first, BehaviourEvent)
    assert isinstance(second, Reject)
    assert isinstance(third, Reject)
    assert (second.line, second.reason, third.line) == (2, "the item is blank", 3)


def test_an_event_exported_twice_has_one_id_wherever_it_stands(tmp_path: Path) -> None:
    head = "user,item,type,time,session\n"
    rows = ["ann,jug,view,2026-03-04,s1\n", "ann,jug,click,2026-03-04,s1\n"]
    first = events_of(write(tmp_path / "a.csv", head + "".join(rows)))
    second = events_of(write(tmp_path / "b.csv", head + "bob,pot,view,2026-03-05,\n" + rows[1]))
    assert first[0].id != first[1].id
    assert second[1].id == first[1].id


def test_without_times_every_line_is_an_event_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "user,item\nann,jug\nann,jug\n")
    once, again = events_of(path), events_of(path)
    assert len({event.id for event in once}) == 2
    assert once == again
    assert {event.at for event in once} == {None}


def test_parquet_reads_only_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    rows = [{"user": "ann", "item": "jug", "at": WHEN, "stars": 4, "note": "x"}]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    (event,) = events_of(path)
    assert (event.at, event.value, event.type) == (WHEN, 4.0, "rating")


def test_columns_are_named_or_missed_in_words(tmp_path: Path) -> None:
    path = write(tmp_path / "e.jsonl", json.dumps({"who": "ann", "what": "jug"}))
    assert [e.user for e in events_of(path, EventColumns(user="who", item="what"))] == ["ann"]
    with pytest.raises(UnknownColumn, match="--user-column"):
        list(read_events(path))
