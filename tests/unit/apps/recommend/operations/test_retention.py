"""Which bundles stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.recommend.operations.retention import to_remove

pytestmark = pytest.mark.unit
NAMES = [f"v{number}" for number in range(12, 0, -1)]  # v12 is the newest


def test_the_newest_and_those_that_a_roll_back_can_go_to_stay() -> None:
    gone = to_remove(NAMES, ["v1", "v2", "v3", "v4"], keep=2)
    assert gone == ("v10", "v9", "v8", "v7", "v6", "v5", "v1")
    assert to_remove(NAMES, ["v1"], keep=20) == ()


@given(st.lists(st.sampled_from(NAMES), max_size=20), st.integers(1, 15))
def test_what_is_in_use_never_goes_nor_what_was_before_it(promoted: list[str], keep: int) -> None:
    gone = set(to_remove(NAMES, promoted, keep=keep))
    assert not gone & set(promoted[-2:])
    assert not gone & set(NAMES[:keep])
    assert len(NAMES) - len(gone) <= 2 * keep + 1
