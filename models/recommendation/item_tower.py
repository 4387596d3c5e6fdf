"""From texts to the space of behaviour: a linear map each for what was taken and what comes next.

Trained so that a history's mean, mapped, lies nearest to the item that followed it: softmax over
the other items of the batch, each less the logarithm of how often it was taken, which is how often
it is among them. Source: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
recommendations", RecSys 2019. The maps start at the leading directions of the texts, where the
score is that of texts alone. Being linear in the history, each event's part in a score is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.recommendation.recipe import RecommendRecipe
from models.recommendation.sequence_linear import history_cuts
from models.recommendation.text_features import unit_rows
from shared.histories import Histories

Floats = NDArray[np.float32]

BATCH = 256
START_SCALE = 15.0
TAUGHT_BY = 64
"""With fewer followed cuts than this there is nothing to learn: the maps stay where they start."""


@dataclass(frozen=True, eq=False, slots=True)
class ItemTower:
    """The two maps, float32 [text dimensions, tower dimensions]: of items in a history (``taken``)
    and of items that may follow (``offered``)."""

    taken: Floats
    offered: Floats

    def of_history(self, texts: Floats) -> Floats:
        """Vectors of items as a history holds them, float32 [n, d]: add them up by weight."""
        return texts @ self.taken

    def of_candidates(self, texts: Floats) -> Floats:
        """Unit vectors of items as they may follow, float32 [n, d]."""
        return unit_rows(texts @ self.offered)

    @classmethod
    def of_texts(cls, texts: Floats, dimensions: int) -> Self:
        """Both maps at the leading directions of the texts (float32 [n, t])."""
        values, vectors = np.linalg.eigh(texts.T @ texts)
        leading = vectors[:, np.argsort(-values)[:dimensions]].astype(np.float32)
        return cls(leading, leading.copy())


def train_item_tower(
    histories: Histories,
    texts: Floats,
    recipe: RecommendRecipe,
    *,
    seed: int,
    report: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> ItemTower:
    """Train the maps on what followed what; ``texts`` float32 [items, t] are the items' vectors.

    ``report`` hears the step, how many there are, and the loss. The same inputs give the same maps.
    """
    import torch
    from torch.nn.functional import cross_entropy, dropout, normalize

    started = ItemTower.of_texts(texts, recipe.tower_dimensions)
    pasts, followed = followed_cuts(histories, recipe)
    if len(followed) < TAUGHT_BY or not recipe.tower_epochs:
        return started
    counts = np.bincount(followed, minlength=histories.items).astype(np.float32)
    frequency = torch.from_numpy(np.log(counts + 1.0))
    vectors = torch.from_numpy(np.ascontiguousarray(texts))
    generator = torch.Generator().manual_seed(seed)
    taken = torch.from_numpy(started.taken).clone().requires_grad_()
    offered = torch.from_numpy(started.offered).clone().requires_grad_()
    scale = torch.tensor(float(np.log(START_SCALE)), requires_grad=True)
    optimiser = torch.optim.AdamW(
        [
            {"params": [taken, offered], "weight_decay": 1e-4},
            {"params": [scale], "weight_decay": 0.0},
        ],
        lr=recipe.tower_rate,
    )
    steps = recipe.tower_epochs * -(-len(followed) // BATCH)
    decay = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1.0 - step / steps)
    # Dropout of torch draws from its global generator: seeded here, and put back afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        step = 0
        for _ in range(recipe.tower_epochs):
            order = torch.randperm(len(followed), generator=generator).numpy()
            for begin in range(0, len(order), BATCH):
                rows = order[begin : begin + BATCH]
                means = torch.from_numpy(np.asarray(pasts[rows] @ texts, np.float32))
                targets = torch.from_numpy(followed[rows])
                users = normalize(dropout(means, recipe.tower_dropout) @ taken, dim=1)
                items = dropout(vectors[targets], recipe.tower_dropout) @ offered
                logits = scale.exp() * (users @ normalize(items, dim=1).T) - frequency[targets]
                logits = logits.masked_fill(_same_item(targets), -1e4)
                loss = cross_entropy(logits, torch.arange(len(targets)))
                optimiser.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                decay.step()
                step += 1
                report(step, steps, float(loss.detach()))
    return ItemTower(taken.detach().numpy().copy(), offered.detach().numpy().copy())


def followed_cuts(histories: Histories, recipe: RecommendRecipe) -> tuple[Any, NDArray[np.int64]]:
    """The weighted past of every event but a user's first (CSR [cuts, items], rows summing to 1)
    and the item that followed (int64 [cuts])."""
    from scipy.sparse import diags

    pasts, _ = history_cuts(histories, recipe)
    liked = histories.keep(histories.strengths > 0)
    inner = np.ones(len(liked.rows), bool)
    inner[liked.starts[:-1][np.diff(liked.starts) > 0]] = False
    followed = liked.rows[inner]
    sums = np.asarray(pasts.sum(axis=1)).ravel()
    return (diags((1.0 / sums).astype(np.float32)) @ pasts).tocsr(), followed


def _same_item(targets: Any) -> Any:
    """Where another row of the batch has the same target, bool [b, b]: it is no negative."""
    import torch

    same = targets[:, None] == targets[None, :]
    return same & ~torch.eye(len(targets), dtype=torch.bool)
