from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from apps.support.learning.review import needs_review, order_by_uncertainty_and_diversity

pytestmark = pytest.mark.unit


@st.composite
def messages(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = draw(st.integers(1, 30))
    confidence = draw(st.lists(st.floats(0, 1), min_size=n, max_size=n))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.array(confidence), np.random.default_rng(seed).normal(size=(n, 5))


@pytest.mark.parametrize(
    ("action", "confidence", "expected"),
    [
        ("answer", 0.95, False),
        ("answer", 0.9, False),
        ("answer", 0.89, True),
        ("answer", None, True),
        ("clarify", 0.99, True),
        ("handoff", 0.99, True),
    ],
)
def test_what_was_not_answered_with_confidence_needs_review(
    action: str, confidence: float | None, expected: bool
) -> None:
    assert needs_review(action, confidence, threshold=0.9) is expected


@given(messages(), st.integers(0, 40))
def test_each_row_at_most_once_and_the_most_uncertain_first(
    given_messages: tuple[NDArray[np.float64], NDArray[np.float64]], limit: int
) -> None:
    confidence, embeddings = given_messages
    order = order_by_uncertainty_and_diversity(confidence, embeddings, limit)
    assert len(order) == min(limit, len(confidence))
    assert len(set(order.tolist())) == len(order)
    if len(order):
        assert confidence[order[0]] == confidence.min()


@given(messages(), st.integers(1, 30))
def test_a_shorter_queue_is_the_head_of_a_longer_one(
    given_messages: tuple[NDArray[np.float64], NDArray[np.float64]], limit: int
) -> None:
    confidence, embeddings = given_messages
    everything = order_by_uncertainty_and_diversity(confidence, embeddings, len(confidence))
    head = order_by_uncertainty_and_diversity(confidence, embeddings, limit)
    assert head.tolist() == everything[:limit].tolist()


@given(
    st.integers(2, 6).flatmap(
        lambda kinds: st.tuples(
            st.just(kinds),
            st.lists(st.integers(0, kinds - 1), min_size=kinds, max_size=40),
            st.integers(0, 2**32 - 1),
        )
    )
)
def test_copies_of_one_message_do_not_fill_the_head(
    drawn: tuple[int, list[int], int],
) -> None:
    kinds, more, seed = drawn
    kind = np.array([*range(kinds), *more])
    random = np.random.default_rng(seed)
    random.shuffle(kind)
    nearly = random.normal(scale=1e-4, size=(len(kind), kinds))
    order = order_by_uncertainty_and_diversity(
        random.uniform(0, 0.9, len(kind)), np.eye(kinds)[kind] + nearly, kinds
    )
    assert sorted(kind[order]) == list(range(kinds))


def test_of_equally_new_messages_the_uncertain_one_comes_first() -> None:
    order = order_by_uncertainty_and_diversity(np.array([0.1, 0.8, 0.4, 0.6]), np.eye(4), 4)
    assert order.tolist() == [0, 2, 3, 1]


def test_a_near_copy_waits_behind_a_surer_message_that_is_new() -> None:
    embeddings = np.array([[1.0, 0.0], [0.999, 0.045], [0.0, 1.0]])
    order = order_by_uncertainty_and_diversity(np.array([0.1, 0.2, 0.7]), embeddings, 3)
    assert order.tolist() == [0, 2, 1]


def test_the_scale_of_an_embedding_does_not_matter() -> None:
    random = np.random.default_rng(0)
    confidence, embeddings = random.uniform(size=12), random.normal(size=(12, 4))
    scaled = embeddings * random.uniform(0.1, 10, size=(12, 1))
    assert np.array_equal(
        order_by_uncertainty_and_diversity(confidence, embeddings, 12),
        order_by_uncertainty_and_diversity(confidence, scaled, 12),
    )


def test_confidences_and_embeddings_of_unequal_number_are_refused() -> None:
    with pytest.raises(ValueError, match="2 confidences for 3 embeddings"):
        order_by_uncertainty_and_diversity(np.zeros(2), np.zeros((3, 4)), 1)
