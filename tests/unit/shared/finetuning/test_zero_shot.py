"""Class vectors from names, and what texts without labels tell about them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.finetuning.zero_shot import SCALE, TEMPLATES, prompts_of, zero_shot_head

pytestmark = pytest.mark.unit

CLASSES = 4


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def messages(
    counts: list[int], seed: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Names, texts and their classes: texts lie elsewhere than names, and not quite as named."""
    draw = np.random.default_rng(7)
    place = np.eye(16)[:CLASSES]
    names = unit(place + 1.5 * draw.normal(size=(CLASSES, 16)) / 4 + 2 * np.eye(16)[8])
    truth = np.repeat(np.arange(CLASSES), counts)
    noise = np.random.default_rng(seed).normal(size=(len(truth), 16)) / 5
    texts = unit(place[truth] + noise + 2 * np.eye(16)[9] + 0.6 * np.eye(16)[0])
    return names, texts, truth


def right(
    names: NDArray[np.float32], unlabelled: NDArray[np.float32] | None, counts: list[int]
) -> float:
    head = zero_shot_head(names, unlabelled)
    _, texts, truth = messages(counts, seed=2)
    logits = head.scale * texts @ head.weight.T + head.bias
    return float((logits.argmax(axis=1) == truth).mean())


def test_prompts_hold_the_name_and_the_description() -> None:
    prompts = prompts_of("card_arrival", {"card_arrival": "where a new card is"})
    assert prompts[0] == "card arrival"
    assert prompts[-1] == "where a new card is"
    assert len(prompts) == len(TEMPLATES) + 1
    assert all("card arrival" in prompt for prompt in prompts[:-1])
    assert prompts_of("cardArrival", {}, ["Of {}!"]) == ["Of card arrival!"]


def test_without_texts_the_names_are_the_head() -> None:
    names, _, _ = messages([1] * CLASSES, seed=1)
    for nothing in (None, np.zeros((0, 16), dtype=np.float32)):
        head = zero_shot_head(names, nothing)
        np.testing.assert_array_equal(head.weight, names)
        assert not head.bias.any()
        assert head.scale == SCALE


@pytest.mark.parametrize("counts", [[50] * 4, [90, 60, 30, 20]], ids=["even", "uneven"])
def test_texts_without_labels_calibrate_the_classes(counts: list[int]) -> None:
    names, texts, _ = messages(counts, seed=1)
    before, after = right(names, None, [100] * 4), right(names, texts, [100] * 4)
    assert after > before + 0.1
    assert after > 0.9


def test_a_class_without_texts_is_still_found() -> None:
    names, texts, _ = messages([60, 60, 60, 0], seed=1)
    assert right(names, texts, [0, 0, 0, 50]) > 0.7


def test_a_few_texts_change_little() -> None:
    names, texts, _ = messages([1, 0, 0, 0], seed=1)
    head = zero_shot_head(names, texts)
    assert (head.weight * names).sum(axis=1).min() > 0.9
    assert head.scale == pytest.approx(SCALE, rel=0.1)
    assert np.isfinite(head.bias).all()


def test_the_same_text_again_and_again_and_two_classes() -> None:
    names = unit(np.eye(16)[:2] + 0.1)
    same = unit(np.ones((500, 16)))
    head = zero_shot_head(names, same)
    assert np.isfinite(head.weight).all()
    assert np.isfinite(head.bias).all()
    np.testing.assert_allclose(np.linalg.norm(head.weight, axis=1), 1.0, rtol=1e-4)
    texts = unit(np.eye(16)[:2] + 0.1)
    logits = head.scale * texts @ head.weight.T + head.bias
    assert logits.argmax(axis=1).tolist() == [0, 1]


def test_texts_in_another_order_give_the_same_head() -> None:
    names, texts, _ = messages([30, 20, 10, 10], seed=1)
    one, other = zero_shot_head(names, texts), zero_shot_head(names, texts[::-1].copy())
    np.testing.assert_allclose(one.weight, other.weight, atol=1e-5)
    np.testing.assert_allclose(one.bias, other.bias, atol=1e-4)
