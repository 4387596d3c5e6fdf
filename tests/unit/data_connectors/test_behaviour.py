import json
from pathlib import Path

import pytest

from data_connectors.behaviour import load_behaviour
from data_connectors.event_files import EventColumns
from shared.errors import EmptyData

pytestmark = pytest.mark.unit

ITEMS = "id,title\njug,Jug\npot,Pot\njug,Another jug\n,No id\n"
EVENTS = "who,item,event_id\nann,jug,1\nann,pot,2\nbob,cup,3\nbob,pot,2\nbob,,4\n"


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "events.csv").write_text(EVENTS)
    return tmp_path / "items.csv", tmp_path / "events.csv"


def test_two_files_are_one_data_set(files: tuple[Path, Path], tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    data = load_behaviour(*files, event_columns=EventColumns(user="who"), rejects=rejects)
    assert data.name == "items.csv + events.csv"
    assert [(item.id, item.title) for item in data.items] == [("jug", "Jug"), ("pot", "Pot")]
    assert [(event.user, event.item) for event in data.events] == [("ann", "jug"), ("ann", "pot")]
    assert not data.timed
    reasons = [reject.reason for reject in data.rejects]
    assert reasons == [
        "the id came before",
        "the id is blank",
        "its item is not in the catalogue",
        "the id came before",
        "the item is blank",
    ]
    written = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [line["reason"] for line in written] == reasons
    assert written[2]["row"]["item"] == "cup"


def test_nothing_usable_is_told_with_the_commonest_reason(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    items, events = files
    events.write_text("user,item\nann,cup\nbob,cup\nbob,\n")
    with pytest.raises(EmptyData, match=r"events\.csv.*2 times its item is not in the catalogue"):
        load_behaviour(items, events)
    items.write_text("id,title\n")
    with pytest.raises(EmptyData, match=r"items\.csv"):
        load_behaviour(items, events)
