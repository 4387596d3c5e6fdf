"""The table of serving: speed, memory, recovery and scale, each beside a named peer.

    make bench-serving                              # all groups; an hour or more on 2 cores
    python -m benchmarks.serving --groups runtime http
    python -m benchmarks.serving --list

Every group is a module of ``benchmarks.serving_rows`` and a process of its own. What was measured
earlier stays in ``results/serving.json`` with its date and revision. All are measured on one home:
that of ``TRIPTYCH_BENCH_HOME``, or one that is trained first (Banking77: some minutes).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, machine, measure
from benchmarks.serving_rows.trained_home import WHOLE, trained_home
from models.version_content import code_revision

KEPT = RESULTS / "serving.json"

GROUPS = {
    "runtime": "one message, and batches of 32, int8 beside the transformers pipeline",
    "http": "classify over HTTP, 64 clients, beside the bare runtime and a plain FastAPI handler",
    "recommend": "lists for users from 100,000 items, 32 clients",
    "recovery": "kill -9 at 20 random moments under load",
    "memory": "all three apps in one process, and seconds until it is ready",
    "ray": "bulk embedding by two workers beside one",
    "million": "a million texts embedded on Ray; half an hour or more",
    "soak": "ten minutes at 70 % of the peak",
}


def run(group: str) -> dict[str, Any]:
    """Measure one group in a process of its own."""
    home = os.environ["TRIPTYCH_BENCH_HOME"]
    finished = measure(
        [sys.executable, "-m", f"benchmarks.serving_rows.{group}"], {"TRIPTYCH_HOME": home}
    )
    return {
        "command": f"python -m benchmarks.serving --groups {group}",
        "revision": code_revision(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "wall_seconds": round(finished.wall, 1),
        "cpu_seconds": round(finished.cpu, 1),
        "rows": finished.output["rows"],
    }


def kept() -> dict[str, Any]:
    """What was measured so far, by group."""
    if not KEPT.is_file():
        return {}
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def table(measured: dict[str, Any]) -> str:
    """The table in Markdown, losses with wins."""
    lines = [
        "# Serving, measured",
        "",
        "Made by `python -m benchmarks.serving` (`make bench-serving`); each group has its date,",
        "revision and command. Both sides of a row ran in one process run on the same threads.",
        "",
        "| what | measured | peer | reach | met |",
        "|---|---|---|---|---|",
    ]
    runs = []
    for group in GROUPS:
        if group not in measured:
            continue
        one = measured[group]
        runs.append(
            f"- **{group}**: `{one['command']}`, {one['at'][:16]} UTC, revision {one['revision']}, "
            f"{one['machine']['processor']}, {one['machine']['cores']} cores; "
            f"{one['wall_seconds']:.0f} s, {one['cpu_seconds']:.0f} s of processor time, "
            f"load before {one['machine']['load_before']:.1f}"
        )
        for row in one["rows"]:
            met = {True: "yes", False: "**no**", None: ""}[row["met"]]
            cells = (row["name"], row["measured"], row["peer"], row["reach"], met)
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *runs, ""])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the groups that are asked for, and write the table anew after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--list", action="store_true", help="say which groups there are")
    asked = parser.parse_args(arguments)
    if asked.list:
        for name, what in GROUPS.items():
            print(f"{name:10} {what}")
        return
    with tempfile.TemporaryDirectory() as folder:
        if "TRIPTYCH_BENCH_HOME" not in os.environ:
            home = trained_home(Path(folder) / "home", WHOLE, recommender=True)
            os.environ["TRIPTYCH_BENCH_HOME"] = str(home)
        for group in asked.groups:
            measure_group(group)


def measure_group(group: str) -> None:
    """Measure one group and write the table anew."""
    print(f"{group}: {GROUPS[group]}", file=sys.stderr)
    found = run(group)
    measured = {**kept(), group: found}
    KEPT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    KEPT.with_suffix(".md").write_text(table(measured), encoding="utf-8")
    for row in found["rows"]:
        print(f"  {row['name']}: {row['measured']} (reach {row['reach']})", file=sys.stderr)


if __name__ == "__main__":
    main()
