"""Augmenters that a recipe can name: ours, and a library behind the same seam."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import SettingsError
from shared.evaluation.robustness import SYNONYMS
from shared.finetuning import augmenters
from shared.finetuning.augmentation import AugmentationSettings, TextNoise
from shared.finetuning.augmenters import AUGMENTERS, PHRASES, LibraryNoise, Phrasing
from shared.finetuning.recipe import make_recipe

pytestmark = pytest.mark.unit

TEXTS = [
    "How do I cancel my order because it is late",
    "[ can I ] beats Tarn, but [ Quell Group ] does not",
    "Why is my card not working right now?",
]


def only(*names: str, characters: float = 0.0) -> AugmentationSettings:
    recipe = make_recipe(
        augmentation={
            "share": 1, "word_drop": 0, "case": 0, "openings": 0, "characters": characters,
            "augmenters": ",".join(names),
        }
    )  # fmt: skip
    return recipe.augmentation


def drawn(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_phrase_is_said_in_another_way() -> None:
    said = {Phrasing().augment("How do I pay", drawn(seed)) for seed in range(40)}
    assert said == {f"{other} pay" for other in (
        "How can I", "How would I", "What do I do to", "In what way can I"
    )}  # fmt: skip
    assert Phrasing().augment("thankſ, İt is", drawn(0)) == "thankſ, İt is"
    assert Phrasing().augment("refund", drawn(0)) == "refund"
    assert Phrasing().augment("theme is android", drawn(0)) == "theme is android"


def test_half_of_the_phrases_change_one_at_least() -> None:
    text = " ".join(["because"] * 200)
    changed = [Phrasing().augment(text, drawn(seed)).count("given") for seed in range(20)]
    assert 85 < np.mean(changed) < 115
    assert all(
        Phrasing().augment("but because", drawn(seed)) != "but because" for seed in range(20)
    )


def test_no_phrase_stands_in_two_groups_nor_in_the_measure_of_robustness() -> None:
    phrases = [phrase for group in PHRASES for phrase in group]
    assert len(set(phrases)) == len(phrases)
    assert all(phrase == phrase.lower() for phrase in phrases)
    assert not set(phrases) & set(SYNONYMS)


def test_the_library_changes_about_as_many_letters_as_it_is_asked_to() -> None:
    text = "where is my parcel please " * 40
    noise = LibraryNoise(0.05)
    differing = []
    for seed in range(10):
        varied = noise.augment(text, drawn(seed))
        assert varied == noise.augment(text, drawn(seed)), "all chance comes from the generator"
        differing.append(_distance(text, varied) / len(text))
    assert 0.035 < np.mean(differing) < 0.065
    assert noise.augment("", drawn(0)) == ""


@pytest.mark.parametrize("name", sorted(AUGMENTERS))
def test_a_recipe_names_it_and_brackets_stand(name: str) -> None:
    noise = TextNoise(only(name, characters=0.5 if name == "textnoisr" else 0.0), 1)
    read = [noise.vary(TEXTS, epoch) for epoch in range(20)]
    assert read[3] == TextNoise(noise.settings, 1).vary(TEXTS, 3)
    assert read[3] != read[4]
    assert all("[ can I ]" in row[1] and "[ Quell Group ]" in row[1] for row in read)
    assert sum(row[2] != TEXTS[2] for row in read) > 10


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60), st.integers(0, 99))
def test_no_text_becomes_blank(text: str, epoch: int) -> None:
    (varied,) = TextNoise(only(*AUGMENTERS, characters=0.8), 1).vary([text], epoch)
    assert varied.strip() or not text.strip()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(SettingsError, match="no augmenter is called 'thesaurus'"):
        only("thesaurus")


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        augmenters, "find_spec", lambda name: None if name == "textnoisr" else real(name)
    )
    with pytest.raises(SettingsError, match=r"triptych\[augmentation\]"):
        TextNoise(only("textnoisr"), 1)
    TextNoise(only("phrasing"), 1)


def test_the_library_is_imported_when_it_is_asked_for() -> None:
    code = (
        "import sys; from shared.finetuning.augmentation import *; "
        "TextNoise(AugmentationSettings(share=1, augmenters=('phrasing',)), 1).vary(['a b'], 0); "
        "sys.exit('textnoisr' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _distance(one: str, other: str) -> int:
    """Levenshtein's."""
    row = np.arange(len(other) + 1)
    letters = np.array(list(other))
    for number, letter in enumerate(one, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (letters != letter))
        fresh = np.concatenate([[number], changed])
        steps = np.arange(len(fresh))
        row = np.minimum.accumulate(fresh - steps) + steps
    return int(row[-1])
