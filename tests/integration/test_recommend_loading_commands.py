"""``triptych recommend load-items``, ``load-events`` and ``forget``, each as a person runs it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apps.recommend.commands import recommend
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.loading import ROWS_AT_ONCE
from shared.settings import Settings
from shared.storage.engine import open_database

pytestmark = pytest.mark.integration

ITEMS = """\
sku,name,description,category,price,colour
lamp,Brass lamp,Gives a warm light.,Lighting,39.90,brass
mug,Enamel mug,Keeps tea hot.,Kitchen,12,blue
,No id,,,,
"""
EVENTS = """\
user,item,type,time
ann,lamp,view,2026-02-01T10:00:00Z
ann,mug,add to cart,2026-02-01T09:00:00Z
ben,vase,purchase,2026-02-02T10:00:00Z
ben,mug,stolen,2026-02-02T10:00:00Z
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))
    (tmp_path / "items.csv").write_text(ITEMS)
    (tmp_path / "events.csv").write_text(EVENTS)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(recommend, arguments, catch_exceptions=False)


def answer(*arguments: str) -> dict[str, Any]:
    """What ``--json`` prints on standard output: one object and nothing else."""
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    read = json.loads(result.stdout)
    assert isinstance(read, dict)
    return read


Stores = Callable[..., tuple[ItemStore, EventStore]]


@pytest.fixture
def stores(home: Path) -> Iterator[Stores]:
    """Opens the stores of a tenant, as another process would."""
    with ExitStack() as opened:

        def stores(tenant: str = "default") -> tuple[ItemStore, EventStore]:
            engine = open_database(Settings().database)
            opened.callback(engine.dispose)
            return ItemStore(engine, tenant), EventStore(engine, tenant)

        yield stores


def counts(told: dict[str, Any]) -> tuple[int, ...]:
    assert told["seconds"] >= 0
    return tuple(value for name, value in told.items() if name != "seconds")


def test_items_and_events_are_loaded_and_told_of(home: Path, stores: Stores) -> None:
    told = answer("load-items", str(home / "items.csv"))
    assert list(told) == ["added", "changed", "unchanged", "rejected", "seconds"]
    assert counts(told) == (2, 0, 0, 1)
    assert counts(answer("load-items", str(home / "items.csv"))) == (0, 0, 2, 1)
    told = answer("load-events", str(home / "events.csv"))
    assert list(told) == ["added", "repeated", "unknown_items", "rejected", "seconds"]
    assert counts(told) == (3, 0, 1, 1)
    assert counts(answer("load-events", str(home / "events.csv"))) == (0, 3, 1, 1)
    items, events = stores()
    lamp = items.get("lamp")
    assert lamp is not None
    assert (lamp.text, lamp.price, lamp.attributes) == (
        "Gives a warm light.",
        39.9,
        {"colour": "brass"},
    )
    assert events.history("ann").item_ids == ("mug", "lamp")
    assert events.bought("ben") == {"vase"}


def test_rejects_are_shown_and_kept(home: Path) -> None:
    result = run("load-items", str(home / "items.csv"))
    assert result.stdout == ""
    kept = home / "home" / "runs" / "rejects.jsonl"
    assert "line 4: the id is blank" in result.stderr
    assert f"1 rows were rejected, all of them in {kept}" in result.stderr
    assert "2 items new, 0 changed, 0 as they were, 1 rows rejected" in result.stderr
    (line,) = kept.read_text().splitlines()
    assert (json.loads(line)["line"], json.loads(line)["row"]["name"]) == (4, "No id")
    run("load-items", str(home / "items.csv"), "--category-column", "colour")
    assert kept.exists()
    (home / "items.csv").write_text("id,title\na,Lamp\n")
    run("load-items", str(home / "items.csv"))
    assert not kept.exists()


def test_columns_can_be_named(home: Path, stores: Stores) -> None:
    (home / "odd.tsv").write_text("wer\twas\twann\twie\nann\tlamp\t1767225600\t4.5\n")
    names = ("--user-column", "wer", "--item-column", "was", "--time-column", "wann")
    answer("load-events", str(home / "odd.tsv"), *names, "--value-column", "wie")
    history = stores()[1].history("ann")
    assert (history.types, history.strengths.tolist()) == (("rating",), [1.5])
    assert history.times.tolist() == [1767225600.0]


def test_a_query_is_loaded_for_a_tenant(home: Path, stores: Stores) -> None:
    with closing(sqlite3.connect(home / "shop.sqlite3")) as shop:
        shop.execute("CREATE TABLE goods (id TEXT, title TEXT, live INTEGER)")
        shop.executemany("INSERT INTO goods VALUES (?, ?, ?)", [("a", "A", 1), ("b", "B", 0)])
        shop.commit()
    query = "SELECT id, title FROM goods WHERE live = 1"
    address = f"sqlite:///{home / 'shop.sqlite3'}"
    told = answer("load-items", address, "--query", query, "--tenant", "shop-b")
    assert counts(told) == (1, 0, 0, 0)
    assert [item.id for item in stores("shop-b")[0].all()] == ["a"]
    assert stores()[0].count() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["load-items", "nowhere.csv"], "there is no such file"),
        (["load-items", "items.csv", "--tenant", "Shop"], "lower-case"),
        (["load-items", "items.csv", "--query", "SELECT 1"], "a query goes with"),
        (["load-items", "items.csv", "--title-column", "titel"], "titel"),
        (["load-events", "items.csv"], "user"),
        (["load-events", "movielens-small", "--user-column", "u"], "columns of its own"),
        (["load-events", "rejected.csv"], "none of its 1 rows can be used"),
        (["forget", "ann", "--tenant", "Shop"], "lower-case"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    home: Path, arguments: list[str], message: str
) -> None:
    (home / "rejected.csv").write_text("user,item\nann,\n")
    words = [str(home / word) if word.endswith(".csv") else word for word in arguments]
    result = run(*words)
    assert result.exit_code == 1
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert result.stdout == ""


def test_forgetting_gives_a_receipt(home: Path, stores: Stores) -> None:
    run("load-events", str(home / "events.csv"))
    told = answer("forget", "ann")
    assert list(told) == ["id", "tenant", "user_hash", "at", "removed"]
    assert told["removed"] == {"events": 2, "impressions": 0, "clicks": 0}
    again = run("forget", "ann")
    assert "removed 0 events, 0 impressions, 0 clicks" in again.stderr
    assert told["user_hash"] in again.stderr
    assert len(stores()[1].history("ann")) == 0


def test_a_named_set_is_loaded(stores: Stores, public_data: Path) -> None:
    assert counts(answer("load-items", "amazon-beauty")) == (12_101, 0, 0, 0)
    assert stores()[0].count() == 12_101


def test_the_sample_is_loaded_and_known_as_generated(stores: Stores) -> None:
    items = answer("load-items", "sample:recommend")
    events = answer("load-events", "sample:recommend")
    assert (items["added"] >= 400, items["rejected"]) == (True, 0)
    assert (events["unknown_items"], events["rejected"]) == (0, 0)
    assert stores()[1].any_synthetic()
    again = answer("load-events", "sample:recommend")
    assert (again["added"], again["repeated"]) == (0, events["added"])


@pytest.fixture
def many_events(home: Path) -> Path:
    """Six portions of events of 100 users in turn, without times: their order is all there is."""
    file = home / "many.csv"
    rows = (f"u{number % 100:02},i{number}" for number in range(6 * ROWS_AT_ONCE))
    file.write_text("user,item\n" + "\n".join(rows) + "\n")
    return file


def test_kill_9_loses_nothing_that_was_written(many_events: Path, stores: Stores) -> None:
    """Whoever saw events keeps them; running the load again adds the rest and doubles nothing."""
    store = stores()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.cli", "recommend", "load-events", str(many_events)],
        stderr=subprocess.PIPE,
        env=dict(os.environ),
    )
    seen = 0
    try:
        until = time.monotonic() + 60
        while seen < ROWS_AT_ONCE and time.monotonic() < until:
            assert process.poll() is None, "the load ended before it could be killed"
            seen = store.count()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    kept = store.count()
    assert seen <= kept < 6 * ROWS_AT_ONCE
    assert kept > 0
    assert kept % ROWS_AT_ONCE == 0, "a transaction was written in part"
    told = answer("load-events", str(many_events))
    assert (told["added"], told["repeated"]) == (6 * ROWS_AT_ONCE - kept, kept)
    assert store.count() == 6 * ROWS_AT_ONCE
    wanted = tuple(f"i{number}" for number in range(7, 6 * ROWS_AT_ONCE, 100))
    assert store.history("u07", 1_000).item_ids == wanted
