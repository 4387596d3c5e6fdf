"""Many clients at once over two servers of one database: no error, and nothing stale.

``TRIPTYCH_LOAD_SECONDS`` sets how long it goes on; the acceptance run takes 60.
"""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from apps.api import create_app
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from shared.client import TriptychClient
from shared.errors import TriptychError
from shared.storage.engine import open_database, reading
from shared.storage.recommend_tables import behaviour_events, impressions
from tests.fakes.assembled_api import eventually
from tests.fakes.loopback import served
from tests.fakes.recommend_service import EVENTS, ITEMS, NOW, add_bundle, home, make_recommender

pytestmark = pytest.mark.integration
CLIENTS = 64
SECONDS = float(os.environ.get("TRIPTYCH_LOAD_SECONDS", "5"))


@dataclass
class Visitor:
    """A user of its own who writes through one server and reads through another."""

    name: str
    servers: list[TriptychClient]
    random: random.Random
    bought: set[str] = field(default_factory=set)
    events: int = 0
    rounds: int = 0
    stale: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def play(self, until: float) -> None:
        while time.monotonic() < until:
            act = self.random.choices((self.buy, self.stock, self.leave), (8, 2, 1))[0]
            try:
                act(*self.random.sample(self.servers, 2))
            except TriptychError as error:
                self.errors.append(f"{act.__name__}: {error.message}")
            self.rounds += 1

    def buy(self, writer: TriptychClient, reader: TriptychClient) -> None:
        item = self.random.choice(ITEMS).id
        writer.send_event(self.name, item, "purchase")
        self.bought.add(item)
        self.events += 1
        answer = reader.list_for_user(self.name, k=8)
        listed = {entry.item.id for entry in answer.entries}
        if answer.events != self.events:
            self.stale.append(f"{answer.events} events in a list after {self.events}")
        if listed & self.bought:
            self.stale.append(f"{listed & self.bought} listed after they were bought")

    def stock(self, writer: TriptychClient, reader: TriptychClient) -> None:
        id = f"{self.name}-{self.rounds}"
        only = {"include": [id]}
        writer.put_item(id, f"Lamp number {self.rounds} of {self.name}", category="Lamps")
        if [entry.item.id for entry in reader.list_for_user(self.name, filters=only).entries] != [
            id
        ]:
            self.stale.append(f"{id} is not listed after it was added")
        writer.delete_item(id)
        if reader.list_for_user(self.name, filters=only).entries:
            self.stale.append(f"{id} is listed after it was deleted")

    def leave(self, writer: TriptychClient, reader: TriptychClient) -> None:
        writer.forget_user(self.name)
        self.bought.clear()
        self.events = 0
        if reader.recommend_user(self.name).events:
            self.stale.append("events after the user was forgotten")


def test_many_clients_meet_no_error_and_nothing_stale(tmp_path: Path, database_url: str) -> None:
    settings, registry = home(tmp_path, database_url)
    add_bundle(registry)
    engine = open_database(settings.database)
    ItemStore(engine, "default").upsert(ITEMS, NOW)
    EventStore(engine, "default").add(EVENTS, NOW)
    apps = [create_app(settings, require_keys=False, served=(make_recommender,)) for _ in range(2)]
    with (
        served(apps[0]) as one,
        served(apps[1]) as other,
        TriptychClient(one) as first,
        TriptychClient(other) as second,
    ):
        servers = [first, second]
        assert all(eventually(lambda s=s: s.ready().status == "ready") for s in servers)
        for server in servers:
            # FastAPI builds its routes at their first request, in a way that two threads of one
            # process (two servers here) cannot do at once.
            server.recommend_status()
        visitors = [
            Visitor(f"visitor-{number}", servers, random.Random(number))
            for number in range(CLIENTS)
        ]
        until = time.monotonic() + SECONDS
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda visitor: visitor.play(until), visitors))
        for visitor in visitors:
            first.forget_user(visitor.name)
    assert [error for visitor in visitors for error in visitor.errors] == []
    assert [stale for visitor in visitors for stale in visitor.stale] == []
    assert all(visitor.rounds for visitor in visitors)
    with reading(engine) as connection:  # deleted under load: no trace is left
        for table in (behaviour_events, impressions):
            users = {row.user_id for row in connection.execute(table.select())}
            assert not any(user.startswith("visitor-") for user in users)
    assert ItemStore(engine, "default").count() == len(ITEMS)
    engine.dispose()
