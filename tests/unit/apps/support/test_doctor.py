"""The data doctor gathers its evidence honestly: no text is judged by a model that saw it."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from apps.support.doctor import check_dataset, count_pieces, predict_out_of_fold, stratified_folds
from shared.finetuning.progress import SilentProgress
from shared.records import OUT_OF_SCOPE, Dataset, Example, Reject
from tests.fakes.word_encoder import WordEncoder

pytestmark = pytest.mark.unit

TELLING = {
    "refund": ["refund", "money"],
    "track": ["parcel", "track"],
    "cancel": ["cancel", "stop"],
}
FILLERS = ["please", "today", "quickly", "for me", "thanks", "now", "again", "hello"]


def shop(*more: Example) -> Dataset:
    """48 messages of three intents, and more."""
    examples = [
        Example(f"{word} {filler}", intent)
        for intent, words in TELLING.items()
        for word, filler in product(words, FILLERS)
    ]
    return Dataset("shop", (*examples, *more))


def kinds(dataset: Dataset) -> dict[str, list[int]]:
    report = check_dataset(dataset, encoder=WordEncoder())
    return {finding.kind: finding.rows for finding in report.findings}


def test_clean_data_gets_a_clean_report() -> None:
    report = check_dataset(shop(), encoder=WordEncoder())
    assert (report.rows, report.rejected, report.classes, report.warnings) == (48, 0, 3, 0)
    assert report.findings == []


def test_a_wrong_label_is_found_by_its_row_counted_from_one() -> None:
    found = kinds(shop(Example("track parcel at once", "refund")))
    assert found["likely_wrong_label"] == [49]


def test_every_kind_of_evidence_reaches_the_findings() -> None:
    found = kinds(
        shop(
            Example("Refund  please", "refund"),
            Example("cancel today", "track"),
            Example("stop\u200bnow", "cancel"),
            Example("parcel " * 20, "track"),
            Example("посылка потеряна", "track"),
            Example("lonely", "tiny"),
            Example("who is the president", OUT_OF_SCOPE),
        )
    )
    assert found["duplicate"] == [49]
    assert sorted(found["conflicting_duplicate"]) == [34, 50]
    assert found["invisible_character"] == [51]
    assert found["truncated_text"] == [52]
    assert found["unknown_script"] == [53]
    assert found["tiny_class"] == [54]


def test_rejected_rows_are_a_warning() -> None:
    dataset = shop()
    rejects = (Reject(7, "the text is blank", {}), Reject(9, "the label is blank", {}))
    report = check_dataset(Dataset("shop", dataset.examples, rejects), encoder=WordEncoder())
    assert (report.rejected, report.warnings) == (2, 1)
    assert "line 7: the text is blank" in report.findings[0].message
    assert report.findings[0].details["lines"] == "7, 9"


def test_personal_data_is_not_quoted() -> None:
    text = "write to john@example.com"
    report = check_dataset(
        shop(Example(text, "refund"), Example(text, "track")), encoder=WordEncoder()
    )
    (finding,) = (one for one in report.findings if one.kind == "conflicting_duplicate")
    assert "write to [email]" in finding.message
    assert "john" not in report.model_dump_json()


def test_the_same_seed_gives_the_same_report() -> None:
    dataset = shop(Example("track parcel at once", "refund"))
    first, second = (
        check_dataset(dataset, encoder=WordEncoder(), seed=5).model_dump(exclude={"seconds"})
        for _ in range(2)
    )
    assert first == second


def test_a_text_that_comes_again_is_embedded_once() -> None:
    encoder = WordEncoder()
    check_dataset(shop(Example("refund please", "refund")), encoder=encoder)
    assert len(encoder.embedded) == 48


def test_folds_spread_each_class_and_keep_equal_texts_together() -> None:
    dataset = shop(
        *[Example("Refund  PLEASE", "refund")] * 3,
        Example("once", "single"),
        Example("far off", OUT_OF_SCOPE),
    )
    fold_of = stratified_folds(dataset, folds=4, seed=1)
    assert sorted(fold_of) == list(range(51))
    assert len({fold_of[row] for row in (0, 48, 49, 50)}) == 1
    for intent in TELLING:
        sizes = np.bincount(
            [fold_of[row] for row in range(48) if dataset.examples[row].label == intent]
        )
        assert sizes.tolist() == [4, 4, 4, 4]


def test_probabilities_come_from_models_that_did_not_see_the_text() -> None:
    # Texts of random words: nothing can be learned, so only a model that saw them is right.
    random = np.random.default_rng(0)
    examples = tuple(
        Example(f"w{random.integers(10**9)} w{random.integers(10**9)}", f"label{row % 2}")
        for row in range(120)
    )
    vectors = WordEncoder().embed([example.text for example in examples])
    result = predict_out_of_fold(
        Dataset("noise", examples), vectors, seed=0, report=SilentProgress()
    )
    assert result is not None
    right = (result.probabilities.argmax(axis=1) == result.truth).mean()
    assert right < 0.65
    assert result.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert result.classes == ("label0", "label1")


def test_data_too_small_to_judge_is_still_checked() -> None:
    dataset = Dataset("two", (Example("a b", "x"), Example("c d", "y")))
    found = kinds(dataset)
    assert set(found) == {"tiny_class"}


def test_pieces_are_counted_without_special_tokens() -> None:
    pieces = count_pieces(WordEncoder(max_length=10), ["one two", "три four five"])  # type: ignore[arg-type]
    assert pieces.counts.tolist() == [2, 3]
    assert pieces.unknown.tolist() == [0, 1]
    assert pieces.longest == 8
