"""The real public data sets, as published."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from data_connectors.files import read_file
from data_connectors.public_datasets import load_public_dataset
from data_connectors.sources import load_dataset, load_train_test
from shared.records import OUT_OF_SCOPE, Dataset
from shared.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def load(public_data: Path, tmp_path: Path):  # type: ignore[no-untyped-def]
    def load(name: str, rejects: Path | None = None) -> Dataset:
        return load_public_dataset(
            name, folder=public_data, cache=tmp_path / "never", rejects=rejects
        )

    yield load
    assert not (tmp_path / "never").exists()


def splits(dataset: Dataset) -> Counter[str | None]:
    return Counter(example.split for example in dataset.examples if example.in_scope)


def test_banking77(load) -> None:  # type: ignore[no-untyped-def]
    dataset = load("banking77")
    assert splits(dataset) == {"train": 10_003, "test": 3_080}
    assert len(dataset.labels) == 77
    assert {"Refund_not_showing_up", "reverted_card_payment?"} <= set(dataset.labels)
    assert dataset.rejects == ()
    per_label = Counter(example.label for example in dataset.examples if example.split == "test")
    assert set(per_label.values()) == {40}


@pytest.mark.parametrize("shots", [5, 10])
def test_few_shot_draws_keep_the_whole_test_split(load, shots: int) -> None:  # type: ignore[no-untyped-def]
    dataset = load(f"banking77-{shots}shot")
    assert splits(dataset) == {"train": 77 * shots, "test": 3_080}
    assert dataset.labels == load("banking77").labels
    train = Counter(example.label for example in dataset.examples if example.split == "train")
    assert set(train.values()) == {shots}


def test_clinc150(load) -> None:  # type: ignore[no-untyped-def]
    dataset = load("clinc150")
    assert splits(dataset) == {"train": 15_000, "validation": 3_000, "test": 4_500}
    assert len(dataset.labels) == 150
    outside = Counter(e.split for e in dataset.examples if not e.in_scope)
    assert outside == {"train": 100, "validation": 100, "test": 1_000}


def test_banking77_oos(load, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    rejects = tmp_path / "rejects.jsonl"
    dataset = load("banking77-oos", rejects)
    assert len(dataset.labels) == 50
    assert splits(dataset) == {"train": 5_903, "validation": 1_506, "test": 2_000}
    outside = [example for example in dataset.examples if not example.in_scope]
    assert Counter((e.split, e.details["kind"]) for e in outside) == {
        ("validation", "near"): 528,
        ("validation", "far"): 200,
        ("test", "near"): 1_076,
        ("test", "far"): 1_000,
    }
    assert {example.label for example in outside} == {OUT_OF_SCOPE}
    held_out = {e.details["intent"] for e in outside if e.details["kind"] == "near"}
    assert len(held_out) == 27
    assert not held_out & set(dataset.labels)
    # Blank lines that line breaks inside texts left in the published files.
    assert {reject.reason for reject in dataset.rejects} == {"the text is blank"}
    assert len(dataset.rejects) == 8
    rows = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert rows[0]["line"] == 3_997
    assert rows[0]["row"]["file"] == "banking77_oos/train/seq.in"


def test_sources_find_the_same_by_name_and_by_path(public_data: Path, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", data=public_data)
    named = load_dataset("banking77", settings=settings)
    folder = public_data / "banking77"
    by_path = load_train_test(
        str(folder / "train.csv"), str(folder / "test.csv"), settings=settings
    )
    assert by_path.examples == named.examples
    assert not settings.home.exists()


def test_a_file_in_another_encoding_holds_the_same(public_data: Path, tmp_path: Path) -> None:
    """Real rows, so written that delimiter, encoding and line ends all have to be found."""
    original = read_file(public_data / "banking77" / "test.csv")
    path = tmp_path / "test.txt"
    with path.open("w", encoding="utf-16", newline="") as file:
        writer = csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL)
        writer.writerow(["sep", "label"])
        writer.writerows((example.text, example.label) for example in original.examples)
    read = read_file(path, text_column="sep")
    assert read.examples == original.examples


@pytest.mark.parametrize(
    ("name", "negative", "neutral", "positive"),
    [
        ("phrasebank-50", 604, 2_879, 1_363),
        ("phrasebank-66", 514, 2_535, 1_168),
        ("phrasebank-75", 420, 2_146, 887),
        ("phrasebank-all", 303, 1_391, 570),
    ],
)
def test_phrasebank(load, name: str, negative: int, neutral: int, positive: int) -> None:  # type: ignore[no-untyped-def]
    dataset = load(name)
    counts = Counter(example.label for example in dataset.examples)
    assert counts == {"negative": negative, "neutral": neutral, "positive": positive}
    assert splits(dataset) == {None: len(dataset.examples)}
    agreed = Counter(example.details["agreement"] for example in dataset.examples)
    assert agreed["all"] == 2_264
    assert sum(agreed.values()) == len(dataset.examples)


def test_phrasebank_reads_its_legacy_characters(load) -> None:  # type: ignore[no-untyped-def]
    assert any("\u00e4" in example.text for example in load("phrasebank-all").examples)


def test_sentfin_asks_about_each_entity(load, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    dataset = load("sentfin", tmp_path / "rejects.jsonl")
    assert len(dataset.examples) + len(dataset.rejects) == 14_409
    assert len(dataset.rejects) < 30
    headlines = {example.group: example.split for example in dataset.examples}
    assert 0.18 < Counter(headlines.values())["test"] / len(headlines) < 0.22
    conflicts = {e.group for e in dataset.examples if e.details.get("conflict")}
    assert 1_200 < len(conflicts) <= 1_235
    for example in dataset.examples:
        assert example.details["entity"].casefold() in example.text.casefold()


def test_headlines_of_one_sentiment_stand_alone(load) -> None:  # type: ignore[no-untyped-def]
    headlines, asked = load("sentfin-headlines"), load("sentfin")
    asked_some = {example.group for example in asked.examples[:600]}
    said = {group: {e.label for e in asked.examples if e.group == group} for group in asked_some}
    assert {e.text for e in headlines.examples} & asked_some == {
        group for group, labels in said.items() if len(labels) == 1
    }
    home = {e.group: e.split for e in asked.examples}
    assert all(example.split == home[example.text] for example in headlines.examples)
