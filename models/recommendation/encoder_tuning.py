"""Contrastive fine-tuning of the encoder on items that people take one after another.

Of each followed cut a recent item of the past and the item that followed are a pair; the others of
the batch are negatives, each less the logarithm of how often it is one (Yi et al., RecSys 2019).
Word embeddings rest, as in the core's recipe; half precision where the processor has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.encoder import TextEncoder
from shared.finetuning.hardware import Hardware
from shared.histories import Histories, Rows

PAIRS = 64
LONGEST = 32
"""Tokens of a text that are read while tuning: titles stand first, and memory grows with it."""

RATE = 1e-4
WARM_UP = 0.1
SCALE = 20.0
REACH = 3
"""The item of the past is one of the last so many, the nearer the likelier."""


def tune_encoder(
    encoder: TextEncoder,
    texts: Sequence[str],
    histories: Histories,
    *,
    steps: int,
    seed: int,
    hardware: Hardware,
    report: Callable[[int, int, float], None] = lambda step, steps, loss: None,
) -> TextEncoder:
    """Train ``encoder`` in place for some steps of ``PAIRS`` pairs, and give it back.

    ``texts`` are those of the histories' rows. Where nothing follows anything it stays as it is.
    """
    import torch
    from torch.nn.functional import cross_entropy

    firsts, seconds = followed_pairs(histories, seed=seed, count=steps * PAIRS)
    if len(firsts) < PAIRS or steps < 1:
        return encoder
    steps = len(firsts) // PAIRS
    counts = np.bincount(seconds, minlength=histories.items) + 1.0
    frequency = torch.from_numpy(np.log(counts).astype(np.float32)).to(hardware.device)
    whole = encoder.max_length
    encoder.max_length = min(whole, LONGEST)
    tokens = encoder.tokenise(texts)
    encoder.max_length = whole
    for parameter in encoder.embedding.parameters():
        parameter.requires_grad_(False)
    trained = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.01)
    warm = max(1, int(WARM_UP * steps))
    decay = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, (steps - step) / max(1, steps - warm))
    )
    encoder.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in range(steps):
            cut = slice(step * PAIRS, (step + 1) * PAIRS)
            rows = np.concatenate([firsts[cut], seconds[cut]])
            ids, mask = (part.to(hardware.device) for part in tokens.batch(rows))
            with hardware.autocast():
                vectors = encoder(ids, mask)
            pasts, nexts = vectors[:PAIRS].float(), vectors[PAIRS:].float()
            targets = torch.from_numpy(seconds[cut]).to(hardware.device)
            same = targets[:, None] == targets[None, :]
            same &= ~torch.eye(PAIRS, dtype=torch.bool, device=same.device)
            logits = SCALE * (pasts @ nexts.T) - frequency[targets]
            loss = cross_entropy(
                logits.masked_fill(same, -1e4), torch.arange(PAIRS, device=same.device)
            )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            decay.step()
            report(step + 1, steps, float(loss.detach()))
    return encoder.eval()


def followed_pairs(
    histories: Histories, *, seed: int, count: int
) -> tuple[Rows, NDArray[np.int64]]:
    """At most ``count`` pairs of an item and one that followed it within ``REACH``, int64 both."""
    liked = histories.keep(histories.strengths > 0)
    rng = np.random.default_rng(seed)
    places = np.arange(len(liked.rows))
    before = places - liked.starts[:-1][liked.owners]
    inner = places[before > 0]
    drawn = np.concatenate(
        [rng.permutation(inner) for _ in range(-(-count // max(1, len(inner))))]
        or [np.zeros(0, np.int64)]
    )[:count].astype(np.int64)
    back = np.minimum(1 + rng.geometric(0.5, len(drawn)) - 1, np.minimum(before[drawn], REACH))
    firsts, seconds = liked.rows[drawn - back], liked.rows[drawn]
    differs = firsts != seconds
    return firsts[differs], seconds[differs]
