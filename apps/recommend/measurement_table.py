"""A measurement of the recommender as a table for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

METRICS = {
    "recall": "recall",
    "ndcg": "ndcg",
    "hit_rate": "hit rate",
    "debiased_hit_rate": "debiased hit rate",
    "coverage": "catalogue coverage",
    "novelty": "novelty, bits",
    "diversity": "intra-list diversity",
}


def print_measurement(summary: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what was measured on which data, at 10 and 20, and the groups that it is made of."""
    metrics, data = summary["metrics"], summary["data"]
    table = Table(title=f"recommend, {summary['model']}, {summary['protocol']}", min_width=56)
    table.add_column("", style="bold", no_wrap=True)
    table.add_column("at 10", justify="right")
    table.add_column("at 20", justify="right")
    table.add_column("at 10, 95 %", justify="right")
    for name, title in METRICS.items():
        if f"{name}@10" in metrics:
            low, high = metrics["intervals"].get(f"{name}@10", (None, None))
            interval = "" if low is None else f"{low:.4f} to {high:.4f}"
            at = [f"{metrics[f'{name}@{k}']:.4f}" for k in (10, 20)]
            table.add_row(title, *at, interval)
    groups = dict(metrics.get("by", {}))
    for name, title in (("among_all", "among all items"), ("descending", "descending users")):
        if name in metrics:
            groups[title] = metrics[name]
    if groups:
        table.add_section()
    for name, group in groups.items():
        title = name.removeprefix(f"{summary['protocol'].replace('-', ' ')}, ")
        at = [f"{group[f'recall@{k}']:.4f} / {group[f'ndcg@{k}']:.4f}" for k in (10, 20)]
        table.add_row(f"{title}, {group['users']:,} users", *at, "recall / ndcg")
    console = console or Console()
    console.print(table)
    console.print(
        f"{data['name']}: {data['items']:,} items, {data['events']:,} events of {data['users']:,}"
        f" users; {metrics['users']:,} users asked, standard error of recall at 10"
        f" {metrics['standard_error']:.4f}; fit {summary['seconds']['fit']:.1f} s, ranked in"
        f" {summary['seconds']['rank']:.1f} s"
    )
