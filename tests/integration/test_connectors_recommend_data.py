"""The real data sets of items and behaviour, as published."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pytest

from data_connectors.behaviour import load_behaviour
from data_connectors.recommend_datasets import load_recommend_dataset
from shared.catalogue import BehaviourData
from shared.histories import histories_of
from shared.settings import Settings

pytestmark = pytest.mark.integration


@pytest.fixture
def load(public_data: Path, tmp_path: Path):  # type: ignore[no-untyped-def]
    def load(name: str) -> BehaviourData:
        return load_recommend_dataset(name, Settings(home=tmp_path / "never", data=public_data))

    yield load
    assert not (tmp_path / "never").exists()


def test_movielens_small(load) -> None:  # type: ignore[no-untyped-def]
    data = load("movielens-small")
    assert (len(data.items), len(data.events)) == (9_742, 100_836)
    histories = histories_of(data.events, [item.id for item in data.items])
    assert histories.users == 610
    assert histories.timed
    assert len(histories.rows) == 100_836
    assert Counter(event.value for event in data.events)[4.0] == 26_818
    with_plot = sum(". " in item.text for item in data.items)
    assert 6_400 <= with_plot <= 6_427


def test_amazon_beauty(load) -> None:  # type: ignore[no-untyped-def]
    data = load("amazon-beauty")
    assert (len(data.items), len(data.events)) == (12_101, 198_502)
    histories = histories_of(data.events, [item.id for item in data.items])
    assert histories.users == 22_363
    assert not histories.timed
    last = {event.user: event.item for event in data.events}
    for user in ("A1YJEY40YUW4SE", "A60XNB876KYML"):
        row = histories.of_user(histories.user_ids.index(user)).rows[-1]
        assert histories.item_ids[row] == last[user]
    # What the issue says of it: most consecutive pairs ascend in the order of ids.
    rows, owners = histories.rows, histories.owners
    together = owners[1:] == owners[:-1]
    ascending = (rows[1:] > rows[:-1])[together].mean()
    assert math.isclose(ascending, 0.69, abs_tol=0.01)


def test_the_files_as_they_lie_give_what_the_name_gives(load, public_data: Path) -> None:  # type: ignore[no-untyped-def]
    """Any CSV pair works: the connectors find the columns of MovieLens by their usual names."""
    folder = public_data / "movielens_latest_small"
    data = load_behaviour(folder / "movies.csv", folder / "ratings.csv")
    named = load("movielens-small")
    assert data.rejects == ()
    assert [item.id for item in data.items] == [item.id for item in named.items]
    assert [(e.user, e.item, e.value, e.at, e.type) for e in data.events] == [
        (e.user, e.item, e.value, e.at, e.type) for e in named.events
    ]
