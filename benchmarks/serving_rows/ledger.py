"""Writers that keep a ledger of what the API acknowledged, and what the database says of it.

Every text and id is one of its own, so that a lost write and a double one can be told apart. A
writer whose request breaks does not send it again: what was not acknowledged may be there or not.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import httpx2
from sqlalchemy import Engine, select

from shared.storage.engine import reading
from shared.storage.recommend_tables import behaviour_events, catalogue_items
from shared.storage.tables import feedback, messages

KINDS = ("chat", "feedback", "finance feedback", "events", "items")
PAUSE = 0.02
LETTERS = "bcdfghjklmnpqrstvwxz"


def word(number: int) -> str:
    """A number as letters: digits in texts could be masked as personal data."""
    found = ""
    while True:
        number, rest = divmod(number, len(LETTERS))
        found += LETTERS[rest]
        if not number:
            return found


@dataclass
class Ledger:
    """What was acknowledged, by kind: a key and what must be found under it; and when."""

    entries: dict[str, dict[str, str]] = field(default_factory=lambda: {k: {} for k in KINDS})
    moments: dict[str, list[tuple[float, float]]] = field(
        default_factory=lambda: {k: [] for k in KINDS}
    )
    failures: Counter[str] = field(default_factory=Counter)

    def answered_after(self, moment: float) -> bool:
        """Whether a write of every kind was acknowledged that was sent after ``moment``."""
        return all(any(begin >= moment for begin, _ in self.moments[kind][-3:]) for kind in KINDS)

    def longest_silence(self, begin: float, end: float) -> float:
        """Seconds between two acknowledgements of a kind from ``begin`` on, the longest of all."""
        longest = 0.0
        for kind in KINDS:
            acknowledged = [at for _, at in self.moments[kind] if begin <= at <= end]
            edges = [begin, *acknowledged, end]
            longest = max(longest, *(b - a for a, b in itertools.pairwise(edges)))
        return longest

    @property
    def acknowledged(self) -> int:
        """Writes that were acknowledged."""
        return sum(map(len, self.entries.values()))


class Writers:
    """A thread for each kind of write, from when it is made until it is closed."""

    def __init__(self, url: str, intent: str, *, timeout: float = 10.0) -> None:
        self.ledger = Ledger()
        self._url = url
        self._intent = intent
        self._timeout = timeout
        self._stop = threading.Event()
        writes: dict[str, Callable[[httpx2.Client, int], tuple[str, str]]] = {
            "chat": self._chat,
            "feedback": self._feedback,
            "finance feedback": self._finance_feedback,
            "events": self._event,
            "items": self._item,
        }
        self._threads = [
            threading.Thread(target=self._write, args=pair, daemon=True) for pair in writes.items()
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Let the writes in hand end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=self._timeout + 5)

    def _write(self, kind: str, write: Callable[[httpx2.Client, int], tuple[str, str]]) -> None:
        numbers = itertools.count()
        with httpx2.Client(base_url=self._url, timeout=self._timeout, trust_env=False) as client:
            while not self._stop.wait(PAUSE):
                begin = time.monotonic()
                try:
                    key, value = write(client, next(numbers))
                except (httpx2.HTTPStatusError, httpx2.TransportError) as error:
                    status = getattr(getattr(error, "response", None), "status_code", None)
                    self.ledger.failures[f"{kind}: {status or type(error).__name__}"] += 1
                    continue
                self.ledger.entries[kind][key] = value
                self.ledger.moments[kind].append((begin, time.monotonic()))

    @staticmethod
    def _post(client: httpx2.Client, path: str, body: dict[str, object]) -> dict[str, object]:
        answer = client.post(path, json=body)
        answer.raise_for_status()
        found: dict[str, object] = answer.json()
        return found

    def _chat(self, client: httpx2.Client, number: int) -> tuple[str, str]:
        text = f"where is the parcel {word(number)}"
        answer = self._post(client, "/v1/support/chat", {"text": text})
        return str(answer["message_id"]), text

    def _feedback(self, client: httpx2.Client, number: int) -> tuple[str, str]:
        text = f"please end it {word(number)}"
        body: dict[str, object] = {"author": "load", "intent": self._intent, "text": text}
        return str(self._post(client, "/v1/support/feedback", body)["id"]), text

    def _finance_feedback(self, client: httpx2.Client, number: int) -> tuple[str, str]:
        text = f"profits of {word(number)} fell"
        body: dict[str, object] = {"author": "load", "label": "negative", "text": text}
        return str(self._post(client, "/v1/finance/feedback", body)["id"]), text

    def _event(self, client: httpx2.Client, number: int) -> tuple[str, str]:
        one = {"id": f"load-{number}", "user": f"user-{number % 97}", "item": "load-item-0"}
        answer = self._post(client, "/v1/recommend/events", {"events": [one]})
        if answer["added"] != 1:
            raise ValueError(f"an event was not added: {answer}")
        return one["id"], one["user"]

    def _item(self, client: httpx2.Client, number: int) -> tuple[str, str]:
        item, title = f"load-item-{number % 50}", f"thing {word(number)}"
        answer = client.put(f"/v1/recommend/items/{item}", json={"title": title})
        answer.raise_for_status()
        return item, title


def missing(engine: Engine, ledger: Ledger) -> list[str]:
    """What was acknowledged and is not in the database as it was acknowledged; none should be.

    An item is written again and again by one writer, one write at a time: what it holds must be
    the acknowledged title or one that was sent later and broke off.
    """
    with reading(engine) as connection:
        chats = connection.execute(select(messages.c.id, messages.c.text)).all()
        corrections = connection.execute(select(feedback.c.id, feedback.c.text)).all()
        events = connection.execute(select(behaviour_events.c.id, behaviour_events.c.user_id)).all()
        items = connection.execute(select(catalogue_items.c.id, catalogue_items.c.title)).all()
    found = {
        "chat": {str(key): text for key, text in chats},
        "feedback": {str(key): text for key, text in corrections},
        "finance feedback": {str(key): text for key, text in corrections},
        "events": dict(events),
        "items": dict(items),
    }
    return list(_differences(ledger, found))


def _differences(ledger: Ledger, found: dict[str, dict[str, str]]) -> Iterator[str]:
    for kind, entries in ledger.entries.items():
        for key, value in entries.items():
            there = found[kind].get(key)
            if there == value or (kind == "items" and there is not None and _later(there, value)):
                continue
            yield f"{kind} {key}: {value!r} was acknowledged, {there!r} is there"


def _later(there: str, acknowledged: str) -> bool:
    return _number(there) > _number(acknowledged)


def _number(title: str) -> int:
    digits = title.rsplit(" ", 1)[1]
    return sum(LETTERS.index(one) * len(LETTERS) ** place for place, one in enumerate(digits))
