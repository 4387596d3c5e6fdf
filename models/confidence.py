"""How sure a prediction is: one number out of calibrated probability and familiarity.

Two questions decide whether an answer can be trusted: is the class clear (calibrated probability,
of the classifier and of the votes of the nearest training examples), and does the text look like
the training data at all (energy of the logits and similarity to the nearest training examples,
together). Sources: Guo et al., "On calibration", 2017; Liu et al., "Energy-based
out-of-distribution detection", 2020; Sun et al., "Deep nearest neighbors", 2022.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.calibration import fit_temperature, negative_log_likelihood, softmax
from shared.evaluation.open_set import energy

SHARES = (0.0, 0.25, 0.5)
"""Shares of a probability that neighbours may have; validation chooses."""

ENOUGH_TO_VOTE = 100
"""Validation texts from which that is chosen; with fewer the classifier answers alone."""

ENOUGH_STRAYS = 30
"""Out-of-scope validation texts from which the joint model is fitted; fewer say too little."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ConfidenceModel:
    """Fitted on validation texts. ``weights`` (bias, log-odds, familiarity) is None when there
    were too few out-of-scope texts: then unfamiliar texts are discounted by rank alone.
    ``neighbour_share`` in [0, 1) of a probability are the votes of neighbours."""

    temperature: float
    energy_mean: float
    energy_deviation: float
    similarity_mean: float
    similarity_deviation: float
    quantiles: tuple[float, ...]
    weights: tuple[float, float, float] | None
    neighbour_share: float = 0.0

    def probabilities(self, logits: NDArray[np.floating[Any]], votes: Floats | None) -> Floats:
        """Calibrated probabilities float64[n, k] of logits and neighbours' ``votes``, both [n, k].

        None where nobody votes, of a model that was fitted so.
        """
        own = softmax(logits, self.temperature)
        if not self.neighbour_share:
            return own
        if votes is None:
            raise ValueError("this model needs the votes of neighbours")
        return (1 - self.neighbour_share) * own + self.neighbour_share * votes

    def in_scope_scores(
        self, logits: NDArray[np.floating[Any]], similarity: NDArray[np.floating[Any]]
    ) -> Floats:
        """Familiarity float64[n]: standardised energy plus similarity; larger is more familiar."""
        energies = energy(logits, self.temperature)
        return np.asarray(
            (energies - self.energy_mean) / self.energy_deviation
            + (similarity - self.similarity_mean) / self.similarity_deviation,
            dtype=np.float64,
        )

    def confidence(self, probabilities: Floats, in_scope_scores: Floats) -> Floats:
        """The estimated chance float64[n] in [0, 1] that the best class is right."""
        best = probabilities.max(axis=1)
        if self.weights is not None:
            bias, odds, familiar = self.weights
            raw = bias + odds * _log_odds(best) + familiar * in_scope_scores
            return np.asarray(1.0 / (1.0 + np.exp(-np.clip(raw, -500, 500))), dtype=np.float64)
        rank = np.interp(in_scope_scores, self.quantiles, np.linspace(0, 1, len(self.quantiles)))
        return np.asarray(best * np.minimum(1.0, rank / 0.1), dtype=np.float64)

    def as_json(self) -> dict[str, Any]:
        """Plain values for classifier.json."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ConfidenceModel:
        """The model that ``as_json`` described."""
        weights = values["weights"]
        quantiles = tuple(values["quantiles"])
        return cls(
            **{
                **values,
                "quantiles": quantiles,
                "weights": None if weights is None else (weights[0], weights[1], weights[2]),
            }
        )


def fit_confidence(
    logits: NDArray[np.floating[Any]],
    similarity: NDArray[np.floating[Any]],
    truth: NDArray[np.int64],
    votes: Floats | None,
) -> tuple[ConfidenceModel, Floats]:
    """The model fitted on validation texts, and their confidences for choosing thresholds.

    ``logits`` and ``votes`` are [n, k], ``similarity`` float[n] to the nearest training texts,
    ``truth`` int64[n] the class number or -1 for out of scope. Nobody votes where ``votes`` is
    None or texts are few; else the share of the votes is what makes the true classes likeliest.
    Where the joint model is fitted, the confidences given back come from two-fold cross-fitting,
    so no text judges itself.
    """
    inside = truth >= 0
    share, temperature = _fit_share(logits, truth, votes)
    energies = energy(logits, temperature)
    plain = ConfidenceModel(
        temperature=temperature,
        energy_mean=float(energies[inside].mean()),
        energy_deviation=float(energies[inside].std() or 1.0),
        similarity_mean=float(similarity[inside].mean()),
        similarity_deviation=float(similarity[inside].std() or 1.0),
        quantiles=(0.0, 1.0),
        weights=None,
        neighbour_share=share,
    )
    scores = plain.in_scope_scores(logits, similarity)
    quantiles = np.quantile(scores[inside], np.linspace(0, 1, 101))
    plain = ConfidenceModel.from_json({**plain.as_json(), "quantiles": tuple(quantiles.tolist())})
    probabilities = plain.probabilities(logits, votes)
    correct = inside & (probabilities.argmax(axis=1) == truth)
    if np.count_nonzero(~inside) < ENOUGH_STRAYS:
        return plain, plain.confidence(probabilities, scores)
    features = np.column_stack([_log_odds(probabilities.max(axis=1)), scores])
    fold = np.arange(len(truth)) % 2
    held_out = np.empty(len(truth))
    for part in (0, 1):
        weights = _fit_logistic(features[fold != part], correct[fold != part])
        joint = ConfidenceModel.from_json({**plain.as_json(), "weights": weights})
        rows = fold == part
        held_out[rows] = joint.confidence(probabilities[rows], scores[rows])
    weights = _fit_logistic(features, correct)
    return ConfidenceModel.from_json({**plain.as_json(), "weights": weights}), held_out


def _fit_share(
    logits: NDArray[np.floating[Any]], truth: NDArray[np.int64], votes: Floats | None
) -> tuple[float, float]:
    """The share of neighbours' votes and the temperature of the lowest loss on texts in scope."""
    inside = truth >= 0
    if votes is None or np.count_nonzero(inside) < ENOUGH_TO_VOTE:
        return 0.0, fit_temperature(logits[inside], truth[inside])
    best = (np.inf, 0.0, 1.0)
    for share in SHARES:
        temperature = fit_temperature(logits[inside], truth[inside], (votes[inside], share))
        mixed = (1 - share) * softmax(logits[inside], temperature) + share * votes[inside]
        best = min(best, (negative_log_likelihood(mixed, truth[inside]), share, temperature))
    return best[1], best[2]


def _log_odds(probability: Floats) -> Floats:
    clipped = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(clipped) - np.log1p(-clipped), dtype=np.float64)


def _fit_logistic(features: Floats, correct: NDArray[np.bool_]) -> tuple[float, float, float]:
    from sklearn.linear_model import LogisticRegression

    if correct.all() or not correct.any():
        return (0.0, 1.0, 0.0)
    fitted = LogisticRegression(C=1.0, max_iter=1_000).fit(features, correct)
    return (float(fitted.intercept_[0]), float(fitted.coef_[0, 0]), float(fitted.coef_[0, 1]))
