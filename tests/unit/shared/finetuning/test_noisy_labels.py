"""Wrong labels are found among vectors, and no class is wiped out by it."""

from __future__ import annotations

import numpy as np
import pytest

from shared.finetuning.noisy_labels import (
    NoisyLabelSettings,
    judge_labels,
    out_of_fold,
    stratified_folds,
)
from shared.finetuning.recipe import make_recipe

pytestmark = pytest.mark.unit

CONFIDENT = NoisyLabelSettings(kind="confident", relabel=False)


def clusters(classes: int, each: int, dimensions: int = 16) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    centres = draw.normal(size=(classes, dimensions))
    truth = np.repeat(np.arange(classes), each)
    vectors = centres[truth] + draw.normal(scale=0.5, size=(len(truth), dimensions))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32), truth.astype(np.int64)


def flipped(truth: np.ndarray, share: float) -> np.ndarray:
    draw = np.random.default_rng(3)
    wrong = truth.copy()
    for row in draw.choice(len(truth), round(share * len(truth)), replace=False):
        wrong[row] = (truth[row] + draw.integers(1, truth.max() + 1)) % (truth.max() + 1)
    return wrong


def test_flipped_labels_weigh_nothing_and_right_ones_stay() -> None:
    vectors, truth = clusters(10, 60, dimensions=256)  # as wide as sentence vectors are
    given = flipped(truth, 0.15)
    result = judge_labels(vectors, given, CONFIDENT)
    wrong, dropped = given != truth, result.weights == 0
    assert result.judged == len(truth)
    assert result.found == dropped.sum()
    assert dropped[wrong].mean() > 0.9
    assert wrong[dropped].mean() > 0.9


def test_a_wrong_label_gives_way_to_that_of_the_texts_around() -> None:
    vectors, truth = clusters(10, 60, dimensions=256)
    given = flipped(truth, 0.15)
    result = judge_labels(vectors, given, NoisyLabelSettings(kind="confident"))
    wrong = given != truth
    assert (result.weights == 1).all()
    assert (result.truth[wrong] == truth[wrong]).mean() > 0.9
    assert (result.truth[~wrong] == truth[~wrong]).mean() > 0.97
    assert (given == flipped(truth, 0.15)).all(), "what was given is not written to"


def test_clean_labels_are_believed() -> None:
    vectors, truth = clusters(6, 40)
    assert judge_labels(vectors, truth, CONFIDENT).found <= 2


def test_a_doubtful_label_weighs_what_the_settings_say() -> None:
    vectors, truth = clusters(4, 30)
    settings = NoisyLabelSettings(kind="confident", relabel=False, weight=0.25)
    weights = judge_labels(vectors, flipped(truth, 0.15), settings).weights
    assert set(np.unique(weights)) == {np.float32(0.25), np.float32(1.0)}


@pytest.mark.parametrize("kept", [0.5, 0.8, 1.0])
def test_no_class_loses_more_than_its_share(kept: float) -> None:
    vectors, truth = clusters(5, 20)
    given = truth.copy()
    given[(truth == 0) & (np.arange(len(truth)) % 10 != 0)] = 1  # nearly all of a class is wrong
    given[truth == 1] = 0
    settings = NoisyLabelSettings(kind="confident", relabel=False, kept=kept)
    weights = judge_labels(vectors, given, settings).weights
    for label in range(5):
        own = weights[given == label]
        assert (own == 1).sum() >= np.ceil(kept * len(own))


def test_a_class_too_small_to_judge_is_believed() -> None:
    vectors, truth = clusters(4, 30)
    vectors = np.concatenate([vectors, vectors[:4]])
    given = np.concatenate([truth, [4, 4, 4, 4]])  # four texts of class 0 called by another name
    result = judge_labels(vectors, given, CONFIDENT)
    assert (result.weights[-4:] == 1).all()
    assert result.judged == len(truth)


@pytest.mark.parametrize("truth", [np.zeros(20, np.int64), np.arange(20)])
def test_where_nothing_can_be_judged_all_weigh_alike(truth: np.ndarray) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    result = judge_labels(vectors, truth, CONFIDENT)
    assert (result.judged, result.found) == (0, 0)
    assert (result.weights == 1).all()


def test_one_seed_gives_the_same_weights() -> None:
    vectors, truth = clusters(5, 12)
    given = flipped(truth, 0.2)
    first, second = (judge_labels(vectors, given, CONFIDENT, seed=4).weights for _ in "ab")
    np.testing.assert_array_equal(first, second)


def test_folds_spread_classes_and_keep_groups_together() -> None:
    truth = np.repeat(np.arange(3), 20)
    groups = np.arange(60) // 2
    fold = stratified_folds(truth, groups, 5, 1)
    assert (fold[::2] == fold[1::2]).all()
    counts = np.array([np.bincount(fold[truth == label], minlength=5) for label in range(3)])
    assert (counts == 4).all()


def test_probabilities_are_those_of_models_that_did_not_see_the_text() -> None:
    from sklearn.linear_model import LogisticRegression

    vectors, truth = clusters(3, 10)
    fold = stratified_folds(truth, np.arange(30), 3, 1)
    found = out_of_fold(vectors, truth, fold)
    inside = fold == 1
    peer = LogisticRegression(C=10.0, max_iter=100, tol=1e-3).fit(vectors[~inside], truth[~inside])
    np.testing.assert_allclose(found[inside], peer.predict_proba(vectors[inside]), atol=1e-6)


def test_the_method_asks_for_it() -> None:
    from shared.finetuning.recipe import with_method

    assert with_method(make_recipe(), "noise_robust").noise.kind == "confident"
    assert make_recipe().noise.kind == "none"
