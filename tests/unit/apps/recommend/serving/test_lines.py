"""Lines of a bulk request: records, or reasons."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.recommend.serving.lines import events_of, items_of
from tests.fakes.recommend_service import NOW

pytestmark = pytest.mark.unit


def test_a_line_that_is_no_item_stops_no_other() -> None:
    items, rejects = items_of(
        [
            {"id": "a", "title": "A", "price": 3},
            {"id": "b"},
            {"id": "c", "title": "C", "colour": "red"},
            {"id": "d", "title": "D", "price": -1},
            {"id": "e", "title": "E\x00"},
            {"id": "f\n", "title": "F"},
            {"id": "g", "title": "G", "attributes": {"size": [1, "l"]}},
        ]
    )
    assert [item.id for item in items] == ["a", "g"]
    assert [reject.line for reject in rejects] == [1, 2, 3, 4, 5]
    assert "title" in rejects[0].reason
    assert "colour" in rejects[1].reason
    assert "price" in rejects[2].reason


def test_of_two_lines_with_one_id_the_later_counts() -> None:
    items, rejects = items_of(
        [{"id": "a", "title": "A"}, {"id": "b", "title": "B"}, {"id": "a", "title": "Other"}]
    )
    assert [(item.id, item.title) for item in items] == [("b", "B"), ("a", "Other")]
    assert [(reject.line, "line 2" in reject.reason) for reject in rejects] == [(0, True)]


def test_events_have_a_time_and_an_id() -> None:
    events, rejects = events_of(
        [
            {"user": "ann", "item": "mug"},
            {"id": "e", "user": "ann", "item": "mug", "at": "2026-11-20T10:00:00+02:00"},
            {"user": "ann", "item": "mug", "at": "2026-11-20T10:00:00"},
            {"user": "ann", "item": "mug", "type": "view", "value": 4},
            {"user": "ann", "item": "mug", "weight": 0},
        ],
        NOW,
    )
    assert [event.at for event in events] == [NOW, NOW - timedelta(days=4, hours=1)]
    assert events[0].id
    assert events[1].id == "e"
    assert [reject.line for reject in rejects] == [2, 3, 4]
