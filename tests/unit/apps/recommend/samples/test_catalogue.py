from collections import Counter

import pytest

from apps.recommend.samples.catalogue import follow_ups, sample_items

pytestmark = pytest.mark.unit


def test_at_least_400_items_in_twelve_categories() -> None:
    items = sample_items()
    assert len(items) >= 400
    assert len({item.id for item in items}) == len({item.title for item in items}) == len(items)
    sizes = Counter(item.category for item in items)
    assert len(sizes) == 12
    assert min(sizes.values()) >= 30


def test_every_item_is_described_and_priced() -> None:
    for item in sample_items():
        assert 25 <= len(item.text.split()) <= 60, item.id
        assert item.price is not None
        assert item.price > 0
        assert item.attributes["kind"]
        assert item.attributes["themes"]


def test_no_two_descriptions_come_from_one_template() -> None:
    """No six words in a row stand in two descriptions."""
    seen: dict[tuple[str, ...], str] = {}
    for item in sample_items():
        words = item.text.lower().split()
        for start in range(len(words) - 5):
            other = seen.setdefault(tuple(words[start : start + 6]), item.id)
            assert other == item.id, (item.id, other, words[start : start + 6])


def test_a_few_items_cannot_be_had() -> None:
    gone = [item for item in sample_items() if not item.available]
    assert 0 < len(gone) < 0.05 * len(sample_items())


def test_what_follows_what_speaks_of_kinds_that_there_are() -> None:
    kinds = {str(item.attributes["kind"]) for item in sample_items()}
    named = {kind for first, after in follow_ups().items() for kind in (first, *after)}
    assert named <= kinds
    assert "memory card" in follow_ups()["camera"]
    assert "memory card" not in follow_ups()
