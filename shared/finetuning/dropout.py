"""Dropout whose mask is drawn eight elements at a time.

On a processor torch draws each element's Bernoulli variable on one thread: a tenth of the time of
a training step of a small encoder. Random bytes compared with a threshold do the same at a
fraction of it; the probability is rounded to 1/256. Source: Srivastava et al., "Dropout", 2014.
"""

from __future__ import annotations

import torch
from torch import nn


class ByteDropout(nn.Module):
    """Zeroes elements with probability ``p`` (rounded to 1/256) and scales the rest."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Values of any shape; unchanged outside of training."""
        threshold = round(256 * self.p)
        if not self.training or threshold == 0:
            return values
        count = values.numel()
        words = torch.empty((count + 7) // 8, dtype=torch.int64, device=values.device)
        words.random_(-(2**63), None)
        kept = words.view(torch.uint8)[:count].view(values.shape) >= threshold
        return values * kept.to(values.dtype).mul_(256 / (256 - threshold))
