"""Splits that join an earlier version's, the examples that are replayed, and what is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from shared.finetuning.continual import (
    Earlier,
    forgetting,
    herded,
    holding_shift,
    join_earlier,
    new_class_shift,
    replayed_rows,
)
from shared.records import Example, Splits

pytestmark = pytest.mark.unit


def splits(**parts: list[Example]) -> Splits:
    return Splits(*(tuple(parts.get(n, [])) for n in ("train", "validation", "gate", "test")))


def test_herding_follows_the_mean() -> None:
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7], [-5.0, 5.0]], dtype=np.float32)
    centre = vectors.mean(axis=0)
    chosen = herded(vectors, 3)
    best = min(range(4), key=lambda row: np.linalg.norm(centre - vectors[row]))
    assert chosen[0] == best
    pairs = [(a, b) for a in range(4) for b in range(4) if a == best and b != best]
    second = min(pairs, key=lambda p: np.linalg.norm(centre - vectors[list(p)].mean(axis=0)))
    assert chosen[1] == second[1]
    assert sorted(herded(vectors, 9).tolist()) == [0, 1, 2, 3]
    assert len(herded(vectors, 0)) == 0


def test_each_class_is_replayed_as_often() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    labels = ["a"] * 20 + ["b"] * 8 + ["c"] * 2
    rows = replayed_rows(vectors, labels, 5)
    drawn = [labels[row] for row in rows]
    assert {name: drawn.count(name) for name in "abc"} == {"a": 5, "b": 5, "c": 2}
    assert len(set(rows.tolist())) == len(rows)
    np.testing.assert_array_equal(rows, replayed_rows(vectors, labels, 5))


def test_what_was_held_out_never_trains_and_what_trained_is_never_measured() -> None:
    new = splits(
        train=[Example("old test", "a"), Example("fresh", "b"), Example("old gate", "a")],
        test=[Example("old train", "a"), Example("fresh test", "b")],
    )
    keys = {text: Example(text, "a").key for text in ("old test", "old gate", "old train")}
    earlier = Earlier(
        training=(Example("old train", "a"), Example("older", "a")),
        validation=(Example("held", "a"),),
        gate=(Example("old gate", "a"),),
        assigned={keys["old test"]: "test", keys["old gate"]: "gate", keys["old train"]: "train"},
    )
    joined = join_earlier(new, earlier)
    texts = {name: {e.text for e in joined[name]} for name in ("train", "validation", "gate")}
    assert texts["train"] == {"fresh", "old train", "older"}
    assert texts["validation"] == {"held"}
    assert texts["gate"] == {"old gate"}
    assert {e.text for e in joined.test} == {"old test", "fresh test"}
    assert join_earlier(joined, earlier) == joined


def test_a_group_goes_as_one_and_a_new_label_stands() -> None:
    pair = [Example("one", "a", group="g"), Example("two", "b", group="g")]
    earlier = Earlier((Example("seen", "a"),), assigned={pair[0].key: "test"})
    joined = join_earlier(splits(train=[*pair, Example("SEEN", "b")]), earlier)
    assert {e.text for e in joined.test} == {"one", "two"}
    assert [(e.text, e.label) for e in joined.train] == [("SEEN", "b")]


def test_new_classes_that_answer_too_often_are_held_back() -> None:
    draw = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], 200)
    logits = 2.0 * np.eye(3)[truth] + draw.gumbel(size=(600, 3))
    is_new = np.array([False, False, True])
    fair = new_class_shift(logits.astype(np.float32), truth, is_new)
    biased = new_class_shift((logits + 1.5 * is_new).astype(np.float32), truth, is_new)
    assert biased == pytest.approx(fair - 1.5, abs=0.01)
    alone = truth < 2
    assert new_class_shift(logits[alone].astype(np.float32), truth[alone], is_new) == 0.0


def test_forgetting_is_told_by_class() -> None:
    found = forgetting(
        ["a", "a", "b", "b"], before=["a", "a", "b", "a"], after=["a", "new", "b", "b"]
    )
    assert found is not None
    assert found["classes"]["a"] == {"examples": 2, "before": 1.0, "after": 0.5}
    assert found["classes"]["b"] == {"examples": 2, "before": 0.5, "after": 1.0}
    assert found["before"] == found["after"] == 0.75
    assert found["lost"] == 0.0
    assert found["worst"] == "a"
    assert forgetting([], [], []) is None


def test_new_classes_are_held_back_until_old_ones_lose_little() -> None:
    draw = np.random.default_rng(7)
    truth = draw.integers(6, size=600)
    is_new = np.arange(6) >= 4
    logits = draw.normal(size=(600, 6)) + 3.0 * np.eye(6)[truth] + 2.5 * is_new
    logits = logits.astype(np.float32)
    old = truth < 4

    def right(shift: float) -> float:
        return float(((logits + shift * is_new).argmax(axis=1) == truth)[old].mean())

    assert right(0.0) < 0.8
    shift = holding_shift(logits, truth, is_new, 0.9)
    assert shift is not None
    assert right(shift) >= 0.9 - 1 / old.sum()
    assert right(shift + 0.2) < 0.9, "no more is held back than must be"
    assert holding_shift(logits, truth, is_new, 1.0) is None, "old ones are mixed up, too"
    assert holding_shift(logits[~old], truth[~old], is_new, 0.5) is None
    assert holding_shift(logits, truth, is_new, 0.0) == float("inf")
