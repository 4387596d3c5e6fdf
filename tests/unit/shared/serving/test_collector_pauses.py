"""What survives a long collection is not walked again, and is still freed by its last reference."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from shared.serving.collector_pauses import CollectorPauses

pytestmark = pytest.mark.unit


class Held:
    """Something that the collector watches."""


@pytest.fixture
def eager() -> Iterator[CollectorPauses]:
    """Takes every full collection for a long one; nothing is out of sight yet."""
    gc.unfreeze()
    pauses = CollectorPauses(longest_seconds=0.0)
    pauses.install()
    yield pauses
    pauses.remove()
    gc.collect()


def test_what_survived_a_long_collection_is_out_of_sight(eager: CollectorPauses) -> None:
    held = Held()
    gc.collect()
    assert gc.get_freeze_count() > 1_000
    assert not any(one is held for one in gc.get_objects())


def test_it_is_freed_by_its_last_reference(eager: CollectorPauses) -> None:
    held = Held()
    gone = weakref.ref(held)
    gc.collect()
    del held
    assert gone() is None


def test_short_and_young_collections_change_nothing() -> None:
    gc.unfreeze()  # what tests before have left out of sight
    before = gc.get_freeze_count()
    patient = CollectorPauses(longest_seconds=60.0)
    patient.install()
    gc.collect()
    assert gc.get_freeze_count() == before
    patient.remove()
    eager = CollectorPauses(longest_seconds=0.0)
    eager.install()
    gc.collect(1)
    assert gc.get_freeze_count() == before
    eager.remove()
