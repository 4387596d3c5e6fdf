"""The support desk on a model for real: the packaged encoder, trained on a part of the sample."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from apps.support.bootstrap import served_support
from apps.support.commands.classify import classify
from apps.support.conversation.knowledge import SAMPLE_SOURCE, SAMPLES
from data_connectors.files import read_file
from models.registry import ModelRegistry, ModelVersion
from models.text_training import train_text_classifier
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import Recipe
from shared.records import OUT_OF_SCOPE, Dataset
from shared.serving.application import build_api
from shared.serving.guards.auth import Authenticator
from shared.settings import Settings
from shared.storage.engine import open_database

pytestmark = pytest.mark.integration

SLOWNESS = 5
"""How much longer than promised a machine may take that does other work besides."""

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
INTENTS = {
    "cancel_order",
    "gift_card",
    "request_invoice",
    "talk_to_person",
    "unsubscribe_newsletter",
}


@pytest.fixture(scope="module")
def few_intents() -> Dataset:
    """A part of the sample that trains in seconds, strays included."""
    sample = read_file(SAMPLES / "utterances.csv")
    kept = tuple(one for one in sample.examples if one.label in {*INTENTS, OUT_OF_SCOPE})
    return replace(sample, examples=kept)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, few_intents: Dataset) -> Path:
    """A home whose registry has one version in use."""
    folder = tmp_path_factory.mktemp("home")
    version = train_text_classifier(
        few_intents,
        app="support",
        recipe=Recipe(method="head", target_error=0.2),
        encoder=None,
        registry=registry(folder),
        now=NOW,
        seed=1,
        report=SilentProgress(),
        source=SAMPLE_SOURCE,
    ).version
    registry(folder).promote("support", version.name, gate=None, author="test", now=NOW)
    return folder


def registry(home: Path) -> ModelRegistry:
    return ModelRegistry(home / "models")


def made_again(home: Path) -> ModelVersion:
    """The content of the version in use as a version of its own, an hour younger."""
    store = registry(home)
    used = store.get("support")

    def copy(folder: Path) -> None:
        shutil.copytree(used.folder, folder, dirs_exist_ok=True)
        (folder / "manifest.json").unlink()

    later = NOW + timedelta(hours=1)
    return store.add("support", card=used.card, write=copy, now=later)


@pytest.fixture
def client(home: Path, tmp_path: Path) -> Iterator[TestClient]:
    """The application over that home, with a fresh database, once it is ready."""
    engine = open_database(f"sqlite:///{tmp_path / 'support.sqlite3'}")
    served = served_support(Settings(home=home), engine, registry(home), poll_seconds=0.1)
    api = build_api(served=[served], authenticator=Authenticator(None, False))
    with TestClient(api) as ready:
        end = time.monotonic() + 60
        while ready.get("/readyz").status_code != 200:
            assert time.monotonic() < end, ready.get("/readyz").text
            time.sleep(0.05)
        yield ready
    engine.dispose()


def test_a_person_is_called_and_the_faq_answers(client: TestClient) -> None:
    asked = client.post("/v1/support/chat", json={"text": "let me talk to a human please"}).json()
    assert (asked["action"], asked["intent"]) == ("handoff", "talk_to_person")
    assert asked["reason"] == "the customer asks for a person"
    faq = client.post("/v1/support/chat", json={"text": "are your candles vegan"}).json()
    assert faq["action"] == "answer", faq
    assert (faq["source"]["kind"], faq["source"]["title"]) == ("faq", "Are your candles vegan?")


def test_an_explanation_names_neighbours_and_words(client: TestClient) -> None:
    body = {"text": "I want to cancel my order, mail me at ada@example.org"}
    told = client.post("/v1/support/explain", json=body).json()
    assert told["intent"] == "cancel_order"
    assert {one["intent"] for one in told["neighbours"]} == {"cancel_order"}
    similarities = [one["similarity"] for one in told["neighbours"]]
    assert similarities == sorted(similarities, reverse=True)
    weights = {one["token"]: one["weight"] for one in told["tokens"]}
    assert max(weights, key=lambda token: weights[token]) == "cancel"
    assert not any("ada" in token for token in weights)


def test_an_upload_is_checked(client: TestClient, few_intents: Dataset) -> None:
    lines = [f'"{one.text}",{one.label}' for one in few_intents.examples if '"' not in one.text]
    lines.append(f'"{few_intents.examples[0].text}",{few_intents.examples[0].label}')
    content = "\n".join(["message,topic", *lines]).encode()
    answer = client.post(
        "/v1/support/check",
        files={"file": ("mine.csv", content)},
        data={"text_column": "message", "label_column": "topic"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["classes"] == 5
    wrong = client.post(
        "/v1/support/check",
        files={"file": ("mine.csv", content)},
        data={"text_column": "nothing", "label_column": "topic"},
    )
    assert wrong.status_code == 422
    assert wrong.json()["error"] == "unknown_column"


def test_an_intent_added_over_http_is_served_at_once(client: TestClient) -> None:
    examples = [
        "the kettle leaks", "water runs out of my kettle", "kettle does not boil",
        "the new kettle drips at the spout", "my kettle stays cold", "steam leaks from the lid",
    ]  # fmt: skip
    body = {
        "name": "kettle_trouble",
        "answer": "Descale it first.",
        "examples": examples,
        "author": "Ada",
    }
    report = client.post("/v1/support/intents", json=body)
    assert report.status_code == 200, report.text
    assert report.json()["promoted"], report.json()
    shown = client.get("/v1/support/intents").json()
    assert shown["version"] == report.json()["version"]
    added = next(one for one in shown["intents"] if one["name"] == "kettle_trouble")
    assert (added["answer"], added["examples"]) == ("Descale it first.", 6)
    again = client.post("/v1/support/intents", json=body)
    assert (again.status_code, again.json()["error"]) == (409, "conflict")


def test_a_promotion_by_another_process_is_served_within_two_seconds(
    client: TestClient, home: Path
) -> None:
    before = registry(home).in_use("support")
    version = made_again(home)
    other_process = registry(home)
    other_process.promote("support", version.name, gate=None, author="b", now=NOW, force=True)
    began = time.monotonic()
    seen: list[str] = []
    while not seen or seen[-1] != version.name:
        answer = client.post("/v1/support/classify", json={"texts": ["cancel my order"]})
        assert answer.status_code == 200
        seen.append(answer.json()["version"])
        assert time.monotonic() - began < 2 * SLOWNESS, seen[-1]
    assert set(seen) <= {before, version.name}


def test_the_command_classifies_as_the_desk_does(
    home: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIPTYCH_HOME", str(home))
    texts = ["cancel my order", "call me at ada@example.org"]
    done = CliRunner().invoke(classify, [*texts, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    served = client.post("/v1/support/classify", json={"texts": texts}).json()
    assert printed["version"] == served["version"]
    for mine, theirs in zip(printed["results"], served["results"], strict=True):
        assert mine["confidence"] == pytest.approx(theirs["confidence"], abs=1e-4)
        assert (mine["text"], mine["intent"], mine["action"]) == (
            theirs["text"],
            theirs["intent"],
            theirs["action"],
        )
    assert "ada@" not in done.output
    unknown = CliRunner().invoke(classify, ["x", "--version", "20000101"])
    assert unknown.exit_code == 1
    assert "20000101" in unknown.output
