"""The report's plots: learning curves, reliability, confidence, risk, in-scope scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike

from shared.evaluation.calibration import ReliabilityBin
from shared.evaluation.report_frame import WIDTH, Frame, percent, round_ticks
from shared.evaluation.selective import RiskCoverage, SelectiveThreshold

SHARES = [(0.0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1.0, "100\u202f%")]


def loss_curve(curves: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Training loss by step: each step faint, a running mean strong. None without losses."""
    rows = [(row["step"], row["loss"]) for row in curves if row.get("loss") is not None]
    if len(rows) < 2:
        return None
    steps, losses = np.array(rows, dtype=float).T
    width = max(1, len(losses) // 25)
    sums = np.cumsum(np.concatenate([[0.0], losses]))
    first = np.maximum(np.arange(1, len(losses) + 1) - width, 0)
    mean = (sums[1:] - sums[first]) / (np.arange(1, len(losses) + 1) - first)
    top = float(np.quantile(losses, 0.99)) * 1.1 or 1.0
    frame = Frame((float(steps[0]), float(steps[-1])), (0.0, top), "Training loss by step")
    frame.y_axis([(value, f"{value:g}") for value in round_ticks(0.0, top)])
    frame.path(steps, losses, "faint")
    frame.path(steps, mean, "stroke a")
    ticks = round_ticks(float(steps[0]), float(steps[-1]))
    frame.x_axis("training step", [(value, f"{value:,.0f}") for value in ticks])
    return frame.svg()


def accuracy_curve(curves: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Validation accuracy by epoch. None where it was never measured."""
    rows = [
        (row.get("epoch", row["step"]), row["validation_accuracy"])
        for row in curves
        if row.get("validation_accuracy") is not None
    ]
    if not rows:
        return None
    epochs, scores = np.array(rows, dtype=float).T
    spread = max(float(scores.max() - scores.min()), 0.02)
    low = max(0.0, float(scores.min()) - 0.3 * spread)
    high = min(1.0, float(scores.max()) + 0.3 * spread)
    first, last = float(epochs.min()), float(epochs.max())
    margin = 0.08 * ((last - first) or 1.0)
    frame = Frame((first - margin, last + margin), (low, high), "Validation accuracy by epoch")
    digits = 0 if high - low > 0.1 else 1
    frame.y_axis([(value, percent(value, digits)) for value in round_ticks(low, high)])
    frame.path(epochs, scores, "stroke b")
    best = int(scores.argmax())
    for number, (epoch, score) in enumerate(zip(epochs, scores, strict=True)):
        hint = f"epoch {epoch:g}: {percent(score, 2)}"
        frame.dot(epoch, score, "dot b" if number == best else "dot b small", hint)
    place = frame.px(epochs[best])
    side = "end" if place > 330 else "start" if place < 90 else "middle"
    frame.text(place, frame.py(scores[best]) - 9, f"best {percent(scores[best], 2)}", side)
    whole = (
        sorted({float(epoch) for epoch in epochs})
        if len(epochs) <= 10
        else round_ticks(first, last)
    )
    frame.x_axis("epoch", [(value, f"{value:g}") for value in whole])
    return frame.svg()


def reliability(bins: Sequence[ReliabilityBin], label: str) -> Markup:
    """Accuracy by stated confidence: bars on the diagonal are honest; the gap is marked."""
    frame = Frame((0.0, 1.0), (0.0, 1.0), label, height=290.0)
    frame.y_axis(SHARES)
    for row in bins:
        if row.count:
            hint = (
                f"{row.count} texts stated {percent(row.confidence)} and were right in "
                f"{percent(row.accuracy)}"
            )
            frame.bar(row.low, row.high, 0.0, row.accuracy, "fill a", hint)
            kind = "fill over" if row.confidence > row.accuracy else "fill under"
            frame.bar(row.low, row.high, row.accuracy, row.confidence, kind, hint)
    frame.line(0.0, 0.0, 1.0, 1.0, "dash")
    frame.x_axis("confidence stated", SHARES)
    return frame.svg()


def confidence_histogram(
    confidence: ArrayLike, correct: ArrayLike, threshold: float | None
) -> Markup:
    """Where right answers (upwards) and wrong ones (downwards) lie, each as a share of its kind."""
    return _mirror(
        np.asarray(confidence, float),
        np.asarray(correct, bool),
        ("right", "wrong"),
        (0.0, 1.0),
        SHARES,
        "confidence",
        threshold if threshold is not None and threshold <= 1.0 else None,
    )


def scope_histogram(scores: ArrayLike, in_scope: ArrayLike) -> Markup:
    """In-scope scores of texts of a class (upwards) and of none (downwards)."""
    values = np.asarray(scores, float)
    low, high = (float(edge) for edge in np.quantile(values, [0.002, 0.998]))
    ticks = [(value, f"{value:g}") for value in round_ticks(low, high)]
    kinds = ("in scope", "out of scope")
    mask = np.asarray(in_scope, bool)
    return _mirror(np.clip(values, low, high), mask, kinds, (low, high), ticks, "in-scope score")


def _mirror(
    values: np.ndarray,
    upward: np.ndarray,
    kinds: tuple[str, str],
    limits: tuple[float, float],
    ticks: Sequence[tuple[float, str]],
    title: str,
    threshold: float | None = None,
) -> Markup:
    edges = np.linspace(*limits, 26)
    groups = (values[upward], values[~upward])
    shares = [np.histogram(group, edges)[0] / max(1, len(group)) for group in groups]
    above, below = (max(float(share.max()), 0.02) * 1.12 for share in shares)
    frame = Frame(limits, (-below, above), f"Histogram of {title}", height=290.0)
    frame.y_axis([(value, percent(abs(value), 0)) for value in round_ticks(-below, above, 6)])
    for sign, share, group, kind, style in zip(
        (1, -1), shares, groups, kinds, ("fill a", "fill wrong"), strict=True
    ):
        for number, height in enumerate(share):
            if height:
                count = round(height * len(group))
                hint = f"{count} {kind}: {edges[number]:.2f} to {edges[number + 1]:.2f}"
                frame.bar(edges[number], edges[number + 1], 0.0, sign * height, style, hint)
    frame.line(limits[0], 0.0, limits[1], 0.0, "axis")
    heights = (frame.top + 12, frame.height - frame.bottom - 8)
    for share, group, kind, style, height in zip(
        shares, groups, kinds, ("key a", "key wrong"), heights, strict=True
    ):  # a kind's name stands at the side where it has fewer bars
        if float(share[:10].sum()) <= float(share[-10:].sum()):
            frame.text(frame.left + 8, height, f"{kind} ({len(group):,})", style)
        else:
            right = WIDTH - frame.right - 8
            frame.text(right, height, f"{kind} ({len(group):,})", f"{style} end")
    if threshold is not None:
        frame.line(threshold, -below, threshold, above, "mark")
        place = frame.px(threshold)
        side, shift = ("end", -6) if place > 200 else ("start", 6)
        frame.text(place + shift, frame.top + 30, f"answers from {threshold:.2f}", side)
    frame.x_axis(title, ticks)
    return frame.svg()


def risk_coverage_plot(curve: RiskCoverage, point: SelectiveThreshold | None) -> Markup:
    """Error among the answered against how many are answered, with the target and the choice."""
    whole = float(curve.risk[-1])
    target = point.target_error if point is not None else 0.0
    top = min(1.0, max(whole * 1.25, target * 2.5, 0.01))
    frame = Frame((0.0, 1.0), (0.0, top), "Error against coverage", height=290.0)
    digits = 0 if top > 0.06 else 1
    frame.y_axis([(value, percent(value, digits)) for value in round_ticks(0.0, top)])
    kept = curve.coverage >= min(0.02, float(curve.coverage[-1]))
    frame.path(curve.coverage[kept], curve.risk[kept], "stroke a")
    if point is not None:
        frame.line(0.0, target, 1.0, target, "dash warn")
        frame.text(frame.left + 6, frame.py(target) - 6, f"target {percent(target)}", "key warn")
        if point.coverage > 0:
            hint = f"{percent(point.coverage)} answered, {percent(point.error, 2)} of them wrong"
            flag = max(0.55 * top, min(point.error, top))
            frame.line(point.coverage, 0.0, point.coverage, flag, "mark")
            frame.dot(point.coverage, point.error, "dot a", hint, 5.0)
            place = frame.px(point.coverage)
            side, shift = ("end", -7) if place > 200 else ("start", 7)
            height = frame.py(flag)
            frame.text(place + shift, height + 10, f"{percent(point.coverage)} answered", side)
            frame.text(place + shift, height + 25, f"{percent(point.error, 2)} wrong", side)
    frame.x_axis("share answered", SHARES)
    return frame.svg()
