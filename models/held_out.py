"""What a classifier and its nearest training examples say of held-out texts, fitted together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.confidence import ConfidenceModel, fit_confidence
from models.neighbours import nearest_neighbours
from models.text_classifier import TextClassifier, forward
from shared.finetuning.hardware import Hardware


@dataclass(frozen=True, eq=False)
class HeldOut:
    """n held-out texts: ``logits`` and neighbours' ``votes`` [n, k], ``truth`` int64 [n] the class
    number or -1 for out of scope, the ``confidence`` model fitted on them, and how ``sure`` float
    [n] it is of each (where the model is a joint one, as fitted without the text's own fold)."""

    logits: NDArray[np.float32]
    votes: NDArray[np.float64]
    truth: NDArray[np.int64]
    confidence: ConfidenceModel
    sure: NDArray[np.float64]

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Calibrated, with the neighbours' share, float64 [n, k]."""
        return np.asarray(self.confidence.probabilities(self.logits, self.votes))

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Whether the likeliest class is the true one, bool [n]."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.truth)


def judge_held_out(
    classifier: TextClassifier,
    texts: Sequence[str],
    truth: NDArray[np.int64],
    *,
    bank: NDArray[np.floating],
    bank_truth: NDArray[np.int64],
    hardware: Hardware | None = None,
) -> HeldOut:
    """Read the texts; at least one is in scope.

    ``bank`` [m, d] are the training examples' unit vectors by this classifier's encoder,
    ``bank_truth`` int64 [m] their class numbers.
    """
    vectors, logits = forward(classifier, texts, hardware)
    near = nearest_neighbours(vectors, bank)
    votes = near.votes(bank_truth, logits.shape[1])
    confidence, sure = fit_confidence(logits, near.familiarity, truth, votes)
    return HeldOut(logits, votes, truth, confidence, sure)
