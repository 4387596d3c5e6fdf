"""Mean weights, and seeds of members that no two trainings share."""

from __future__ import annotations

import pytest
import torch

from shared.errors import SettingsError
from shared.finetuning.recipe import make_recipe
from shared.finetuning.soup import MeanWeights, member_seed

pytestmark = pytest.mark.unit


def test_the_mean_is_that_of_all_states_and_numbers_of_positions_stand() -> None:
    mean = MeanWeights()
    for value in (1.0, 2.0, 6.0):
        mean.add({"weight": torch.full((2, 2), value), "positions": torch.arange(3)})
    found = mean.mean
    torch.testing.assert_close(found["weight"], torch.full((2, 2), 3.0))
    assert torch.equal(found["positions"], torch.arange(3))


def test_the_states_themselves_stay_as_they_are() -> None:
    first, second = torch.ones(3), torch.zeros(3)
    mean = MeanWeights()
    mean.add({"weight": first})
    mean.add({"weight": second})
    assert torch.equal(first, torch.ones(3))
    assert torch.equal(second, torch.zeros(3))


def test_of_no_state_there_is_no_mean() -> None:
    with pytest.raises(ValueError, match="no state"):
        _ = MeanWeights().mean


def test_members_of_neighbouring_seeds_share_none() -> None:
    seeds = [member_seed(seed, number) for seed in range(50) for number in range(1, 21)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert member_seed(3, 2) == member_seed(3, 2)


@pytest.mark.parametrize("members", [0, 21])
def test_numbers_of_members_that_mean_nothing_are_refused(members: int) -> None:
    with pytest.raises(SettingsError, match=r"soup\.members"):
        make_recipe(**{"soup.members": members})
