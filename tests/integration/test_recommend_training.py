"""``triptych train recommend`` with a tiny encoder: fitted, measured, gated, kept."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from apps.recommend.commands.training import train
from apps.recommend.events.store import EventStore
from apps.recommend.items.store import ItemStore
from apps.recommend.serving.fitted import Encoding, loaded_bundle
from apps.recommend.training import fit_stored
from models.encoder_store import load_encoder
from models.recommendation.bundle import ENCODER, read_bundle, read_gate
from models.registry import ModelRegistry
from shared.catalogue import CatalogueItem
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.small_catalogue import histories_over, items_of
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.integration

ITEMS = items_of()
WORDS = sorted({word for item in ITEMS for word in item.whole.lower().split()})
USERS = 120
QUICK = ("--set", "tower_epochs=1", "--set", "tower_dimensions=12", "--set", "regularisation=5")


class Shop:
    """An installation, and the files that it trains on."""

    def __init__(self, folder: Path, users: int = USERS) -> None:
        encoder = tiny_encoder(folder / "encoder", words=WORDS)
        self.variables = {
            "TRIPTYCH_HOME": str(folder / "home"),
            "TRIPTYCH_ENCODER": str(encoder),
            "COLUMNS": "200",
        }
        settings = Settings(home=folder / "home")
        self.database = settings.database
        self.registry = ModelRegistry(settings.models)
        self.items, self.events = folder / "items.csv", folder / "events.csv"
        with self.items.open("w", newline="") as file:
            rows = [[item.id, item.title, item.text, "true"] for item in ITEMS]
            csv.writer(file).writerows([["id", "title", "text", "available"], *rows])
        self.write_events(users)

    def write_events(self, users: int, most: int = 100) -> None:
        """Events of so many users, at most so many each."""
        histories = histories_over(ITEMS, users=users)
        rows: list[list[Any]] = [["user", "item", "type", "time"]]
        for user in range(users):
            history = histories.of_user(user)
            for place, row in enumerate(history.rows.tolist()[:most]):
                kind = "dislike" if history.strengths[place] < 0 else "view"
                rows.append([f"u{user:03}", f"i{row}", kind, 1_770_000_000 + 1000 * user + place])
        with self.events.open("w", newline="") as file:
            csv.writer(file).writerows(rows)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(train, words, env=self.variables, catch_exceptions=False)

    def trained(self, *words: str) -> dict[str, Any]:
        result = self.run(*words, *QUICK, "--json")
        assert result.exit_code == 0, result.output
        return dict(json.loads(result.stdout))

    @property
    def files(self) -> tuple[str, ...]:
        return ("--items", str(self.items), "--events", str(self.events))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_a_bundle_is_fitted_measured_and_put_in_use(shop: Shop) -> None:
    summary = shop.trained(*shop.files)
    assert summary["promotion"]["promoted"]
    assert summary["protocol"] == "leave-one-out, test"
    assert (summary["data"]["items"], summary["data"]["synthetic"]) == (32, False)
    assert summary["metrics"]["ndcg@10"] > summary["ablations"]["popular"]["ndcg@10"]
    assert set(summary["ablations"]) == {"all", "behaviour", "text", "popular"}
    assert summary["ablations"]["all"]["ndcg@10"] == summary["metrics"]["ndcg@10"]
    assert "descending" not in summary["metrics"], "there are times"
    version = shop.registry.get("recommend")
    assert version.name == summary["version"]
    shop.registry.verify(version)
    held = read_gate(version.folder)
    assert len(held.targets) == summary["data"]["gate"] > 3
    assert version.card["blend"] == read_bundle(version.folder).blend.as_card()


def test_what_was_fitted_on_leaves_the_gate_out(shop: Shop) -> None:
    summary = shop.trained(*shop.files)
    folder = shop.registry.get("recommend").folder
    stored = EventStore(open_database(shop.database), "default")
    everything = stored.histories([item.id for item in ITEMS])
    assert summary["data"]["events"] == len(everything.rows)
    pairs = np.unique(everything.owners * everything.items + everything.rows)
    all_takers = np.bincount(pairs % everything.items, minlength=32)
    missing = all_takers - read_bundle(folder).takers
    assert missing.min() >= 0
    assert missing.sum() >= summary["data"]["gate"]


def test_the_data_set_is_in_the_catalogue_afterwards_and_can_be_fitted_again(shop: Shop) -> None:
    first = shop.trained(*shop.files)
    engine = open_database(shop.database)
    assert ItemStore(engine, "default").count() == 32
    again = shop.trained()
    assert again["data"]["name"] == "stored:default"
    assert again["promotion"] == {"promoted": False, "reason": "not asked for"}
    assert again["metrics"]["ndcg@10"] == pytest.approx(first["metrics"]["ndcg@10"], abs=0.1)
    assert again["data"]["events"] == first["data"]["events"]
    promoted = shop.trained("--promote")
    assert promoted["promotion"]["promoted"]
    assert "not worse" in promoted["promotion"]["reason"]
    assert shop.registry.in_use("recommend") == promoted["version"]


def test_one_seed_gives_one_set_of_numbers(shop: Shop) -> None:
    first, again = (shop.trained(*shop.files, "--seed", "7") for _ in range(2))
    for name in ("metrics", "ablations", "blend"):
        assert first[name] == again[name], name
    folder = [shop.registry.get("recommend", one["version"]).folder for one in (first, again)]
    for name in ("behaviour.safetensors", "texts.safetensors", "items.json", "gate.safetensors"):
        assert (folder[0] / name).read_bytes() == (folder[1] / name).read_bytes()


def test_without_a_test_the_numbers_are_of_validation(shop: Shop) -> None:
    summary = shop.trained(*shop.files, "--no-test")
    assert summary["protocol"].startswith("validation")
    assert summary["metrics"]["users"] > 50


def test_where_no_user_has_two_events_nothing_is_measured(shop: Shop) -> None:
    shop.write_events(10, most=1)
    summary = shop.trained(*shop.files)
    assert summary["protocol"].startswith("not measured")
    assert (summary["metrics"], summary["data"]["gate"]) == ({}, 0)
    assert summary["promotion"]["promoted"]
    table = shop.run(*shop.files, *QUICK)
    assert table.exit_code == 0, table.output
    assert "10 events of 10 users" in table.stdout


def test_items_without_events_are_not_fitted_on(shop: Shop) -> None:
    engine = open_database(shop.database)
    ItemStore(engine, "default").upsert(ITEMS, datetime(2026, 3, 1, tzinfo=UTC))
    result = shop.run("--json")
    assert result.exit_code == 1
    assert "load items and events" in result.stderr
    assert "reading" not in result.stderr, "no text is read in vain"


def test_tenants_have_bundles_of_their_own(shop: Shop) -> None:
    summary = shop.trained(*shop.files, "--tenant", "toys")
    assert (summary["app"], summary["tenant"]) == ("recommend_toys", "toys")
    assert shop.registry.in_use("recommend") is None
    engine = open_database(shop.database)
    assert ItemStore(engine, "default").count() == 0
    assert ItemStore(engine, "toys").count() == 32


def test_a_table_for_people(shop: Shop) -> None:
    result = shop.run(*shop.files, *QUICK)
    assert result.exit_code == 0, result.output
    for told in ("ndcg", "texts alone", "32 items", "in use", "sequence_linear"):
        assert told in result.stdout, told
    assert "generated behaviour" not in result.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "load items and events"),
        (("--set", "speed=3"), "no setting 'speed'"),
        (("--set", "past=0"), "at least 1"),
        (("--set", "history_decays=2"), "history_decays"),
        (("--items", "items.csv"), "--events"),
        (("--data", "no-such-data"), "no-such-data"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(shop: Shop, words: tuple[str, ...], told: str) -> None:
    result = shop.run(*words, "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert told in errors[0]
    assert shop.registry.versions("recommend") == []


def test_a_refit_keeps_recipe_seed_and_encoder_of_the_bundle_in_use(shop: Shop) -> None:
    first = shop.trained(*shop.files, "--seed", "7")
    engine = open_database(shop.database)
    again = fit_stored(
        Settings(home=Path(shop.variables["TRIPTYCH_HOME"])),  # names no encoder
        shop.registry,
        "default",
        EventStore(engine, "default").histories([item.id for item in ITEMS]),
        tuple(ItemStore(engine, "default").all()),
        datetime.now(UTC),
    )
    for name in ("encoder", "seed"):
        assert again.card[name] == first[name], name
    assert again.card["recipe"]["tower_dimensions"] == 12
    assert dict(again.card["recipe"]) == first["recipe"]
    assert dict(again.card["blend"]) == first["blend"], "about as many events: not chosen again"
    assert "held out of the fit" in again.card["protocol"]
    assert again.card["metrics"]["users"] == first["data"]["gate"]
    assert set(again.card["ablations"]) == {"all", "behaviour", "text", "popular"}


def test_a_refit_of_many_more_events_chooses_its_blend_again(shop: Shop) -> None:
    shop.write_events(USERS // 2)
    first = shop.trained(*shop.files, "--no-test")
    shop.write_events(USERS)
    engine = open_database(shop.database)
    histories = histories_over(ITEMS, users=USERS)
    again = fit_stored(
        Settings(home=Path(shop.variables["TRIPTYCH_HOME"])),
        shop.registry,
        "default",
        histories,
        tuple(ItemStore(engine, "default").all()),
        datetime.now(UTC),
    )
    assert first["blend_chosen_on"]["events"] < len(histories.rows)
    assert again.card["blend_chosen_on"]["events"] == len(histories.rows)
    assert again.card["protocol"].startswith("validation")


def test_a_tuned_encoder_goes_with_its_bundle_and_reads_what_comes_later(shop: Shop) -> None:
    summary = shop.trained(*shop.files, "--set", "encoder_steps=60")
    version = shop.registry.get("recommend")
    own, pretrained = (
        load_encoder(folder).embed([ITEMS[0].whole])
        for folder in (version.folder / ENCODER, summary["encoder"])
    )
    assert not np.allclose(own, pretrained, atol=1e-2), "sixty steps change it"
    np.testing.assert_allclose(read_bundle(version.folder).texts.encoded[0], own[0], atol=4e-3)
    settings = Settings(home=Path(shop.variables["TRIPTYCH_HOME"]), encoder=summary["encoder"])
    scorer = loaded_bundle(settings, shop.registry, Encoding(settings))(version)
    later = scorer.with_items([CatalogueItem("later", ITEMS[0].title, ITEMS[0].text)])
    np.testing.assert_allclose(later.vectors[-1], own[0], atol=4e-3)
