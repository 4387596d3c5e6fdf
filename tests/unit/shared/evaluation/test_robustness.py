"""What is lost under changed texts, counted by hand, with sentences that no training has seen."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from shared.evaluation.robustness import (
    CHANGES,
    NAMESPACE,
    PREFIXES,
    SYNONYMS,
    TYPO_SHARE,
    in_another_case,
    measure_robustness,
    perturb,
    with_lost_spaces,
    with_prefix,
    with_synonyms,
    with_typos,
)
from shared.evaluation.summary_table import print_summary
from shared.finetuning.augmentation import BRACKETED, OPENINGS, AugmentationSettings, TextNoise

pytestmark = pytest.mark.unit

TEXT = "I need help because my parcel got lost on the way to [ Orrin ] last Monday"


def draw(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_what_is_lost_is_counted_by_hand() -> None:
    texts = ["a one", "b two", "a three", "b four"]
    truth = np.array([0, 1, 0, 0])
    asked: list[int] = []

    def predict(read: Sequence[str]) -> np.ndarray:
        asked.append(len(read))
        return np.array([0 if text.startswith("a") else 1 for text in read])

    changes = {
        "none": lambda text, _: text,
        "first letter": lambda text, _: "z" + text[1:] if text == "a three" else text,
        "coin": lambda text, chance: "a" if text == "b four" and chance.random() < 0.5 else text,
    }
    found = measure_robustness(texts, truth, predict, draws=8, changes=changes)
    assert found.clean == 0.75
    assert found.under["none"].accuracies == (0.75,) * 8
    assert found.under["none"].changed == 0.0
    assert found.under["first letter"].accuracies == (0.5,) * 8
    assert found.lost("first letter") == 0.25
    assert found.under["first letter"].changed == 0.25
    assert set(found.under["coin"].accuracies) == {0.75, 1.0}, "draws differ"
    assert found.lost("coin") < 0
    assert set(asked) == {4, 1}, "only what changed is read again"
    told = json.loads(json.dumps(found.as_json()))
    assert told["under"]["first letter"] == {
        "accuracy": 0.5, "lost": 0.25, "draws": [0.5] * 8, "changed": 0.25,
    }  # fmt: skip
    again = measure_robustness(texts, truth, predict, draws=8, changes=changes)
    other = measure_robustness(texts, truth, predict, draws=8, changes=changes, seed=9)
    assert again.under["coin"].accuracies == found.under["coin"].accuracies
    assert other.under["coin"].accuracies != found.under["coin"].accuracies


@pytest.mark.parametrize(("texts", "labels"), [([], []), (["a"], [0, 1])])
def test_texts_and_labels_must_agree(texts: list[str], labels: list[int]) -> None:
    with pytest.raises(ValueError, match="to measure on"):
        measure_robustness(texts, np.array(labels, dtype=np.int64), lambda t: np.zeros(len(t)))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.integers(0, 50), st.sampled_from(sorted(CHANGES)))
def test_brackets_stand_and_nothing_becomes_blank(text: str, seed: int, name: str) -> None:
    (changed,) = perturb([text], CHANGES[name], (seed,))
    assert changed.strip() or not text.strip()
    assert BRACKETED.findall(changed) == BRACKETED.findall(text)


def test_a_fifth_of_the_words_is_mistyped_one_at_least() -> None:
    words = " ".join(["parcel"] * 20)
    for seed in range(20):
        wrong = sum(w != "parcel" for w in with_typos(words, draw(seed)).split())
        assert round(TYPO_SHARE * 20) - 2 <= wrong <= round(TYPO_SHARE * 20)
    assert any(with_typos("refund", draw(seed)) != "refund" for seed in range(3))
    assert with_typos("is it", draw()) == "is it"


def test_two_words_run_together() -> None:
    joined = {with_lost_spaces("one two three", draw(seed)) for seed in range(20)}
    assert joined == {"onetwo three", "one twothree"}
    assert with_lost_spaces("alone", draw()) == "alone"


def test_case_changes_and_letters_stay() -> None:
    seen = {in_another_case(TEXT, draw(seed)) for seed in range(30)}
    assert len(seen) > 3
    assert all(text.lower() == TEXT.lower() and "[ Orrin ]" in text for text in seen)


def test_a_prefix_stands_before_the_text() -> None:
    seen = {with_prefix(TEXT, draw(seed)) for seed in range(300)}
    assert seen == {f"{prefix} {TEXT}" for prefix in PREFIXES}


def test_synonyms_take_their_places_and_keep_capitals() -> None:
    assert with_synonyms("Need", draw()) == "Require"
    assert with_synonyms("my cat sat", draw()) == "my cat sat"
    swapped = {with_synonyms("I need help.", draw(seed)) for seed in range(30)}
    assert swapped == {"I require help.", "I need assist.", "I require assist."}
    assert with_synonyms("[ need ] cats", draw()) == "[ need ] cats"


def test_synonyms_are_mutual_and_lower_case() -> None:
    for word, others in SYNONYMS.items():
        assert others
        assert word == word.lower()
        assert word not in others
        assert all(word in SYNONYMS[other] for other in others if " " not in other)


def test_the_measure_shares_no_sentence_and_no_draw_with_training() -> None:
    def plain(sentence: str) -> str:
        return "".join(c for c in sentence.lower() if c.isalpha())

    assert not {plain(s) for s in OPENINGS} & {plain(s) for s in PREFIXES}
    assert len(set(PREFIXES)) == len(PREFIXES) >= 12
    texts = [f"{TEXT} {number}" for number in range(30)]
    settings_ = AugmentationSettings(
        share=1.0, characters=TYPO_SHARE, word_drop=0, case=0, openings=0
    )
    trained = {
        t for s in range(3) for e in range(20) for t in TextNoise(settings_, s).vary(texts, e)
    }
    measured = set(perturb(texts, with_typos, (0, 0, 0)))
    assert len(measured & trained) < 3
    assert NAMESPACE > 2**16, "no seed or epoch that a person would choose"


def test_the_table_names_every_change() -> None:
    summary = {
        "app": "support", "version": "v", "method": "full", "encoder": "tiny", "seed": 1,
        "data": {"name": "d", "train": 1, "validation": 1, "gate": 1, "test": 1},
        "seconds": {"train": 1.0}, "metrics": {"accuracy": 0.9},
        "robustness": {"clean": 0.9, "under": {"typos": {"accuracy": 0.8345, "lost": 0.0655}}},
    }  # fmt: skip
    stream = io.StringIO()
    print_summary(summary, Console(file=stream, width=100))
    assert "typos" in stream.getvalue()
    assert "83.45 %, 6.55" in stream.getvalue()
    del summary["robustness"]
    print_summary(summary, Console(file=(other := io.StringIO()), width=100))
    assert "typos" not in other.getvalue()
