"""The page of a search: one HTML file that needs nothing else, its plots SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from shared.evaluation.report_frame import Frame, percent, round_ticks
from shared.finetuning.search import SearchResult, TrialRecord

TEMPLATE = "search.html.jinja"


def write_search_report(path: Path, result: SearchResult, *, title: str, command: str) -> None:
    """Write the page to ``path``, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(render_search_report(result, title=title, command=command), encoding="utf-8")


def render_search_report(result: SearchResult, *, title: str, command: str) -> str:
    """The page as one HTML document."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("shared.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    return environment.get_template(TEMPLATE).render(
        title=title,
        command=command,
        best=result.best,
        counts=result.counts(),
        trials=result.trials,
        by_trial=_by_trial(result),
        by_rate=_by_rate(result),
        by_epoch=_by_epoch(result),
    )


def _scored(result: SearchResult) -> list[tuple[TrialRecord, float]]:
    return [(trial, trial.accuracy) for trial in result.trials if trial.accuracy is not None]


def _frame(x: tuple[float, float], scores: Sequence[float], label: str) -> Frame:
    """A frame around most scores: a recipe that learned nothing lies at its foot."""
    values = np.asarray(scores, dtype=float)
    high = float(values.max(initial=0.0))
    low = max(float(values.min(initial=1.0)), high - 0.3)
    margin = 0.08 * max(high - low, 0.02)
    low, high = max(0.0, low - margin), min(1.0, high + margin)
    frame = Frame(x, (low, high), label)
    digits = 0 if high - low > 0.1 else 1
    frame.y_axis([(value, percent(value, digits)) for value in round_ticks(low, high)])
    return frame


def _dot(frame: Frame, x: float, trial: TrialRecord, score: float) -> None:
    how = "" if trial.state == "done" else f", {trial.state}"
    what = ", ".join(f"{name} {value}" for name, value in trial.fields.items())
    hint = f"trial {trial.number}{how}: {percent(score, 2)}; {what}"
    frame.dot(x, score, "dot b" if trial.state == "done" else "dot b small", hint)


def _by_trial(result: SearchResult) -> Markup:
    scored = _scored(result)
    last = max((trial.number for trial, _ in scored), default=1)
    frame = _frame((-0.5, last + 0.5), [score for _, score in scored], "Accuracy by trial")
    done = [(trial.number, score) for trial, score in scored if trial.state == "done"]
    if done:
        numbers, scores = zip(*done, strict=True)
        best = np.maximum.accumulate(scores)
        steps_x = np.repeat([*numbers, last + 0.5], 2)[1:-1]
        frame.path(steps_x, np.repeat(best, 2), "stroke a")
    for trial, score in scored:
        _dot(frame, trial.number, trial, score)
    ticks = sorted({round(value) for value in round_ticks(0, max(1, last))})
    frame.x_axis("trial", [(value, str(value)) for value in ticks])
    return frame.svg()


def _by_rate(result: SearchResult) -> Markup | None:
    points = [(t, s, float(t.fields["learning_rate"])) for t, s in _scored(result)
              if "learning_rate" in t.fields]  # fmt: skip
    if not points:
        return None
    logs = np.log10([rate for _, _, rate in points])
    low, high = float(logs.min()) - 0.1, float(logs.max()) + 0.1
    frame = _frame((low, high), [score for _, score, _ in points], "Accuracy by learning rate")
    for (trial, score, _), place in zip(points, logs, strict=True):
        _dot(frame, float(place), trial, score)
    exponents = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    rates = [digit * 10.0**power for power in exponents for digit in (1, 2, 5)]
    frame.x_axis(
        "learning rate",
        [(float(np.log10(r)), f"{r:g}") for r in rates if low <= np.log10(r) <= high],
    )
    return frame.svg()


def _by_epoch(result: SearchResult) -> Markup | None:
    curves = [(trial, trial.curve) for trial in result.trials if trial.curve]
    if not curves:
        return None
    longest = max(len(curve) for _, curve in curves)
    scores = [score for _, curve in curves for score in curve]
    frame = _frame((0.8, longest + 0.2), scores, "Accuracy by epoch")
    best = result.best
    for trial, curve in curves:
        style = "stroke b" if best and trial.number == best.number else "faint"
        frame.path(np.arange(1, len(curve) + 1), curve, style)
        _dot(frame, len(curve), trial, curve[-1])
    ticks = sorted({max(1, round(value)) for value in round_ticks(1, max(2, longest))})
    frame.x_axis("epoch", [(value, str(value)) for value in ticks])
    return frame.svg()
