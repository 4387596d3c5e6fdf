"""The learning loop for real: the packaged encoder, the shipped sample, both databases.

A word of a person in the review queue -> feedback -> the connector -> training -> the gate -> a
version in use that answers otherwise. And an intent added to a version in use within seconds.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, insert, select

from apps.support.commands.learning import add_intent as add_intent_command
from apps.support.commands.learning import retrain as retrain_command
from apps.support.conversation.knowledge import SAMPLE_SOURCE
from apps.support.learning.improvement import add_intent, retrain
from apps.support.learning.review import queue, resolve
from apps.support.learning.training_data import load_source
from apps.support.learning.versions import RegistryModels
from data_connectors.data_source import DataSource, source_of
from data_connectors.feedback import read_feedback
from models.registry import ModelRegistry, ModelVersion
from models.runtime.files import read_verdict
from models.text_classifier import TextPredictor
from shared.api.support import AddIntentRequest
from shared.errors import Conflict
from shared.finetuning.progress import SilentProgress
from shared.records import OUT_OF_SCOPE, Dataset, fingerprint
from shared.settings import Settings
from shared.storage.audit import read_audit
from shared.storage.engine import open_database
from shared.storage.tables import conversations, feedback, intent_answers, messages

pytestmark = pytest.mark.integration

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
LATER = datetime(2026, 5, 2, 9, tzinfo=UTC)

INTENTS = (
    "cancel_order",
    "change_email",
    "delivery_cost",
    "gift_card",
    "late_delivery",
    "loyalty_points",
    "price_match",
    "refund_status",
    "store_pickup",
    "talk_to_person",
)
WRAPPING = [
    "can you gift wrap this for me",
    "do you offer gift wrapping",
    "please wrap it up as a present",
    "I want it in wrapping paper with a bow",
    "is there a way to get the parcel wrapped as a birthday present?",
    "how much is gift wrapping",
    "wrap it nicely pls, its for my mum",
    "could you add a ribbon and wrapping paper",
    "christmas wrapping available?",
    "I'd like my items wrapped and with a greeting note",
]
NEW_WRAPPING = [
    "can I have my order gift wrapped",
    "nice wrapping paper for a birthday please",
    "do you wrap presents",
]
MISREAD = ["the doorbell never rang", "nobody came to my door", "I waited at home and nothing"]


@dataclass(frozen=True)
class Trained:
    """A folder of versions with one in use, and what it was trained on."""

    folder: Path
    source: DataSource
    sample: Dataset


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Ten intents of the shipped sample, trained once with a frozen encoder and in use."""
    folder = tmp_path_factory.mktemp("trained")
    settings = Settings(home=folder)
    shipped = load_source(DataSource(SAMPLE_SOURCE), settings)
    with (folder / "desk.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "intent", "split"])
        writer.writerows(
            (one.text, one.label, one.split) for one in shipped.examples if one.label in INTENTS
        )
    source = DataSource(str(folder / "desk.csv"))
    sample = load_source(source, settings)
    summary = retrain(
        RegistryModels(ModelRegistry(folder / "models")),
        sample,
        Dataset("feedback", ()),
        source=source,
        method="head",
        author="test",
        now=NOW,
        seed=1,
        report=SilentProgress(),
    )
    assert summary["promotion"]["promoted"]
    return Trained(folder, source, sample)


@pytest.fixture
def home(trained: Trained, tmp_path: Path) -> Path:
    """A home of its own with the trained version in use."""
    shutil.copytree(trained.folder, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def models(home: Path) -> RegistryModels:
    return RegistryModels(ModelRegistry(home / "models"))


def in_use(models: RegistryModels) -> ModelVersion:
    version = models.in_use()
    assert version is not None
    return version


def answers(version: ModelVersion, texts: list[str]) -> list[str]:
    return [prediction.label for prediction in TextPredictor.load(version).predict(texts)]


def wait_for_review(engine: Engine, texts: list[str], version: ModelVersion) -> list[int]:
    """Messages of a customer as the desk stores them when it is not sure."""
    predictor = TextPredictor.load(version)
    vectors = predictor.embed(texts)
    chat = {"id": "a" * 32, "owner": "bot", "created_at": NOW, "updated_at": NOW}
    ids = []
    with engine.begin() as connection:
        connection.execute(insert(conversations).values(chat))
        for text, one, vector in zip(texts, predictor.predict(texts), vectors, strict=True):
            row = {
                "conversation_id": chat["id"],
                "author": "customer",
                "text": text,
                "created_at": NOW,
                "action": "handoff",
                "intent": one.label,
                "confidence": one.confidence,
                "ranked": [{"intent": s.label, "probability": s.probability} for s in one.ranked],
                "version": version.name,
                "embedding": vector.astype("float16").tobytes(),
                "review_state": "waiting",
            }
            key = connection.execute(insert(messages).values(row)).inserted_primary_key
            assert key is not None
            ids.append(key[0])
    return ids


def run_retrain(
    models: RegistryModels, engine: Engine, trained: Trained, **options: Any
) -> dict[str, Any]:
    return retrain(
        models,
        trained.sample,
        read_feedback(engine, "support"),
        source=trained.source,
        author="Ada",
        now=LATER,
        seed=1,
        report=SilentProgress(),
        **options,
    )


def test_a_correction_changes_the_models_answer(
    models: RegistryModels, engine: Engine, trained: Trained
) -> None:
    before = in_use(models)
    right = "store_pickup"
    assert right not in answers(before, MISREAD)
    wait_for_review(engine, MISREAD, before)
    for item in queue(engine, 10).items:
        resolve(engine, item.message_id, right, "Ada", NOW, known=before.card["labels"])

    summary = run_retrain(models, engine, trained)

    after = in_use(models)
    assert (after.name, before.name) == (summary["version"], summary["promotion"]["previous"])
    assert summary["feedback"] == {"corrections": 3, "relabelled": 0, "added": 3}
    assert answers(after, MISREAD) == [right] * 3
    splits = models.splits(after)
    assert {splits[fingerprint(text)] for text in MISREAD} == {"train"}
    old = models.splits(before)
    assert {key: splits[key] for key in old} == old


def test_an_added_intent_is_live_within_ten_seconds_and_harms_no_other(
    models: RegistryModels, engine: Engine
) -> None:
    before = in_use(models)
    assert "gift_wrapping" not in before.card["labels"]
    request = AddIntentRequest(
        name="gift_wrapping", answer="Yes, tick the box.", examples=WRAPPING, author="Ada"
    )
    report = add_intent(models, engine, request, now=LATER)
    after = in_use(models)
    assert report.promoted, report.reason
    assert (report.version, report.previous) == (after.name, before.name)
    assert report.seconds < 10
    verdict = read_verdict(after)
    assert verdict is not None
    assert verdict.chosen != "torch", verdict.reason
    assert report.largest_loss <= 1.0
    assert report.accuracy_before > 0.8
    assert answers(after, NEW_WRAPPING) == ["gift_wrapping"] * 3
    with engine.connect() as connection:
        assert connection.execute(select(intent_answers.c.answer)).scalar_one() == request.answer
        stored = connection.execute(select(feedback.c.text, feedback.c.label)).all()
    assert stored == [(text, "gift_wrapping") for text in WRAPPING]
    with pytest.raises(Conflict, match="exists"):
        add_intent(models, engine, request, now=LATER)


def test_the_commands_print_one_json_object_and_put_the_result_in_use(
    home: Path, models: RegistryModels, trained: Trained, tmp_path: Path
) -> None:
    engine = open_database(f"sqlite:///{home / 'triptych.sqlite3'}")
    row = {"app": "support", "author": "Ada", "created_at": NOW, "note": ""}
    stray = {**row, "text": "what is the meaning of life", "label": OUT_OF_SCOPE}
    with engine.begin() as connection:
        connection.execute(insert(feedback).values(stray))
    engine.dispose()
    examples = tmp_path / "wrapping.txt"
    examples.write_text("\n".join(WRAPPING), encoding="utf-8")
    environment = {"TRIPTYCH_HOME": str(home), "TRIPTYCH_DATABASE_URL": None}

    taught = CliRunner().invoke(
        add_intent_command,
        ["gift_wrapping", "--answer", "Yes.", "--examples", str(examples), "--json"],
        env=environment,
    )
    assert taught.exit_code == 0, taught.stderr
    added = json.loads(taught.stdout)
    assert (added["promoted"], added["largest_loss"] <= 1.0) == (True, True)
    assert in_use(models).name == added["version"]

    again = CliRunner().invoke(retrain_command, ["--json", "--seed", "2"], env=environment)
    assert again.exit_code == 0, again.stderr
    summary = json.loads(again.stdout)
    assert summary["promotion"]["previous"] == added["version"]
    assert summary["feedback"]["added"] == len(WRAPPING) + 1
    assert (summary["method"], summary["seed"]) == ("head", 2)
    assert in_use(models).name == summary["version"]
    assert "11 corrections by people" in again.stderr
    assert source_of(in_use(models)) == trained.source
    assert answers(in_use(models), NEW_WRAPPING) == ["gift_wrapping"] * 3
    engine = open_database(f"sqlite:///{home / 'triptych.sqlite3'}")
    told = [(line.action, line.details["version"]) for line in read_audit(engine)]
    engine.dispose()
    assert told == [
        ("model promotion", summary["version"]),
        ("model promotion", added["version"]),
        ("intent added", added["version"]),
    ]
