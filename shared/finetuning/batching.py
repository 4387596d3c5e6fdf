"""Texts are tokenised once and batched by length, so that almost nothing is padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class TokenisedTexts:
    """Token ids of n texts end to end: text i is ``ids[starts[i] : starts[i + 1]]``."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]
    pad_id: int

    def __post_init__(self) -> None:
        if len(self.starts) == 0 or self.starts[-1] != len(self.ids):
            raise ValueError("starts must end at the number of token ids")

    @classmethod
    def of(cls, token_ids: Sequence[Sequence[int]], pad_id: int) -> TokenisedTexts:
        """Pack lists of token ids."""
        lengths = np.fromiter((len(ids) for ids in token_ids), dtype=np.int64)
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = np.fromiter((i for ids in token_ids for i in ids), np.int32, count=int(starts[-1]))
        return cls(flat, starts, pad_id)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each text, int[n]."""
        return np.diff(self.starts)

    def batch(self, rows: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask of these rows, both int64[b, longest], padded right."""
        import torch

        lengths = self.lengths[rows]
        ids = np.full((len(rows), int(lengths.max())), self.pad_id, dtype=np.int64)
        mask = np.arange(ids.shape[1]) < lengths[:, None]
        for line, row in enumerate(rows):
            ids[line, : lengths[line]] = self.ids[self.starts[row] : self.starts[row + 1]]
        return torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64))


def training_batches(
    lengths: NDArray[np.int64], batch_size: int, generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Row numbers by batch: texts of like length together, batches in random order.

    Within a length, rows are shuffled; every row appears exactly once.
    """
    jitter = generator.random(len(lengths)) * 0.99
    order = np.argsort(lengths + jitter, kind="stable")
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    return [batches[i] for i in generator.permutation(len(batches))]


def balanced_rows(truth: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """As many row numbers as there are examples, int64[n], each class drawn equally often.

    A class that is rarer than the mean has its examples repeated, each nearly equally often; a
    more frequent one shows a random part of its examples.
    """
    classes = np.unique(truth)
    share = np.full(len(classes), len(truth) // len(classes))
    share[generator.permutation(len(classes))[: len(truth) % len(classes)]] += 1
    drawn = []
    for label, wanted in zip(classes, share, strict=True):
        own = np.flatnonzero(truth == label)
        rounds = [generator.permutation(own) for _ in range(-(-int(wanted) // len(own)))]
        drawn.append(np.concatenate(rounds)[:wanted] if rounds else own[:0])
    return np.concatenate(drawn)


def inference_batches(
    lengths: NDArray[np.int64], token_budget: int = 2_048
) -> Iterator[NDArray[np.int64]]:
    """Row numbers by batch, longest first, each batch within the budget of padded tokens.

    A single text longer than the budget is a batch of its own.
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, token_budget // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
