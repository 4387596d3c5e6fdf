"""The methods that need no loop, and the choice among all."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from shared.errors import SettingsError
from shared.finetuning.linear_head import choose_linear_head, fit_linear_head
from shared.finetuning.method_choice import CHANCY, FEW, PAIRED, choose_method
from shared.finetuning.objectives import class_weights
from shared.finetuning.recipe import Recipe, epochs_for, make_recipe
from shared.finetuning.zero_shot import class_vectors, readable

pytestmark = pytest.mark.unit


def blobs(classes: int, each: int, spread: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    centres = np.random.default_rng(1).normal(size=(classes, 16))
    truth = np.repeat(np.arange(classes), each)
    vectors = centres[truth] + draw.normal(scale=spread, size=(len(truth), 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_a_linear_head_separates_what_is_separable(classes: int) -> None:
    vectors, truth = blobs(classes, 20)
    head = fit_linear_head(vectors, truth, classes=classes)
    assert head.weight.shape == (classes, 16)
    assert (head.logits(vectors).argmax(1) == truth).all()


def test_two_classes_give_the_probabilities_of_binary_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, truth = blobs(2, 30, spread=1.0)
    head = fit_linear_head(vectors, truth, classes=2)
    logits = head.logits(vectors)
    ours = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    peer = LogisticRegression(C=10.0, max_iter=500, tol=1e-3).fit(vectors, truth)
    np.testing.assert_allclose(ours, peer.predict_proba(vectors)[:, 1], atol=1e-5)


def test_validation_chooses_the_penalty() -> None:
    vectors, truth = blobs(4, 8, spread=1.2)
    held, held_truth = blobs(4, 50, spread=1.2)
    chosen = choose_linear_head(
        vectors, truth, held, held_truth, classes=4, strengths=(0.001, 3.0, 1e5)
    )
    assert chosen.regularisation == 3.0


def test_a_class_without_examples_is_refused() -> None:
    vectors, truth = blobs(3, 5)
    with pytest.raises(ValueError, match="only 3 have examples"):
        fit_linear_head(vectors, truth, classes=5)


def test_a_thousand_classes_of_one_example_are_learned() -> None:
    """Each has a thousandth of the gradient: a fixed tolerance ended before the first step."""
    vectors, truth = np.eye(1_000, 64, dtype=np.float32), np.arange(1_000)
    vectors += np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    head = fit_linear_head(vectors, truth, classes=1_000)
    assert (np.linalg.norm(head.weight, axis=1) > 0).all()
    assert (head.logits(vectors).argmax(1) == truth).mean() > 0.9


def test_beyond_what_memory_holds_classes_are_their_means(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, truth = blobs(10, 20)
    monkeypatch.setattr("shared.finetuning.linear_head.MOST_LOGITS", 200 * 10 - 1)
    chosen = choose_linear_head(vectors, truth, vectors, truth, classes=10)
    mean = vectors[truth == 3].mean(axis=0)
    np.testing.assert_allclose(
        chosen.weight[3] / np.linalg.norm(chosen.weight[3]), mean / np.linalg.norm(mean), rtol=1e-4
    )
    assert (chosen.logits(vectors).argmax(1) == truth).all()
    assert not chosen.bias.any()


def test_names_become_words() -> None:
    assert readable("card_arrival") == "card arrival"
    assert readable("Refund_not_showing_up") == "refund not showing up"
    assert readable("cardArrival") == "card arrival"


def test_class_vectors_average_the_prompts_of_a_class() -> None:
    seen: list[str] = []

    def embed(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return np.eye(len(texts), dtype=np.float32)

    vectors = class_vectors(
        ["late_delivery", "refund"], embed, descriptions={"refund": "Money back."},
        templates=("{}", "About {}."),
    )  # fmt: skip
    assert seen == [
        "late delivery", "About late delivery.", "refund", "About refund.", "Money back."
    ]  # fmt: skip
    np.testing.assert_allclose(vectors[0], np.array([1, 1, 0, 0, 0]) / np.sqrt(2), atol=1e-6)
    np.testing.assert_allclose(vectors[1], np.array([0, 0, 1, 1, 1]) / np.sqrt(3), atol=1e-6)


@pytest.mark.parametrize(
    ("counts", "labels", "method"),
    [
        ({}, 3, "zero_shot"),
        ({"a": 5}, 2, "zero_shot"),
        ({"a": FEW - 1, "b": FEW - 1}, 2, "head"),
        ({"a": FEW, "b": FEW}, 2, "contrastive"),
        ({"a": PAIRED, "b": PAIRED}, 2, "distilled"),
        ({"a": CHANCY, "b": CHANCY}, 2, "full"),
        ({"a": 500, "b": 900}, 2, "full"),
    ],
)
def test_auto_follows_the_labels_and_says_why(
    counts: dict[str, int], labels: int, method: str
) -> None:
    choice = choose_method("auto", Counter(counts), labels)
    assert choice.method == method
    assert choice.reason


def test_a_method_that_was_asked_for_is_taken() -> None:
    assert choose_method("head", Counter({"a": 900, "b": 900}), 2).method == "head"


def test_a_recipe_refuses_what_it_does_not_know() -> None:
    with pytest.raises(SettingsError, match="learning_rat:"):
        make_recipe(learning_rat=1)
    with pytest.raises(SettingsError, match="batch_size:"):
        make_recipe(batch_size="many")


def test_every_field_of_a_recipe_is_documented() -> None:
    bare = [n for n, f in Recipe.model_fields.items() if n != "method" and not f.description]
    assert not bare


def test_few_examples_are_read_more_often() -> None:
    assert epochs_for(100) == 20
    assert epochs_for(8_800) == 4
    assert epochs_for(1_000_000) == 3


def test_balanced_weights_equal_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    truth = np.array([0] * 10 + [1] * 30 + [2] * 5)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=truth)
    np.testing.assert_allclose(class_weights(truth, 3, "balanced"), expected, rtol=1e-6)
    assert class_weights(truth, 3, "none") is None
    assert class_weights(truth, 4, "balanced")[3] == 1.0  # type: ignore[index]
