"""kill -9 under load: nothing that was acknowledged is lost, and the parts come back by themselves.

The long run (20 kills, PostgreSQL, pages) is ``python -m benchmarks.serving_rows.recovery``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import delete

from apps.support.conversation.knowledge import SAMPLE_SOURCE, SAMPLES
from benchmarks.serving_rows.ledger import Ledger, missing, word
from benchmarks.serving_rows.recovery import REACH_SECONDS, known_intent, recover
from benchmarks.serving_rows.trained_home import trained_home
from data_connectors.files import read_file
from models.registry import ModelRegistry
from models.text_training import train_text_classifier
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import Recipe
from shared.records import OUT_OF_SCOPE
from shared.storage.engine import open_database
from shared.storage.tables import feedback

pytestmark = pytest.mark.integration
SLOWNESS = 4
"""How much longer than promised a machine may take that does other work besides."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose support desk has a model of three intents in use."""
    folder = tmp_path_factory.mktemp("home")
    sample = read_file(SAMPLES / "utterances.csv")
    intents = {"cancel_order", "gift_card", "request_invoice", OUT_OF_SCOPE}
    few = replace(sample, examples=tuple(one for one in sample.examples if one.label in intents))
    registry, now = ModelRegistry(folder / "models"), datetime(2026, 5, 1, tzinfo=UTC)
    version = train_text_classifier(
        few,
        app="support",
        recipe=Recipe(method="head", target_error=0.2),
        encoder=None,
        registry=registry,
        now=now,
        seed=1,
        report=SilentProgress(),
        source=SAMPLE_SOURCE,
    ).version
    registry.promote("support", version.name, gate=None, author="test", now=now)
    return folder


def test_a_process_and_the_watcher_are_killed_and_nothing_is_lost(home: Path) -> None:
    kills, ledger, lost = recover(
        home,
        kills=["process", "watcher"],
        postgres=False,
        seed=1,
        intent=known_intent(home),
        longest_pause=0.6,
        pages=False,
        # Making graphs would cost more than they save in so short a run.
        variables={"TRIPTYCH_RUNTIME": "torch"},
    )
    assert not lost, lost
    assert all(len(entries) > 5 for entries in ledger.entries.values()), ledger.entries
    assert [kill.victim for kill in kills] == ["process", "watcher"]
    assert all(kill.recovery <= REACH_SECONDS * SLOWNESS for kill in kills), kills


def test_the_ledger_notices_what_is_missing(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'triptych.sqlite3'}")
    ledger = Ledger()
    row = {
        "app": "support",
        "text": "end it",
        "label": "cancel_order",
        "author": "load",
        "created_at": datetime(2026, 5, 1, tzinfo=UTC),
    }
    with engine.begin() as connection:
        key = connection.execute(feedback.insert().values(**row)).inserted_primary_key
    assert key is not None
    ledger.entries["feedback"][str(key[0])] = "end it"
    assert missing(engine, ledger) == []
    ledger.entries["events"]["load-1"] = "user-1"
    assert len(missing(engine, ledger)) == 1
    with engine.begin() as connection:
        connection.execute(delete(feedback))
    assert len(missing(engine, ledger)) == 2
    engine.dispose()


def test_the_longest_silence_is_that_of_the_worst_route() -> None:
    ledger = Ledger()
    for kind, moments in ledger.moments.items():
        moments.extend([(0.0, 0.5), (1.0, 1.5), (9.0, 9.5 if kind == "items" else 4.0)])
    assert ledger.longest_silence(0.0, 10.0) == pytest.approx(8.0)
    assert ledger.answered_after(8.0)
    assert not ledger.answered_after(9.1)


def test_words_are_one_for_each_number_and_hold_no_digits() -> None:
    words = [word(number) for number in range(2_000)]
    assert len(set(words)) == 2_000
    assert all(one.isalpha() for one in words)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_twenty_kills_of_any_process_on_postgresql(tmp_path: Path) -> None:
    folder = trained_home(tmp_path / "home")
    kills, ledger, lost = recover(
        folder, kills=20, postgres=True, seed=1, intent=known_intent(folder)
    )
    assert not lost, lost
    assert ledger.acknowledged > 1_000
    assert max(kill.recovery for kill in kills) <= REACH_SECONDS, kills
