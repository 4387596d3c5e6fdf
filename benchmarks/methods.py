"""The table of methods: what each way of fine-tuning is worth on real data.

    make bench-methods            # all rows, seeds 1 to 3: many hours on 2 cores
    python -m benchmarks.methods --rows few-shot --seeds 1 2 3
    python -m benchmarks.methods --list

Each training is a process of its own. Rows that were measured earlier stay in
``results/methods.json`` with their own date and revision, so that the table can be filled in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.measure import RESULTS, machine, measure, spread, triptych
from models.version_content import code_revision

KEPT = RESULTS / "methods.json"


@dataclass(frozen=True)
class Row:
    """A training: its words for ``benchmarks.one_training``, and what it should reach."""

    name: str
    group: str
    words: tuple[str, ...]
    reach: str = "print"
    measure: str = "accuracy"


def _few(shots: int, method: str, *more: str) -> tuple[str, ...]:
    return ("--data", f"banking77-{shots}shot", "--method", method, "--all-labels", *more)


def _few_shot_rows() -> list[Row]:
    rows = []
    reach = {10: ">= 89.0 (CPFT 87.2, ICDA 89.8)", 5: ">= 83.0 (CPFT 80.9, ICDA 84.0)"}
    for shots in (10, 5):
        for method in ("head", "contrastive", "full"):
            rows.append(Row(f"{shots}-shot {method}", "few-shot", _few(shots, method)))
        more = ("--unlabelled", "banking77")
        words = _few(shots, "self_training", *more)
        rows.append(Row(f"{shots}-shot self_training", "few-shot", words, reach[shots]))
        rows.append(Row(f"{shots}-shot auto", "few-shot", _few(shots, "auto"), "within .5 of best"))
    return rows


def _banking(method: str, *more: str) -> tuple[str, ...]:
    return ("--data", "banking77", "--method", method, *more)


ROWS: tuple[Row, ...] = (
    Row("zero-shot, names only", "zero-shot", _banking("zero_shot")),
    Row(
        "zero-shot, calibrated on unlabelled text",
        "zero-shot",
        _banking("zero_shot", "--unlabelled", "banking77"),
    ),
    *_few_shot_rows(),
    Row("10-shot cloze", "prompts", _few(10, "cloze")),
    Row("10-shot soft_prompt", "prompts", _few(10, "soft_prompt")),
    Row("10-shot lora", "prompts", _few(10, "lora")),
    Row("10-shot domain", "few-shot-more", _few(10, "domain", "--unlabelled", "banking77")),
    Row("10-shot distilled", "few-shot-more", _few(10, "distilled")),
    Row("10-shot soup", "few-shot-more", _few(10, "soup")),
    Row("10-shot adversarial", "few-shot-more", _few(10, "adversarial")),
    Row("10-shot augmented", "few-shot-more", _few(10, "augmented")),
    Row("full", "banking77", _banking("full"), ">= 94.6 (ConvFiT 94.2)"),
    Row("soup", "banking77", _banking("soup"), ">= 94.6"),
    Row("distilled", "banking77", _banking("distilled"), ">= 94.6"),
    Row("lora", "banking77", _banking("lora"), "within .2 of full"),
    Row("pruned to 4 layers", "banking77", _banking("pruned")),
    Row("full, 15 % of labels flipped", "noise", _banking("full", "--flipped", "0.15")),
    Row(
        "noise_robust, 15 % of labels flipped",
        "noise",
        _banking("noise_robust", "--flipped", "0.15"),
        "within 1.5 of clean",
    ),
    Row("CLINC150 full", "clinc150", ("--data", "clinc150", "--method", "full"), ">= 97.5"),
    Row("CLINC150 soup", "clinc150", ("--data", "clinc150", "--method", "soup"), ">= 97.5"),
    Row(
        "CLINC150 distilled", "clinc150", ("--data", "clinc150", "--method", "distilled"), ">= 97.5"
    ),
)

Special = Callable[[int], Mapping[str, Any]]


def robustness(method: str) -> Special:
    """Trained on Banking77 by the method, then measured under changed texts."""

    def run(seed: int) -> Mapping[str, Any]:
        with tempfile.TemporaryDirectory() as home:
            place = {"TRIPTYCH_HOME": home}
            words = ("--data", "banking77-10shot")
            trained = measure(
                triptych("train", "support", *words, "--method", method, "--seed", str(seed)), place
            )
            found = measure(triptych("evaluate", "support", *words, "--robustness"), place)
        return {
            "accuracy": trained.output["metrics"]["accuracy"],
            "seconds": trained.wall,
            "robustness": found.output["robustness"],
        }

    return run


def setfit(shots: int) -> Special:
    """SetFit with its own defaults, on the same rows and threads."""

    def run(seed: int) -> Mapping[str, Any]:
        words = ("setfit", "--data", f"banking77-{shots}shot", "--seed", str(seed))
        return measure([sys.executable, "-m", "benchmarks.peers", *words]).output

    return run


SPECIAL: Mapping[str, tuple[str, Special]] = {
    "10-shot SetFit": ("setfit", setfit(10)),
    "5-shot SetFit": ("setfit", setfit(5)),
    "10-shot full under changed texts": ("robustness", robustness("full")),
    "10-shot augmented under changed texts": ("robustness", robustness("augmented")),
    "10-shot adversarial under changed texts": ("robustness", robustness("adversarial")),
}


def collect(names: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Measure the rows, one after another, and keep each as soon as it is there."""
    result: dict[str, Any] = {"rows": {}}
    by_name = {row.name: row for row in ROWS}
    for name in names:
        for seed in seeds:
            if name in by_name:
                words = (*by_name[name].words, "--seed", str(seed))
                command = [sys.executable, "-m", "benchmarks.one_training", *words]
                found = asdict(measure(command))
                output = {**found.pop("output"), "wall": found["wall"]}
            else:
                output = dict(SPECIAL[name][1](seed))
            about = {
                "seed": seed,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "revision": code_revision(),
            }
            # Read anew: another process may have filled a row meanwhile.
            result = json.loads(KEPT.read_text()) if KEPT.is_file() else result
            runs = result["rows"].setdefault(name, [])
            runs[:] = [run for run in runs if run["seed"] != seed] + [{**output, **about}]
            result["machine"] = machine()
            KEPT.write_text(json.dumps(result, indent=1) + "\n")
            print(f"{name}, seed {seed}: {output.get('accuracy')}", flush=True, file=sys.stderr)
    return result


def shown(result: Mapping[str, Any]) -> str:
    """The table in Markdown: mean and spread over the seeds that were run."""
    kind = result["machine"]
    lines = [
        "# Methods of fine-tuning, measured",
        "",
        f"`make bench-methods`, by parts (`--rows`), on {kind['processor']}, {kind['cores']} cores,"
        f" torch {kind['torch']}, one thread each; accuracy in percent, mean ± standard deviation"
        " over the seeds. Data is Banking77 unless said; few-shot rows train on all texts of the"
        " published draw. Other work ran beside: compare processor seconds, within a third.",
        "",
        "| what | accuracy | seeds | seconds | processor seconds | revision | reach |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        runs = result["rows"].get(row.name)
        if not runs:
            lines.append(f"| {row.name} | not yet | | | | | {row.reach} |")
            continue
        lines.append(f"| {row.name} | {_figures(runs)} | {row.reach} |")
    for name in SPECIAL:
        runs = result["rows"].get(name)
        lines.append(
            f"| {name} | {_figures(runs)} | |" if runs else f"| {name} | not yet | | | | | |"
        )
    lost = _lost(result)
    return "\n".join([*lines, "", *lost])


def _figures(runs: Sequence[Mapping[str, Any]]) -> str:
    accuracy = spread([100 * run["accuracy"] for run in runs])
    seeds = ", ".join(str(run["seed"]) for run in runs)
    timed = [run["seconds"] for run in runs if run.get("seconds")]
    seconds = f"{statistics.mean(timed):.0f}" if timed else ""
    busy = [run["cpu_seconds"] for run in runs if "cpu_seconds" in run]
    spent = f"{statistics.mean(busy):.0f}" if busy else ""
    return f"{accuracy} | {seeds} | {seconds} | {spent} | {runs[-1]['revision']}"


def _lost(result: Mapping[str, Any]) -> list[str]:
    """Accuracy lost under each change of the texts, by method, where that was measured."""
    found = {
        name: runs[-1]["robustness"]
        for name, runs in result["rows"].items()
        if runs and "robustness" in runs[-1]
    }
    if not found:
        return []
    changes = list(next(iter(found.values()))["under"])
    lines = [
        "Points lost when texts change (`triptych evaluate support --robustness`, three draws):",
        "",
        f"| what | clean | {' | '.join(changes)} |",
        f"|---|---|{'---|' * len(changes)}",
    ]
    for name, measured in found.items():
        lost = [f"{100 * measured['under'][change]['lost']:.1f}" for change in changes]
        lines.append(f"| {name} | {100 * measured['clean']:.2f} | {' | '.join(lost)} |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", nargs="+", help="names or groups; all by default")
    parser.add_argument("--list", action="store_true", help="print the rows and their groups")
    parser.add_argument("--show", action="store_true", help="print the kept table, measure nothing")
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    groups = {row.name: row.group for row in ROWS} | {n: g for n, (g, _) in SPECIAL.items()}
    if chosen.list:
        print("\n".join(f"{group}: {name}" for name, group in groups.items()))
        return
    if chosen.show:
        print(shown(json.loads(KEPT.read_text())))
        return
    wanted = set(chosen.rows or groups.values())
    names = [name for name, group in groups.items() if {name, group} & wanted]
    if not names:
        raise SystemExit(f"no row is called {', '.join(sorted(wanted))}: see --list")
    RESULTS.mkdir(exist_ok=True)
    text = shown(collect(names, chosen.seeds))
    (RESULTS / "methods.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
