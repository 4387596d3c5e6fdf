"""A bundle that was fitted, as tables for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

SHOWN = {
    "recall@10": "recall",
    "ndcg@10": "ndcg",
    "coverage@10": "coverage",
    "novelty@10": "novelty, bits",
    "diversity@10": "diversity",
}
PARTS = {
    "all": "all together",
    "behaviour": "behaviour alone",
    "text": "texts alone",
    "popular": "popularity alone",
}


def print_training(summary: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what was fitted on which data, how good it is, and what each part is worth."""
    console = console or Console()
    data, metrics = summary["data"], summary["metrics"]
    made = " (generated behaviour)" if data["synthetic"] else ""
    table = Table(title=f"{summary['app']} {summary['version']}: {data['name']}{made}")
    table.add_column("at 10", style="bold")
    for title in SHOWN.values():
        table.add_column(title, justify="right")
    table.add_column("users", justify="right")
    if metrics:
        _row(table, summary["protocol"], metrics)
        if "descending" in metrics:
            _row(table, "  of these descending", metrics["descending"])
        table.add_section()
    for part, title in PARTS.items():
        if part in summary["ablations"]:
            _row(table, title, summary["ablations"][part])
    console.print(table)
    blend = ", ".join(f"{name} {value:.3g}" for name, value in summary["blend"].items())
    seconds = ", ".join(f"{name} {value:.1f}" for name, value in summary["seconds"].items())
    console.print(
        f"{data['items']:,} items, {data['events']:,} events of {data['users']:,} users; "
        f"{summary['method']} on {summary['encoder']}, seed {summary['seed']}"
    )
    console.print(f"blend: {blend}; seconds: {seconds}")
    if "promotion" in summary:
        promotion = summary["promotion"]
        state = "in use" if promotion["promoted"] else "not in use"
        console.print(f"{state}: {promotion['reason']}")


def _row(table: Table, title: str, metrics: Mapping[str, Any]) -> None:
    cells = [f"{metrics[name]:.4f}" if name in metrics else "" for name in SHOWN]
    table.add_row(title, *cells, f"{metrics['users']:,}")
