"""A training or evaluation of any app as a table for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from shared.command_line import print_json

PERCENT = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "top3_accuracy": "right class among the top 3",
    "expected_calibration_error": "expected calibration error",
    "expected_calibration_error_uncalibrated": "  before temperature scaling",
    "coverage_at_target": "answered automatically",
    "error_at_target": "  of these wrong",
}


def show_summary(summary: dict[str, Any], *, as_json: bool) -> None:
    """The summary as one JSON object, or as a table."""
    if as_json:
        print_json(summary)
    else:
        print_summary(summary)


def method_rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """What a method tells beside: what old classes lost, teachers, what pruning cost."""
    rows = []
    lost = summary.get("forgetting")
    if lost:
        figures = f"{100 * lost['before']:.2f} to {100 * lost['after']:.2f} %"
        rows.append((f"recall of old classes ({lost['examples']:,})", figures))
        worst = lost["classes"][lost["worst"]]
        if worst["after"] < worst["before"]:
            figures = f"{100 * worst['before']:.0f} to {100 * worst['after']:.0f} %"
            rows.append((f"  most forgotten: {lost['worst']}", figures))
    taught = summary.get("distillation")
    if taught and taught["ensemble_accuracy"] is not None:
        rows.append(
            (
                f"validation: {len(taught['teachers'])} teachers, student",
                f"{100 * taught['ensemble_accuracy']:.2f} %, "
                f"{100 * taught['student_accuracy']:.2f} %",
            )
        )
    cut = summary.get("pruning")
    if cut:
        whole, pruned = cut["whole"], cut["pruned"]
        rows += [
            (
                "layers, heads",
                "{layers}, {heads} of {0}, {1}".format(whole["layers"], whole["heads"], **pruned),
            ),
            ("parameters", f"{pruned['parameters']:,} of {whole['parameters']:,}"),
            (
                f"accuracy on {cut['judged_on']}",
                f"{100 * whole['accuracy']:.2f} to {100 * pruned['accuracy']:.2f} %",
            ),
            (
                "texts a second",
                f"{whole['texts_per_second']:,.0f} to {pruned['texts_per_second']:,.0f}",
            ),
        ]
    return rows


def print_summary(summary: dict[str, Any], console: Console | None = None) -> None:
    """Print what was trained or measured, on which data, and how good it is."""
    console = console or Console()
    metrics = summary["metrics"]
    table = Table(title=f"{summary['app']} {summary['version']}", show_header=False, min_width=56)
    table.add_column(style="bold")
    table.add_column(justify="right")
    data = summary["data"]
    table.add_row("data", str(data["name"]))
    counts = [f"{data[name]:,} {name}" for name in ("train", "validation", "gate", "test")]
    table.add_row("examples", ", ".join(counts))
    table.add_row("method", f"{summary['method']} on {summary['encoder']}, seed {summary['seed']}")
    table.add_section()
    for name, title in PERCENT.items():
        told = name != "top3_accuracy" or metrics.get(name, 1.0) < 1.0
        if metrics.get(name) is not None and told:
            table.add_row(title, f"{100 * metrics[name]:.2f} %")
    interval = (metrics.get("intervals") or {}).get("accuracy")
    if interval:
        low, high = interval
        table.add_row("accuracy, 95 % interval", f"{100 * low:.2f} to {100 * high:.2f} %")
    for name, groups in (metrics.get("by") or {}).items():
        table.add_section()
        for value, group in groups.items():
            title = f"{name} {value} ({group['examples']:,})"
            figures = f"{100 * group['accuracy']:.2f} % / {100 * group['macro_f1']:.2f} %"
            table.add_row(title, figures)
    strays = metrics.get("out_of_scope")
    if strays:
        table.add_row("out-of-scope AUROC", f"{strays['auroc']:.3f}")
        table.add_row("out-of-scope AUPRC", f"{strays['auprc']:.3f}")
        table.add_row("out-of-scope answered", f"{100 * strays['answered']:.2f} %")
    robustness = summary.get("robustness")
    if robustness:
        table.add_section()
        table.add_row("under changed texts", "accuracy, lost")
        for name, found in robustness["under"].items():
            figures = f"{100 * found['accuracy']:.2f} %, {100 * found['lost']:.2f}"
            table.add_row(f"  {name}", figures)
    for label, text in (summary.get("example_of_each_class") or {}).items():
        table.add_row(f"a {label} one", text if len(text) < 60 else f"{text[:57]}...")
    for title, figures in method_rows(summary):
        table.add_row(title, figures)
    table.add_section()
    seconds = summary["seconds"]
    table.add_row("seconds", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    if summary.get("footprint"):
        table.add_row("footprint", summary["footprint"]["line"])
    if "promotion" in summary:
        promotion = summary["promotion"]
        state = "in use" if promotion["promoted"] else "not in use"
        table.add_row(state, promotion["reason"])
    console.print(table)
