"""Changed texts: repeatable, never blank, brackets untouched, and worth training on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.encoder_store import load_encoder
from models.text_classifier import ClassificationHead, TextClassifier
from shared.errors import SettingsError
from shared.evaluation.robustness import Robustness, measure_robustness, with_typos
from shared.finetuning.augmentation import (
    BRACKETED,
    CASES,
    NEIGHBOURS,
    OPENINGS,
    AugmentationSettings,
    TextNoise,
    mistype,
)
from shared.finetuning.hardware import Hardware
from shared.finetuning.loop import LabelledTokens, predict_logits, train
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

TEXTS = [
    "where is my parcel, it should have come on Monday",
    "[ Orrin ] beats Tarn by a mile while [ Quell Group ] falls",
    "please refund the money to [email] today",
    "x",
]
EVERYTHING = AugmentationSettings(share=1.0, characters=0.8, word_drop=0.5, case=0.8, openings=0.5)


def only(**fields: float) -> AugmentationSettings:
    return AugmentationSettings(
        **{"share": 1.0, "characters": 0, "word_drop": 0, "case": 0, "openings": 0, **fields}
    )


def test_one_seed_and_epoch_give_one_reading() -> None:
    noise = TextNoise(EVERYTHING, 3)
    assert noise.vary(TEXTS, 2) == TextNoise(EVERYTHING, 3).vary(TEXTS, 2)
    assert noise.vary(TEXTS, 2) != noise.vary(TEXTS, 3)
    assert noise.vary(TEXTS, 2) != TextNoise(EVERYTHING, 4).vary(TEXTS, 2)


def test_a_share_of_the_texts_is_changed() -> None:
    texts = [f"{TEXTS[0]} {number}" for number in range(400)]
    for share, low, high in ((0.0, 0, 0), (0.25, 70, 130), (1.0, 390, 400)):
        changed = AugmentationSettings(share=share, characters=0.5, openings=0.9)
        varied = TextNoise(changed, 1).vary(texts, 0)
        count = sum(a != b for a, b in zip(varied, texts, strict=True))
        assert low <= count <= high


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.integers(0, 99))
def test_no_text_becomes_blank_and_brackets_stand(text: str, epoch: int) -> None:
    (varied,) = TextNoise(EVERYTHING, 1).vary([text], epoch)
    assert varied.strip() or not text.strip()
    assert BRACKETED.findall(varied) == BRACKETED.findall(text)


def test_companies_and_masked_data_are_kept_with_their_surroundings() -> None:
    for epoch in range(50):
        varied = TextNoise(EVERYTHING, 1).vary(TEXTS, epoch)
        assert varied[1].count("[ Orrin ]") == varied[1].count("[ Quell Group ]") == 1
        assert varied[1].index("[ Orrin ]") < varied[1].index("[ Quell Group ]")
        assert "[email]" in varied[2]


def test_words_are_left_out_by_their_share() -> None:
    text = " ".join(f"word{number}" for number in range(100))
    noise = TextNoise(only(word_drop=0.2), 1)
    kept = [len(noise.vary([text], epoch)[0].split()) for epoch in range(40)]
    assert 76 < np.mean(kept) < 84
    alone = TextNoise(only(word_drop=0.99), 1)
    assert {len(alone.vary(["a b c"], epoch)[0].split()) for epoch in range(30)} <= {1, 2}


def test_words_are_mistyped_by_their_share() -> None:
    words = ["parcel"] * 100
    varied = [TextNoise(only(characters=0.3), 1).vary([" ".join(words)], e)[0] for e in range(40)]
    wrong = [sum(word != "parcel" for word in text.split(" ")) for text in varied]
    assert all(len(text.split(" ")) == 100 for text in varied)
    assert 26 < np.mean(wrong) < 34


def test_a_typing_error_is_one_of_four() -> None:
    kinds = set()
    for seed in range(300):
        typed = mistype("parcel", np.random.default_rng(seed))
        if len(typed) == 5:
            assert any(typed == "parcel"[:i] + "parcel"[i + 1 :] for i in range(6))
            kinds.add("lost")
        elif len(typed) == 7:
            assert any(typed == "parcel"[:i] + "parcel"[i] + "parcel"[i:] for i in range(6))
            kinds.add("doubled")
        else:
            differ = [i for i in range(6) if typed[i] != "parcel"[i]]
            if len(differ) == 2:
                first, second = differ
                assert second == first + 1
                assert typed[first] + typed[second] == "parcel"[second] + "parcel"[first]
                kinds.add("swapped")
            elif differ:
                (place,) = differ
                assert typed[place] in NEIGHBOURS["parcel"[place]]
                kinds.add("beside")
    assert kinds == {"lost", "doubled", "swapped", "beside"}


@pytest.mark.parametrize("word", ["", "a", "is", "12345", "£9.99", "--"])
def test_short_words_and_numbers_are_typed_right(word: str) -> None:
    assert all(mistype(word, np.random.default_rng(seed)) == word for seed in range(20))


def test_neighbouring_keys_are_mutual() -> None:
    assert set(NEIGHBOURS["s"]) == set("qweadzxc")
    assert all(key in NEIGHBOURS[near] for key in NEIGHBOURS for near in NEIGHBOURS[key])
    assert all(key not in NEIGHBOURS[key] for key in NEIGHBOURS)


def test_case_and_openings_come_alone() -> None:
    text = "Where IS my parcel"
    cases = {TextNoise(only(case=1.0), 1).vary([text], epoch)[0] for epoch in range(60)}
    assert cases == {recase(text) for recase in CASES}
    opened = {TextNoise(only(openings=1.0), 1).vary([text], epoch)[0] for epoch in range(400)}
    assert opened == {f"{opening} {text}" for opening in OPENINGS}


class Shout:
    def augment(self, text: str, generator: np.random.Generator) -> str:
        assert "[" not in text
        return text.replace("my", "MY" * int(generator.integers(1, 3)))


class Silence:
    def augment(self, text: str, generator: np.random.Generator) -> str:
        return " "


class Bracket:
    def augment(self, text: str, generator: np.random.Generator) -> str:
        return f"[{text}"


def test_another_augmenter_joins_in_and_cannot_empty_or_mark_a_text() -> None:
    text = "[ my ] is my parcel"
    varied = {TextNoise(only(), 1, [Shout()]).vary([text], epoch)[0] for epoch in range(20)}
    assert varied == {"[ my ] is MY parcel", "[ my ] is MYMY parcel"}
    for bad in (Silence(), Bracket()):
        assert TextNoise(only(), 1, [bad]).vary([text], 0) == [text]


@pytest.mark.parametrize("field", ["share", "characters", "word_drop", "case", "openings"])
def test_shares_are_shares(field: str) -> None:
    for value in (-0.1, 1.5):
        with pytest.raises(SettingsError, match=field):
            make_recipe(**{f"augmentation.{field}": value})


CUES = [["refund", "money"], ["parcel", "track"], ["invoice", "quark"]]
"""No encoder here knows the last word: plain training takes unknown words for a sign of a class."""


def messages(count: int, seed: int) -> tuple[list[str], np.ndarray]:
    draw = np.random.default_rng(seed)
    truth = np.arange(count) % 3
    texts = []
    for label in truth:
        words = [*draw.choice(WORDS[24:], size=4), *CUES[label]]
        texts.append(" ".join(draw.permutation(words)))
    return texts, truth


def measured(folder: Path, share: float) -> Robustness:
    chosen = make_recipe(
        epochs=15, batch_size=16, learning_rate=2e-3, freeze_at=(), dropout=0,
        augmentation={"share": share, "characters": 0.4, "openings": 0.0},
    )  # fmt: skip
    encoder = load_encoder(folder)
    texts, truth = messages(120, 0)
    weight = torch.randn(3, encoder.dimensions, generator=torch.Generator().manual_seed(1))
    head = ClassificationHead(weight, torch.zeros(3), 10.0, cosine=True)
    classifier = TextClassifier(encoder, head)
    noise = TextNoise(chosen.augmentation, chosen.seed)
    train(
        classifier, LabelledTokens(encoder.tokenise(texts), truth), None, classes=3,
        recipe=chosen, hardware=Hardware("cpu", "fp32", "test"), report=SilentProgress(),
        variants=lambda epoch: encoder.tokenise(noise.vary(texts, epoch)),
    )  # fmt: skip

    def predict(read: object) -> np.ndarray:
        tokens = encoder.tokenise(read)  # type: ignore[arg-type]
        return predict_logits(classifier, tokens, Hardware("cpu", "fp32", "test")).argmax(1)

    unseen, labels = messages(300, 1)
    return measure_robustness(unseen, labels, predict, changes={"typos": _many_typos})


def _many_typos(text: str, generator: np.random.Generator) -> str:
    return with_typos(with_typos(text, generator), generator)


def test_an_augmented_model_loses_less_to_typing_errors(tmp_path: Path) -> None:
    """Word-level tokens: a mistyped word is an unknown one."""
    folder = tiny_encoder(tmp_path)
    plain, augmented = measured(folder, 0.0), measured(folder, 0.8)
    assert plain.clean > 0.9
    assert augmented.clean > 0.9
    assert plain.lost("typos") > 0.1
    assert augmented.lost("typos") < 0.5 * plain.lost("typos")
