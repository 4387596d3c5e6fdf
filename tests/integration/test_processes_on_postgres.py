"""Two API processes and a watcher on one PostgreSQL: what one does the other sees, and a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select

from models.registry import ModelRegistry
from shared.client import TriptychClient
from shared.errors import TriptychError
from shared.serving.guards.keys import create_key, revoke_key
from shared.storage.engine import open_database, reading
from shared.storage.recommend_tables import behaviour_events, catalogue_items
from shared.storage.schema import check_database
from tests.fakes.feed_fetcher import rss
from tests.fakes.file_server import FileServer, file_server
from tests.fakes.recommend_service import ITEMS, add_bundle

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
HEADLINES = ("Siemens falls after a warning", "Tesla gains on a merger rumour")


@dataclass
class Installation:
    """One database, one folder of models, and the processes on them."""

    home: Path
    url: str
    engine: Engine
    stack: ExitStack
    secret: str

    def api(self) -> tuple[subprocess.Popen[str], str]:
        """A new API process, and its address once it is ready."""
        process = self.start("tests.fakes.api_process", str(self.home), self.url)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), (self.home / "log").read_text()
        client = self.client(address)
        until(lambda: answers(client), "the API is not ready")
        return process, address

    def start(self, module: str, *words: str) -> subprocess.Popen[str]:
        log = self.stack.enter_context((self.home / "log").open("a"))
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.stack.callback(end, process)
        return process

    def client(self, address: str, secret: str | None = None) -> TriptychClient:
        return self.stack.enter_context(TriptychClient(address, secret or self.secret))


def answers(client: TriptychClient) -> bool:
    try:
        return client.ready().status == "ready"
    except TriptychError:
        return False


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(timeout=10)
    assert process.stdout is not None
    process.stdout.close()


def until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def installed(tmp_path: Path, fresh_postgres: str) -> Iterator[Installation]:
    engine = open_database(fresh_postgres)
    registry = ModelRegistry(tmp_path / "models")
    add_bundle(registry, day=1)
    add_bundle(registry, day=2, use=False)
    key = create_key(engine, name="all", scopes=["admin"], actor="test", now=datetime.now(UTC))
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        yield Installation(tmp_path, fresh_postgres, engine, stack, key.secret)


def test_two_processes_and_a_watcher_are_one_installation(installed: Installation) -> None:
    (first, one), (_, other) = installed.api(), installed.api()
    here, there = installed.client(one), installed.client(other)

    here.put_items([{"id": item.id, "title": item.title} for item in ITEMS])
    assert there.item("tent").title == "Two person tent"
    there.send_event("ann", "tent", "purchase")
    assert here.recommend_user("ann").bought == ["tent"]
    assert "tent" not in {entry.item.id for entry in here.list_for_user("ann", k=20).entries}
    here.forget_user("ann")
    assert there.recommend_user("ann").events == 0

    chat = here.chat("where is my parcel")
    there.take_over(chat.conversation_id, "Ben")
    assert here.conversation(chat.conversation_id).person == "Ben"
    _keys_are_seen(installed, one, other)
    _promotions_are_seen(here, there)
    with file_server() as feeds:
        _stories_are_seen(installed, here, there, feeds)
    _nothing_acknowledged_is_lost(installed, first, here, there)
    assert check_database(installed.engine).problems == ()


def _keys_are_seen(installed: Installation, one: str, other: str) -> None:
    now = datetime.now(UTC)
    key = create_key(installed.engine, name="shop", scopes=["use"], actor="test", now=now)
    clients = [installed.client(address, key.secret) for address in (one, other)]
    assert [client.item("tent").id for client in clients] == ["tent", "tent"]
    revoke_key(installed.engine, key.id, actor="test", now=datetime.now(UTC))
    for client in clients:
        with pytest.raises(TriptychError, match="key"):
            client.item("tent")


def _promotions_are_seen(here: TriptychClient, there: TriptychClient) -> None:
    newer = next(one.version for one in here.bundles().bundles if not one.in_use)
    here.promote_bundle(newer, author="Ann")
    until(lambda: there.list_for_user("bob").bundle == newer, "the promotion is not seen")
    there.rollback_bundle(author="Ben")
    until(lambda: here.list_for_user("bob").bundle != newer, "the roll-back is not seen")


def _stories_are_seen(
    installed: Installation, here: TriptychClient, there: TriptychClient, feeds: FileServer
) -> None:
    """A feed that one process was told of is read by the watcher, and its stories seen by all."""
    items = [(f"id-{title}", title, "") for title in HEADLINES]
    feeds.files["/wire"] = rss(items)
    here.add_feed(f"{feeds.url}/wire", author="Ann", name="Wire")
    watcher = installed.start("tests.fakes.watcher_process", installed.url, "0")
    for client in (here, there):
        until(
            lambda client=client: {one.title for one in client.stories().stories} == set(HEADLINES),
            "the stories are not seen",
        )
    end_now = there.feeds()[0]
    assert end_now.last_error is None
    watcher.terminate()
    assert watcher.wait(timeout=20) == 0


def _nothing_acknowledged_is_lost(
    installed: Installation,
    victim: subprocess.Popen[str],
    here: TriptychClient,
    there: TriptychClient,
) -> None:
    """Writers ask one process, which is killed with -9; the database has what it acknowledged."""
    acknowledged: list[tuple[str, str]] = []

    def write(writer: int) -> None:
        for number in range(10_000):
            id = f"kept-{writer}-{number}"
            try:
                here.put_item(id, "Kept")
                acknowledged.append(("item", id))
                here.send_event(f"user-{writer}", "mug", "view", id=id)
                acknowledged.append(("event", id))
            except TriptychError:
                return

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for writer in writers:
        writer.start()
    until(lambda: len(acknowledged) > 60, "nothing is written")
    victim.kill()
    killed_at = time.monotonic()
    for writer in writers:
        writer.join(timeout=60)
    assert there.item("tent").id == "tent"  # the other goes on meanwhile
    assert len(acknowledged) > 60
    with reading(installed.engine) as connection:
        kept = {
            "item": set(connection.scalars(select(catalogue_items.c.id))),
            "event": set(connection.scalars(select(behaviour_events.c.id))),
        }
        count = connection.scalar(select(func.count()).select_from(behaviour_events))
    assert [(kind, id) for kind, id in acknowledged if id not in kept[kind]] == []
    assert count == len(kept["event"])
    _, again = installed.api()
    assert time.monotonic() - killed_at < 60
    back = installed.client(again)
    kind, last = acknowledged[-1]
    assert last in kept[kind]
    assert back.item(next(id for kind, id in acknowledged if kind == "item")).title == "Kept"
