"""The report of a model version: one HTML file that needs nothing else.

It opens from a disk as well as from a server: no address is asked for anything, the plots are
SVG, the only script sorts and filters a table, and the page's own content security policy
allows nothing but that. Everything that comes from data is escaped by the template, and personal
data is masked in the texts that are quoted.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from shared.evaluation import report_figures as figures
from shared.evaluation.calibration import (
    confidence_gap,
    negative_log_likelihood,
    reliability_bins,
)
from shared.evaluation.classification import (
    accuracy,
    bootstrap_interval,
    confusion_matrix,
    macro_f1,
    per_class_table,
    top_k_accuracy,
)
from shared.evaluation.open_set import auprc, auroc, false_positive_rate_at_95
from shared.evaluation.report_confusions import (
    NAMED_AT_MOST,
    draw_matrix,
    largest_confusions,
    listed_classes,
    most_confused,
    side_by_side,
)
from shared.evaluation.report_frame import percent
from shared.evaluation.selective import SelectiveThreshold, measure_threshold, risk_coverage
from shared.privacy import mask_personal_data

TEMPLATE = "report.html.jinja"
WORST = 25
QUOTED_LETTERS = 400


@dataclass(frozen=True)
class ReportData:
    """What a report is made of: n texts of the classes, and o texts of none after them.

    ``truth`` int[n] (-1 where the model does not know the class) and the probabilities float[n, k]
    (before and after temperature scaling) speak of the first n. ``confidence`` float[n + o], what
    thresholds are set on, ``correct`` bool[n + o] and ``in_scope_scores`` float[n + o] speak of
    all; an out-of-scope text is never correct. ``confidence`` and ``correct`` default to the top
    class's calibrated probability and whether it is right. ``curves`` holds rows with ``step``,
    ``epoch``, ``loss`` and perhaps ``validation_accuracy``. ``threshold`` is the one in use,
    ``chosen_on`` the examples it was chosen on, ``split`` what the n texts are. ``notes`` are
    sentences shown at the top.
    """

    title: str
    card: Mapping[str, Any]
    labels: Sequence[str]
    texts: Sequence[str]
    truth: NDArray[np.int64]
    probabilities_before: NDArray[np.float64]
    probabilities_after: NDArray[np.float64]
    confidence: NDArray[np.float64] | None = None
    correct: NDArray[np.bool_] | None = None
    in_scope_scores: NDArray[np.float64] | None = None
    out_of_scope_texts: Sequence[str] = ()
    curves: Sequence[Mapping[str, Any]] = ()
    threshold: SelectiveThreshold | None = None
    chosen_on: str = "validation"
    split: str = "test"
    notes: Sequence[str] = field(default=())

    def __post_init__(self) -> None:
        n, everything = len(self.texts), len(self.texts) + len(self.out_of_scope_texts)
        if n == 0:
            raise ValueError("a report needs at least one text")
        for name, rows in (("truth", n), ("probabilities_before", n), ("probabilities_after", n)):
            if len(getattr(self, name)) != rows:
                raise ValueError(f"{name} has {len(getattr(self, name))} rows, not {rows}")
        for name in ("confidence", "correct", "in_scope_scores"):
            values = getattr(self, name)
            if values is not None and len(values) != everything:
                raise ValueError(f"{name} has {len(values)} rows, not {everything}")
        if self.out_of_scope_texts and (self.confidence is None or self.correct is None):
            raise ValueError("out-of-scope texts need confidence and correct")


def write_report(path: Path, data: ReportData) -> None:
    """Write the report to ``path``."""
    path.write_text(render_report(data), encoding="utf-8")


def render_report(data: ReportData) -> str:
    """The report as one HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("shared.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["wording"] = wording
    environment.filters["breakable"] = breakable
    environment.filters["is_mapping"] = lambda value: isinstance(value, Mapping)
    source = environment.loader.get_source(environment, "report.js")[0]  # type: ignore[union-attr]
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    return environment.get_template(TEMPLATE).render(
        script=source, script_hash=digest, **_view(_known(data))
    )


def wording(value: Any) -> str:
    """A value of the model card as people read it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(wording(item) for item in value)
    return str(value)


def breakable(name: str) -> Markup:
    """A name that may be broken after its underscores, where a line is narrow."""
    return Markup("_<wbr>").join(name.split("_"))


def _known(data: ReportData) -> ReportData:
    """The data without texts of classes that the model does not know, and a note of how many."""
    known = np.asarray(data.truth) >= 0
    if known.all():
        return data
    everyone = np.concatenate([known, np.ones(len(data.out_of_scope_texts), dtype=bool)])
    left_out = int((~known).sum())
    return replace(
        data,
        texts=[text for text, kept in zip(data.texts, known, strict=True) if kept],
        truth=data.truth[known],
        probabilities_before=data.probabilities_before[known],
        probabilities_after=data.probabilities_after[known],
        confidence=None if data.confidence is None else data.confidence[everyone],
        correct=None if data.correct is None else data.correct[everyone],
        in_scope_scores=None if data.in_scope_scores is None else data.in_scope_scores[everyone],
        notes=[
            *data.notes,
            f"Left out here: {left_out:,} texts whose class was not among the training data.",
        ],
    )


def _view(data: ReportData) -> dict[str, Any]:
    """Everything that the template shows, worked out."""
    labels = list(data.labels)
    truth = np.asarray(data.truth, dtype=np.int64)
    after = np.asarray(data.probabilities_after, dtype=np.float64)
    before = np.asarray(data.probabilities_before, dtype=np.float64)
    predicted = after.argmax(axis=1)
    hits = predicted == truth
    confidence = after.max(axis=1) if data.confidence is None else np.asarray(data.confidence)
    correct = hits if data.correct is None else np.asarray(data.correct, dtype=bool)
    listed = listed_classes(truth, predicted, labels)
    counts = confusion_matrix(listed.truth, listed.predicted, len(listed.labels))
    point = None
    if data.threshold is not None:
        point = measure_threshold(
            confidence,
            correct,
            data.threshold.threshold,
            target_error=data.threshold.target_error,
            delta=data.threshold.delta,
        )
    curve = risk_coverage(confidence, correct)
    confused = side_by_side(counts, most_confused(counts))
    everything = side_by_side(counts, list(range(len(listed.labels))))
    table = per_class_table(truth, predicted, labels)
    notes = list(data.notes)
    if not listed.whole:
        names = set(listed.labels)
        table = [row for row in table if row.label in names]
        notes.append(f"Listed by class: the {len(table)} with the most errors of {len(labels):,}.")
    whole = len(labels) <= NAMED_AT_MOST
    drawn = everything if whole else confused
    gaps = {
        name: confidence_gap(rows.max(axis=1), hits)
        for name, rows in (("before", before), ("after", after))
    }
    return {
        "title": data.title,
        "card": data.card,
        "created": str(data.card.get("created_at", ""))[:16].replace("T", " "),
        "chosen_on": data.chosen_on,
        "split": data.split,
        "notes": notes,
        "n": len(truth),
        "classes": len(labels),
        "accuracy": accuracy(truth, predicted),
        "accuracy_interval": bootstrap_interval(hits, seed=0),
        "macro_f1": macro_f1(truth, predicted),
        "top3": top_k_accuracy(truth, after, 3),
        "gaps": gaps,
        "likelihood": {
            "before": negative_log_likelihood(before, truth),
            "after": negative_log_likelihood(after, truth),
        },
        "chosen": data.threshold,
        "point": point,
        "curve_area": curve.area,
        "scope": _scope(data),
        "splits": _split_counts(data.card),
        "table": table,
        "pairs": largest_confusions(counts, listed.labels),
        "errors": int((~hits).sum()),
        "worst": list(_worst(data, labels, truth, after, confidence)),
        "let_in": list(_let_in(data, confidence)),
        "confused": len(drawn),
        "matrix": draw_matrix(counts, listed.labels, drawn, 24) if drawn else None,
        "matrix_whole": whole,
        "whole_matrix": draw_matrix(counts, listed.labels, everything, 9)
        if listed.whole and not whole
        else None,
        "loss_plot": figures.loss_curve(data.curves),
        "accuracy_plot": figures.accuracy_curve(data.curves),
        "reliability_before": figures.reliability(
            reliability_bins(before.max(axis=1), hits), "Reliability before temperature scaling"
        ),
        "reliability_after": figures.reliability(
            reliability_bins(after.max(axis=1), hits), "Reliability after temperature scaling"
        ),
        "histogram": figures.confidence_histogram(
            confidence, correct, None if point is None else point.threshold
        ),
        "risk_plot": figures.risk_coverage_plot(curve, point),
    }


def _scope(data: ReportData) -> dict[str, Any] | None:
    if data.in_scope_scores is None or not data.out_of_scope_texts:
        return None
    scores, n = np.asarray(data.in_scope_scores, dtype=np.float64), len(data.texts)
    inside, outside = scores[:n], scores[n:]
    return {
        "count": len(outside),
        "auroc": auroc(inside, outside),
        "auprc": auprc(inside, outside),
        "let_in_at_95": false_positive_rate_at_95(inside, outside),
        "plot": figures.scope_histogram(scores, np.arange(len(scores)) < n),
    }


def _split_counts(card: Mapping[str, Any]) -> list[tuple[str, int]]:
    data = card.get("data")
    if not isinstance(data, Mapping):
        return []
    names = ("train", "validation", "gate", "test")
    return [(name, int(data[name])) for name in names if isinstance(data.get(name), int)]


def _worst(
    data: ReportData,
    labels: Sequence[str],
    truth: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    confidence: NDArray[np.float64],
) -> Iterator[Mapping[str, Any]]:
    """The wrong answers that were surest of themselves."""
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(predicted != truth)
    for row in wrong[np.argsort(-confidence[wrong], kind="stable")][:WORST]:
        yield MappingProxyType(
            {
                "text": quote(data.texts[row]),
                "said": labels[predicted[row]],
                "said_share": float(probabilities[row, predicted[row]]),
                "true": labels[truth[row]],
                "true_share": float(probabilities[row, truth[row]]),
                "confidence": float(confidence[row]),
            }
        )


def _let_in(data: ReportData, confidence: NDArray[np.float64]) -> Iterator[Mapping[str, Any]]:
    """The out-of-scope texts that the model was surest of."""
    n = len(data.texts)
    for row in np.argsort(-confidence[n:], kind="stable")[:10]:
        yield {
            "text": quote(data.out_of_scope_texts[row]),
            "confidence": float(confidence[n + row]),
        }


def quote(text: str) -> str:
    """A text as the report quotes it: personal data masked, long ones cut."""
    masked = mask_personal_data(text)
    return masked if len(masked) <= QUOTED_LETTERS else masked[: QUOTED_LETTERS - 1] + "…"
