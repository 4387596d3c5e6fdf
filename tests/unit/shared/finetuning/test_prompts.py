"""Templates that are whole, and class vectors out of words."""

from __future__ import annotations

import numpy as np
import pytest

from shared.errors import SettingsError
from shared.finetuning.prompts import split_template, verbalise
from shared.finetuning.recipe import make_recipe

pytestmark = pytest.mark.unit


def test_a_template_falls_into_what_is_before_and_behind_the_text() -> None:
    assert split_template("{text} This is about {mask}.") == ("", " This is about {mask}.")
    assert split_template("[{mask}] {text}!") == ("[{mask}] ", "!")


@pytest.mark.parametrize(
    "template",
    ["", "{text}", "{mask}", "{text} {text} {mask}", "{text} {mask} {mask}", "text mask"],
)
def test_a_template_without_one_text_and_one_gap_is_refused(template: str) -> None:
    with pytest.raises(SettingsError, match="once"):
        split_template(template)
    with pytest.raises(SettingsError, match="once"):
        make_recipe(**{"method": "cloze", "prompt.template": template})


@pytest.mark.parametrize(
    ("field", "value"),
    [("tokens", 0), ("tokens", 201), ("words", 1.5), ("words", -0.1), ("pretraining", -1)],
)
def test_settings_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(SettingsError):
        make_recipe(**{"method": "cloze", f"prompt.{field}": value})


def test_a_class_is_the_mean_of_its_words_seen_from_the_centre() -> None:
    embeddings = np.array([[3, 0], [0, 3], [-1, 1], [2, 0]], dtype=np.float32)
    # The centre is (1, 1): word 0 is (2, -1) from there, words 0 and 1 together are (.5, .5).
    vectors = verbalise([[0], [0, 1], [1, 0]], embeddings)
    np.testing.assert_allclose(vectors[0], np.array([2, -1]) / 5**0.5, rtol=1e-6)
    np.testing.assert_allclose(vectors[1], [0.5**0.5] * 2, rtol=1e-6)
    np.testing.assert_array_equal(vectors[1], vectors[2])
    assert vectors.dtype == np.float32


def test_words_rank_classes_as_the_masked_language_head_does() -> None:
    """Logits of a head are products with word embeddings: their mean over a class's words."""
    draw = np.random.default_rng(0)
    embeddings = draw.normal(size=(30, 8)).astype(np.float32)
    state = draw.normal(size=8).astype(np.float32)
    words = [[4], [7], [9, 11], [2, 3, 5]]
    logits = np.array([(embeddings[ids] @ state).mean() for ids in words])
    vectors = verbalise(words, embeddings)
    centred = [np.linalg.norm(embeddings[i].mean(0) - embeddings.mean(0)) for i in words]
    # The centre takes the same from all classes, the length is what the cosine leaves out.
    ours = (vectors @ state) * centred
    np.testing.assert_allclose(ours - ours[0], logits - logits[0], atol=1e-5)


def test_a_class_at_the_centre_is_no_division_by_nought() -> None:
    vectors = verbalise([[0, 1], [0]], np.array([[1, 0], [-1, 0]], dtype=np.float32))
    np.testing.assert_array_equal(vectors, [[0, 0], [1, 0]])
