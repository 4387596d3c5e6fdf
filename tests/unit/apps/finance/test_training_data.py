"""Labels by name, companies marked, headlines whole."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from apps.finance.training_data import SAMPLE_SOURCE, as_questions, load_source, with_corrections
from data_connectors.data_source import DataSource, rejects_path
from models.text_training import prepare_data
from shared.errors import EmptyData
from shared.records import SPLIT_NAMES, Dataset, Example
from shared.settings import Settings

pytestmark = pytest.mark.unit


def about(text: str, label: str, entity: str | None = None) -> Example:
    details = {} if entity is None else {"entity": entity}
    return Example(text, label, details=MappingProxyType(details))


def test_the_company_is_marked_and_the_whole_is_not() -> None:
    asked = as_questions(
        Dataset(
            "d", (about("Orrin beats Tarn", "positive", "Orrin"), about("Rates [hold]", "neutral"))
        )
    )
    assert [one.text for one in asked.examples] == ["[ Orrin ] beats Tarn", "Rates (hold)"]
    assert [one.details["asked"] for one in asked.examples] == ["company", "whole"]


def test_all_questions_about_a_headline_are_one_group() -> None:
    headline = "Orrin beats Tarn"
    asked = as_questions(
        Dataset("d", (about(headline, "positive", "Orrin"), about(headline, "negative", "Tarn")))
    )
    assert {one.group for one in asked.examples} == {headline}
    assert {one.details["conflict"] for one in asked.examples} == {"yes"}


def test_one_sentiment_in_two_spellings_is_no_conflict() -> None:
    headline = "Orrin and Tarn soar"
    asked = as_questions(
        Dataset("d", (about(headline, "positive", "Orrin"), about(headline, "POS", "Tarn")))
    )
    assert [one.details["conflict"] for one in asked.examples] == ["no", "no"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("Positive", "positive"), ("bearish", "negative"), (" NEU ", "neutral"), ("mixed", "neutral")],
)
def test_labels_are_known_by_their_names(written: str, meant: str) -> None:
    asked = as_questions(Dataset("d", (about("something", written), about("other", "negative"))))
    assert asked.examples[0].label == meant


def test_a_number_is_no_sentiment() -> None:
    asked = as_questions(Dataset("d", (about("something", "1"), about("other", "negative"))))
    assert [one.text for one in asked.examples] == ["other"]
    assert "'1' names no sentiment" in asked.rejects[0].reason


def test_a_company_that_is_not_in_the_text_is_a_reject() -> None:
    asked = as_questions(
        Dataset("d", (about("all quiet", "neutral", "Tarn"), about("other", "negative")))
    )
    assert "'Tarn' does not stand" in asked.rejects[0].reason


def test_nothing_usable_says_why() -> None:
    with pytest.raises(EmptyData, match="names no sentiment"):
        as_questions(Dataset("d", (about("one", "0"), about("two", "1"))))


def test_the_shipped_sample_is_split_by_headline(tmp_path: Path) -> None:
    dataset = load_source(DataSource(SAMPLE_SOURCE), Settings(home=tmp_path))
    assert dataset.labels == ("negative", "neutral", "positive")
    assert not dataset.rejects
    splits = prepare_data(dataset)
    groups = [{example.group for example in splits[name]} for name in SPLIT_NAMES]
    assert all(not one & other for i, one in enumerate(groups) for other in groups[:i])
    assert len({example.group for example in dataset.examples}) >= 600


def test_a_correction_wins_over_the_data_and_stays_with_its_headline() -> None:
    headline = "Orrin beats Tarn"
    asked = as_questions(
        Dataset("d", (about(headline, "neutral", "Orrin"), about("Rates hold", "neutral")))
    )
    said = Dataset(
        "feedback", (Example("[ Orrin ] beats Tarn", "positive"), Example(headline, "neutral"))
    )
    learned = with_corrections(asked, said)
    assert {(one.text, one.label) for one in learned.examples} == {
        ("[ Orrin ] beats Tarn", "positive"),
        ("Rates hold", "neutral"),
        (headline, "neutral"),
    }
    assert {one.group for one in learned.examples} == {headline, "Rates hold"}


def test_a_correction_to_no_sentiment_is_a_reject() -> None:
    asked = as_questions(Dataset("d", (about("Rates hold", "neutral"),)))
    learned = with_corrections(asked, Dataset("feedback", (Example("Rates hold", "boring"),)))
    assert learned.examples == asked.examples
    assert "'boring'" in learned.rejects[0].reason


def test_every_reject_is_in_the_file_that_is_told(tmp_path: Path) -> None:
    data = tmp_path / "news.csv"
    rows = "text,label,entity\nOrrin up,positive,Orrin\nquiet,neutral,Tarn\n,neutral,\nso,7,\n"
    data.write_text(rows, encoding="utf-8")
    settings = Settings(home=tmp_path / "home")
    dataset = load_source(DataSource(str(data)), settings)
    assert len(dataset.examples) == 1
    kept = rejects_path(settings).read_text(encoding="utf-8").splitlines()
    assert len(kept) == len(dataset.rejects) == 3
    assert any("does not stand in the text" in line for line in kept)
