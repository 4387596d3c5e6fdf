"""What is hidden of a text, and what guessing it costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from shared.finetuning.domain_pretraining import MaskedLanguage, Masking
from shared.finetuning.objectives import Batch

pytestmark = pytest.mark.unit

MASKING = Masking(special=(0, 1, 2), mask_id=3, vocabulary=1_000, share=0.15)


def _texts(count: int = 400, length: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(4, 1_000, (count, length), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, 30] = 1, 2
    ids[:, 31:] = 0
    mask = (torch.arange(length) <= 30).long().repeat(count, 1)
    return ids, mask


def test_fifteen_in_a_hundred_are_hidden_in_three_ways() -> None:
    ids, mask = _texts()
    torch.manual_seed(1)
    hidden, chosen = MASKING.hide(ids, mask)
    usable = 400 * 29
    assert float(chosen.sum()) / usable == pytest.approx(0.15, abs=0.015)
    gone = hidden[chosen] == 3
    kept = hidden[chosen] == ids[chosen]
    assert float(gone.float().mean()) == pytest.approx(0.8, abs=0.03)
    assert float(kept.float().mean()) == pytest.approx(0.1, abs=0.03)
    assert torch.equal(hidden[~chosen], ids[~chosen])


def test_special_tokens_and_padding_are_never_hidden() -> None:
    ids, mask = _texts()
    _, chosen = MASKING.hide(ids, mask)
    assert not chosen[:, 0].any()
    assert not chosen[:, 30:].any()


def test_one_token_at_least_is_guessed_where_there_is_one() -> None:
    ids, mask = torch.tensor([[1, 7, 2]]), torch.ones(1, 3, dtype=torch.int64)
    seldom = Masking((0, 1, 2), 3, 1_000, share=1e-9)
    assert seldom.hide(ids, mask)[1].tolist() == [[False, True, False]]
    assert not seldom.hide(torch.tensor([[1, 2, 0]]), mask)[1].any()


def test_the_same_generator_hides_the_same() -> None:
    ids, mask = _texts(10)
    torch.manual_seed(5)
    first, _ = MASKING.hide(ids, mask)
    torch.manual_seed(5)
    assert torch.equal(first, MASKING.hide(ids, mask)[0])


def test_the_loss_is_that_of_the_hidden_tokens_and_of_the_move() -> None:
    ids, mask = _texts(4)
    before = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (9, 1))
    turned = torch.tensor([[0.6, 0.8]]).repeat(4, 1)

    def guess(
        hidden: torch.Tensor, mask: torch.Tensor, chosen: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(int(chosen.sum()), 1_000), turned

    batch = Batch(ids, mask, torch.zeros(4, dtype=torch.int64), np.array([0, 3, 8, 2]), 0, 1)
    plain = MaskedLanguage(guess, MASKING, before)
    held = MaskedLanguage(guess, MASKING, before, hold=2.0)
    assert float(plain(lambda *_: ids, batch)) == pytest.approx(math.log(1_000), rel=1e-5)
    expected = math.log(1_000) + 2.0 * 0.4
    assert float(held(lambda *_: ids, batch)) == pytest.approx(expected, rel=1e-5)
