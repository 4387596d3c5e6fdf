"""Vectors in the plane."""

from __future__ import annotations

import numpy as np
import pytest

from apps.recommend.serving.catalogue_map import plane

pytestmark = pytest.mark.unit


def test_distances_of_what_lies_in_a_plane_are_kept() -> None:
    draw = np.random.default_rng(0)
    flat = draw.normal(size=(40, 2)) * (3, 1)
    axes = np.linalg.qr(draw.normal(size=(16, 2)))[0].T
    vectors = (flat @ axes).astype(np.float32)
    rows, places = plane(vectors, np.ones(40, bool), 100)
    assert rows.tolist() == list(range(40))
    apart = np.linalg.norm(flat[:, None] - flat, axis=2)
    drawn = np.linalg.norm(places[:, None] - places, axis=2)
    assert np.abs(apart - drawn).max() < 1e-4
    assert places[:, 0].var() > places[:, 1].var()


def test_only_listed_rows_and_at_most_the_limit() -> None:
    vectors = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
    listed = np.arange(50) % 2 == 0
    rows, places = plane(vectors, listed, 10)
    assert len(rows) == len(places) == 10
    assert listed[rows].all()
    assert len(set(rows.tolist())) == 10
    again = plane(vectors, listed, 10)
    assert np.array_equal(again[1], places)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_items_have_a_place_too(count: int) -> None:
    vectors = np.eye(3, dtype=np.float32)[:count]
    rows, places = plane(vectors, np.ones(count, bool), 10)
    assert len(rows) == count
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
