"""Step six: what a text classifier is worth on examples it was neither fitted nor tuned on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.text_classifier import TextPredictor, forward
from shared.evaluation.calibration import (
    expected_calibration_error,
    negative_log_likelihood,
    softmax,
)
from shared.evaluation.classification import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    macro_f1,
    top_k_accuracy,
)
from shared.evaluation.open_set import auprc, auroc, false_positive_rate_at_95
from shared.evaluation.report import ReportData
from shared.evaluation.selective import SelectiveThreshold, measure_threshold, risk_coverage
from shared.finetuning.progress import ProgressReporter
from shared.records import Example

BOOTSTRAP_SEED = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Numbers for the card, and the arrays behind them for the report.

    ``texts`` lists the in-scope examples first, then those out of scope; ``truth`` int64[n] and
    the probabilities [n, k] speak of the in-scope ones, the other arrays of all.
    """

    metrics: dict[str, Any]
    texts: tuple[str, ...]
    truth: NDArray[np.int64]
    uncalibrated: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    confidence: NDArray[np.float64]
    correct: NDArray[np.bool_]
    in_scope_scores: NDArray[np.float64]

    def report_data(
        self,
        title: str,
        card: Mapping[str, Any],
        labels: Sequence[str],
        curves: Sequence[Mapping[str, Any]],
        chosen: SelectiveThreshold,
    ) -> ReportData:
        """What the HTML report is made of; ``chosen`` is the threshold as validation set it."""
        return ReportData(
            title=title,
            card=card,
            labels=labels,
            texts=self.texts[: len(self.truth)],
            truth=self.truth,
            probabilities_before=self.uncalibrated,
            probabilities_after=self.probabilities,
            confidence=self.confidence,
            correct=self.correct,
            in_scope_scores=self.in_scope_scores,
            out_of_scope_texts=self.texts[len(self.truth) :],
            curves=curves,
            threshold=chosen,
        )


def evaluate_predictor(
    predictor: TextPredictor,
    examples: Sequence[Example],
    *,
    report: ProgressReporter | None = None,
    measured_by: Sequence[str] = (),
) -> Evaluation | None:
    """Measure on these examples; None when none of them is in scope.

    ``measured_by`` names details of the examples by whose values accuracy and macro-F1 are
    given as well, under ``by``.

    Examples of a class that the model does not know count as wrong. ``coverage_at_target`` and
    ``error_at_target`` are over in-scope examples at the version's own threshold; the share of
    out-of-scope examples that would be answered stands under ``out_of_scope``.
    """
    numbers = {label: number for number, label in enumerate(predictor.labels)}
    inside = [example for example in examples if example.in_scope]
    outside = [example for example in examples if not example.in_scope]
    if not inside:
        return None
    texts = tuple(example.text for example in (*inside, *outside))
    if report is not None:
        report.start("evaluating", len(texts))
    vectors, logits = forward(predictor.classifier, texts, report=report)
    if report is not None:
        report.finish()
    calibrated, scores, confidence = predictor.assess(vectors, logits)
    count = len(inside)
    truth = np.array([numbers.get(example.label, -1) for example in inside], dtype=np.int64)
    known = truth >= 0
    predicted = calibrated[:count].argmax(axis=1)
    hits = predicted == truth
    correct = np.concatenate([hits, np.zeros(len(outside), dtype=bool)])
    uncalibrated = softmax(logits[:count])
    probabilities = calibrated[:count]
    threshold = measure_threshold(
        confidence[:count], hits, predictor.answer_threshold, target_error=predictor.target_error
    )
    metrics: dict[str, Any] = {
        "accuracy": accuracy(truth, predicted),
        "macro_f1": macro_f1(truth[known], predicted[known]),
        "top3_accuracy": top_k_accuracy(truth[known], probabilities[known], 3)
        * float(known.mean()),
        "expected_calibration_error": expected_calibration_error(
            probabilities[known], truth[known]
        ),
        "expected_calibration_error_uncalibrated": expected_calibration_error(
            uncalibrated[known], truth[known]
        ),
        "negative_log_likelihood": negative_log_likelihood(probabilities[known], truth[known]),
        "area_under_risk_coverage": risk_coverage(confidence[:count], hits).area,
        "out_of_scope": None,
        "coverage_at_target": threshold.coverage,
        "error_at_target": threshold.error,
        "error_bound_at_target": threshold.bound,
        "intervals": {
            "accuracy": bootstrap_interval(hits, seed=BOOTSTRAP_SEED),
            "macro_f1": bootstrap_interval(
                np.column_stack([truth[known], predicted[known]]),
                seed=BOOTSTRAP_SEED,
                metric=lambda pairs: macro_f1(*pairs.astype(np.int64).T),
                samples=200,
            ),
        },
        "examples": count,
        "confusion": confusion(truth[known], predicted[known], predictor.labels),
        "by": {
            name: groups
            for name in measured_by
            if (groups := by_detail(name, inside, truth, predicted))
        },
    }
    if outside:
        metrics["out_of_scope"] = _open_set(
            scores, confidence, outside, count, predictor.answer_threshold
        )
    return Evaluation(
        metrics, texts, truth, uncalibrated, probabilities, confidence, correct, scores
    )


MOST_SHOWN = 12
"""Classes up to which the whole confusion matrix stands among the metrics."""


def confusion(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], labels: Sequence[str]
) -> dict[str, Any] | None:
    """Counts by true class (rows) and predicted class (columns); None with many classes."""
    if len(labels) > MOST_SHOWN:
        return None
    counts = confusion_matrix(truth, predicted, len(labels))
    return {"labels": list(labels), "counts": counts.tolist()}


def by_detail(
    name: str,
    examples: Sequence[Example],
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
) -> dict[str, dict[str, Any]]:
    """Accuracy and macro-F1 of the examples with each value of a detail, that are known."""
    values = np.array([str(example.details.get(name, "")) for example in examples])
    result = {}
    for value in sorted(set(values.tolist()) - {""}):
        rows = (values == value) & (truth >= 0)
        if rows.any():
            result[value] = {
                "accuracy": accuracy(truth[rows], predicted[rows]),
                "macro_f1": macro_f1(truth[rows], predicted[rows]),
                "examples": int(rows.sum()),
            }
    return result


def _open_set(
    scores: NDArray[np.float64],
    confidence: NDArray[np.float64],
    outside: Sequence[Example],
    count: int,
    threshold: float,
) -> dict[str, Any]:
    """Detection by the in-scope score, out-of-scope positive, as a whole and by kind."""

    def figures(rows: NDArray[np.int64]) -> dict[str, Any]:
        return {
            "auroc": auroc(scores[:count], scores[rows]),
            "auprc": auprc(scores[:count], scores[rows]),
            "false_positive_rate_at_95": false_positive_rate_at_95(scores[:count], scores[rows]),
            "answered": float((confidence[rows] >= threshold).mean()),
            "examples": len(rows),
        }

    everything = figures(np.arange(count, count + len(outside)))
    kinds = sorted({str(e.details["kind"]) for e in outside if e.details.get("kind")})
    by_kind = {
        kind: figures(
            np.array([count + i for i, e in enumerate(outside) if e.details.get("kind") == kind])
        )
        for kind in kinds
    }
    return {**everything, "by_kind": by_kind} if by_kind else everything
