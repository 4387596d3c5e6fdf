"""Texts and their changed copies: both are learnt, their answers agree, a resumed run as well."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from shared.errors import SettingsError
from shared.finetuning.batching import TokenisedTexts
from shared.finetuning.noised_copies import NoisedCopies
from shared.finetuning.objectives import Batch, Supervised, consistency_loss
from shared.finetuning.recipe import make_recipe
from tests.fakes.method_laboratory import Laboratory, make_laboratory
from tests.fakes.progress_reporters import ListeningProgress

pytestmark = pytest.mark.unit

TEXTS = TokenisedTexts.of([[1], [2, 2], [3]], pad_id=0)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return make_laboratory(tmp_path_factory.mktemp("laboratory"))


class Table(torch.nn.Module):
    """The sum of a row a token: two classes."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = torch.nn.Parameter(torch.arange(12.0).reshape(6, 2).square() / 10)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return (self.rows[ids] * mask[..., None]).sum(1)


def copies(asked: list[int]) -> object:
    def of(epoch: int) -> TokenisedTexts:
        asked.append(epoch)
        return TokenisedTexts.of([[4], [5, 1, 1], [epoch]], pad_id=0)

    return of


def batch(rows: list[int], step: int) -> Batch:
    places = np.array(rows)
    ids, mask = TEXTS.batch(places)
    return Batch(ids, mask, torch.tensor([0, 1, 1])[rows], places, step, 12)


def test_the_loss_is_that_of_both_readings_and_of_their_distance() -> None:
    table = Table()
    noised = NoisedCopies(Supervised(), copies([]), 2, weight=0.7)  # type: ignore[arg-type]
    found = noised(table, batch([1, 0], step=1))
    plain = torch.stack([2 * table.rows[2], table.rows[1]])
    copied = torch.stack([table.rows[5] + 2 * table.rows[1], table.rows[4]])
    truth = torch.tensor([1, 0])
    losses = [torch.nn.functional.cross_entropy(read, truth) for read in (plain, copied)]
    torch.testing.assert_close(found, sum(losses) / 2 + 0.7 * consistency_loss(plain, copied))
    (slope,) = torch.autograd.grad(found, [table.rows])
    assert (slope.abs().sum(1) > 0).tolist() == [False, True, True, False, True, True]
    assert noised.passes == 2


def test_copies_follow_the_epoch_of_the_step() -> None:
    asked: list[int] = []
    noised = NoisedCopies(Supervised(), copies(asked), 2, weight=0.0)  # type: ignore[arg-type]
    table = Table()
    losses = [float(noised(table, batch([2], step)).detach()) for step in (0, 1, 2, 3, 4)]
    assert asked == [0, 1, 2], "each epoch's are made once"
    assert losses[0] == losses[1] != losses[2] == losses[3] != losses[4]


def test_two_passes_of_the_plain_loss_are_kept(laboratory: Laboratory) -> None:
    twice = Supervised(consistency=1.0)
    noised = NoisedCopies(twice, copies([]), 2, weight=1.0)  # type: ignore[arg-type]
    assert noised.passes == 4
    once = NoisedCopies(Supervised(), copies([]), 2, weight=1.0)  # type: ignore[arg-type]
    table = Table()
    torch.testing.assert_close(noised(table, batch([0, 1], 0)), once(table, batch([0, 1], 0)))


@pytest.mark.parametrize("fields", [{}, {"adversarial.kind": "fgm"}, {"consistency": 0.5}])
def test_a_resumed_training_agrees(
    laboratory: Laboratory, tmp_path: Path, fields: dict[str, object]
) -> None:
    asked = {"augmentation.agreement": 1.0, "augmentation.characters": 0.4, "epochs": 3, **fields}

    def fit(**more: object) -> np.ndarray:
        return laboratory.probabilities(laboratory.fit("augmented", **asked, **more))  # type: ignore[arg-type]

    unbroken = fit()
    with pytest.raises(KeyboardInterrupt):
        fit(report=ListeningProgress(after=5), checkpoints=tmp_path)
    resumed = fit(checkpoints=tmp_path, resume=True)
    np.testing.assert_allclose(resumed, unbroken, atol=1e-5)
    without = fit(**{"augmentation.share": 0.0})
    assert not np.allclose(without, unbroken, atol=1e-3)


def test_a_weight_is_no_less_than_nothing() -> None:
    with pytest.raises(SettingsError, match="agreement"):
        make_recipe(**{"augmentation.agreement": -1})
