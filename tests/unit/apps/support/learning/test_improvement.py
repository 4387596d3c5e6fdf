from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, Table, select

from apps.support.learning.improvement import add_intent, retrain
from data_connectors.data_source import DataSource
from shared.api.support import AddIntentReport, AddIntentRequest
from shared.errors import Conflict, DataError, NotReady
from shared.records import Dataset, Example
from shared.storage.engine import open_database
from shared.storage.tables import feedback, intent_answers
from tests.fakes.learning_models import FakeLearningModels

pytestmark = pytest.mark.unit

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
TRAIN = [Example("where is it", "track_order"), Example("stop it", "cancel_order")]
HELD_OUT = [Example("parcel?", "track_order"), Example("do not send it", "cancel_order")]
GIFTS = ["do you sell gift cards", "gift card please", "a voucher as a present"]


@pytest.fixture
def engine() -> Iterator[Engine]:
    opened = open_database("sqlite://")
    yield opened
    opened.dispose()


def request(**changes: Any) -> AddIntentRequest:
    values = {"name": "gift_card", "answer": "Yes, we do.", "examples": GIFTS, "author": "Ada"}
    return AddIntentRequest(**{**values, **changes})


def add(models: FakeLearningModels, engine: Engine, **changes: Any) -> AddIntentReport:
    seconds = iter([10.0, 12.5])
    return add_intent(models, engine, request(**changes), now=NOW, timer=lambda: next(seconds))


def rows(engine: Engine, table: Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def test_an_intent_that_harms_no_other_goes_live_with_its_answer(engine: Engine) -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT)
    report = add(models, engine)
    assert models.current == report.version == "v1"
    assert (report.promoted, report.previous, report.seconds) == (True, "v0", 2.5)
    assert (report.accuracy_before, report.accuracy_after) == (1.0, 1.0)
    assert (report.largest_loss_intent, report.largest_loss) == (None, 0.0)
    (answer,) = rows(engine, intent_answers)
    assert (answer["name"], answer["answer"]) == ("gift_card", "Yes, we do.")
    assert (answer["author"], answer["created_at"]) == ("Ada", NOW)


def test_the_examples_become_feedback_for_later_trainings(engine: Engine) -> None:
    add(FakeLearningModels(TRAIN, HELD_OUT), engine)
    stored = rows(engine, feedback)
    assert [row["text"] for row in stored] == GIFTS
    assert {(row["app"], row["label"], row["author"]) for row in stored} == {
        ("support", "gift_card", "Ada")
    }


def test_an_update_that_harms_another_intent_changes_nothing_and_says_why(engine: Engine) -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT, forgets=["parcel?"])
    report = add(models, engine)
    assert not report.promoted
    assert (report.largest_loss_intent, report.largest_loss) == ("track_order", 100.0)
    assert "track_order 100.0" in report.reason
    assert models.current == "v0"
    assert rows(engine, intent_answers) == rows(engine, feedback) == []


def test_what_the_gate_refuses_leaves_nothing_behind(engine: Engine) -> None:
    """Five losses in 500 are 1 point, which an intent may lose, and more than chance explains."""
    held_out = [Example(f"parcel number {n}", "track_order") for n in range(500)]
    forgets = [example.text for example in held_out[:5]]
    models = FakeLearningModels(TRAIN, held_out, held_out_as="gate", forgets=forgets)
    report = add(models, engine)
    assert report.largest_loss == pytest.approx(1.0)
    assert not report.promoted
    assert models.current == "v0"
    assert rows(engine, intent_answers) == rows(engine, feedback) == []


def test_an_update_of_a_version_that_was_replaced_meanwhile_is_not_promoted(
    engine: Engine,
) -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT, overtaken_by="other")
    report = add(models, engine)
    assert not report.promoted
    assert "other is in use" in report.reason
    assert models.current == "other"
    assert rows(engine, feedback) == []


def test_personal_data_and_repeats_do_not_reach_the_model(engine: Engine) -> None:
    models = FakeLearningModels(TRAIN)
    given = [*GIFTS, "Do you  sell GIFT cards", "send gift cards to ada@example.org"]
    add(models, engine, examples=given)
    taught = [example.text for example in models.updates[0]]
    assert taught == [*GIFTS, "send gift cards to [email]"]
    assert [row["text"] for row in rows(engine, feedback)] == taught


def test_a_text_held_out_for_tests_is_not_taught_and_not_held_against_the_update(
    engine: Engine,
) -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT, forgets=["parcel?"])
    report = add(models, engine, examples=[*GIFTS, "parcel?"])
    assert [example.text for example in models.updates[0]] == GIFTS
    assert report.promoted
    assert "parcel?" in [row["text"] for row in rows(engine, feedback)]


def test_too_few_examples_that_differ_are_refused(engine: Engine) -> None:
    with pytest.raises(DataError, match="2 examples are left of 3"):
        add(FakeLearningModels(TRAIN), engine, examples=["a gift", "A  GIFT", "b gift"])


def test_an_intent_that_exists_is_a_conflict(engine: Engine) -> None:
    with pytest.raises(Conflict, match="'track_order' exists"):
        add(FakeLearningModels(TRAIN), engine, name="track_order")


def test_out_of_scope_is_no_name_for_an_intent(engine: Engine) -> None:
    with pytest.raises(DataError, match="none of the intents"):
        add(FakeLearningModels(TRAIN), engine, name="out_of_scope")


def test_without_a_version_in_use_there_is_nothing_to_update(engine: Engine) -> None:
    with pytest.raises(NotReady, match="triptych train support"):
        add(FakeLearningModels(TRAIN, current=None), engine)


def test_without_held_out_examples_the_report_says_so(engine: Engine) -> None:
    report = add(FakeLearningModels(TRAIN), engine)
    assert report.promoted
    assert "nothing was compared" in report.reason


def run_retrain(models: FakeLearningModels, **changes: Any) -> dict[str, Any]:
    original = Dataset("shop", (*TRAIN, *HELD_OUT))
    corrections = Dataset("feedback", (Example("stop it", "refund"), Example("money", "refund")))
    options = {
        "source": DataSource("shop.csv"),
        "author": "Ada",
        "now": NOW,
        "seed": 3,
        "report": None,
        **changes,
    }
    return retrain(models, original, corrections, **options)


def test_a_training_on_everything_corrected_goes_live() -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT)
    summary = run_retrain(models)
    assert summary["version"] == models.current == "v1"
    assert summary["feedback"] == {"corrections": 2, "relabelled": 1, "added": 1}
    assert summary["promotion"] == {
        "promoted": True,
        "previous": "v0",
        "forced": False,
        "reason": "no worse",
    }
    (training,) = models.trainings
    assert training["base"].name == "v0"
    assert (training["seed"], training["source"].source) == (3, "shop.csv")
    money = Example("money", "refund")
    assert training["assigned"] == {**models.splits(models.versions["v0"]), money.key: "train"}
    assert models.says("v1", "stop it") == "refund"


def test_a_training_that_the_gate_refuses_is_an_outcome_with_a_reason() -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT, gate_allows=False)
    promotion = run_retrain(models)["promotion"]
    assert (promotion["promoted"], promotion["reason"]) == (False, "the candidate is worse")
    assert models.current == "v0"


def test_force_goes_past_the_gate_and_is_recorded() -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT, gate_allows=False)
    promotion = run_retrain(models, force=True)["promotion"]
    assert (promotion["promoted"], promotion["forced"]) == (True, True)
    assert models.current == "v1"


def test_the_first_training_is_promoted_without_a_gate() -> None:
    models = FakeLearningModels(TRAIN, HELD_OUT, current=None)
    assert run_retrain(models)["promotion"]["promoted"] is True
    assert models.promotions[0].gate is None
