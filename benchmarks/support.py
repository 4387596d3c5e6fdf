"""The support desk's table: ours beside the Trainer's and SetFit's, from one run.

    make bench-support        about 35 minutes on 2 cores
    python -m benchmarks.support --seeds 2 3 --parts clinc150 --busy

Every training is a process of its own through the command line, so that wall time and peak memory
are those a user would see; each keeps its date and revision, and a part that is measured again
takes the old one's place. Test splits are measured once; everything was tuned on validation.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from benchmarks.measure import RESULTS, Measured, machine, measure, spread, triptych
from models.version_content import code_revision

KEPT = RESULTS / "support.json"
SETS = ("banking77", "clinc150", "banking77-oos")
SOUP = "clinc150-soup"
PARTS = (*SETS, SOUP, "head", "peers")


def train(data: str, seed: int, method: str = "full") -> Measured:
    with tempfile.TemporaryDirectory() as home:
        words = ("train", "support", "--data", data, "--seed", str(seed), "--method", method)
        return measure(triptych(*words), {"TRIPTYCH_HOME": home})


def collect(
    kept: dict[str, Any], parts: Sequence[str], seeds: Sequence[int], busy: bool, setfit_steps: int
) -> dict[str, Any]:
    """Measure the parts one after another; a run takes the place of one of its seed."""

    def keep(name: str, seed: int, measured: Measured) -> None:
        runs = kept["runs"].setdefault(name, [])
        about = {
            "seed": seed,
            "busy": busy,
            "revision": code_revision(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        runs[:] = [run for run in runs if run["seed"] != seed] + [{**asdict(measured), **about}]
        runs.sort(key=lambda run: run["seed"])
        kept["machine"] = machine()
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        accuracy = measured.output.get("metrics", measured.output).get("accuracy")
        print(f"{name}, seed {seed}: {accuracy} in {measured.wall:.0f} s", file=sys.stderr)

    for seed in seeds:
        for name in parts:
            if name in SETS:
                keep(name, seed, train(name, seed))
        if SOUP in parts:
            keep(SOUP, seed, train("clinc150", seed, "soup"))
    if "head" in parts:
        keep("banking77 head", seeds[0], train("banking77", seeds[0], "head"))
    if "peers" in parts:
        peer = [sys.executable, "-m", "benchmarks.peers"]
        keep("trainer-fp32", 0, measure([*peer, "trainer-fp32", "--steps", "30"]))
        keep("trainer-bf16", 0, measure([*peer, "trainer-bf16"]))
        keep("setfit", 0, measure([*peer, "setfit", "--steps", str(setfit_steps)]))
    return kept


def table(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of (what, measured, reach)."""
    runs = result["runs"]

    def metric(name: str, *path: str) -> list[float]:
        values = []
        for run in runs[name]:
            value: Any = run["output"]["metrics"]
            for key in path:
                value = value[key]
            values.append(float(value))
        return values

    def percent(name: str, *path: str) -> str:
        return spread([100 * value for value in metric(name, *path)])

    def seconds(name: str) -> list[float]:
        return [sum(run["output"]["seconds"].values()) for run in timed(name)]

    def timed(name: str) -> list[dict[str, Any]]:
        """Runs on a machine that did nothing else; where there is none, all."""
        return [run for run in runs[name] if not run["busy"]] or runs[name]

    def soup_rows() -> list[tuple[str, str, str]]:
        """The same set by four trainings whose weights are averaged."""
        score = ("out_of_scope", "auroc")
        return [
            ("CLINC150 by a soup of four, accuracy", percent(SOUP, "accuracy"), ">= 97.2"),
            ("CLINC150 by a soup of four, AUROC", spread(metric(SOUP, *score)), ">= .986"),
        ]

    ours = [run["output"]["training"]["examples_per_second"] for run in timed("banking77")]
    near = ("out_of_scope", "by_kind", "near")
    far = ("out_of_scope", "by_kind", "far")
    rows = [
        ("Banking77 full, accuracy", percent("banking77", "accuracy"), ">= 94.2"),
        ("Banking77 head (frozen), accuracy", percent("banking77 head", "accuracy"), "93.05"),
        ("wall time of that training, s", spread(seconds("banking77")), "<= 240"),
        ("peak memory, GB", spread([r["peak_gb"] for r in timed("banking77")]), "<= 2.0"),
        ("CLINC150 in-scope accuracy", percent("clinc150", "accuracy"), ">= 97.2"),
        ("CLINC150 wall time, s", spread(seconds("clinc150")), ""),
        *(soup_rows() if SOUP in runs else ()),
        ("CLINC150 AUROC", spread(metric("clinc150", "out_of_scope", "auroc")), ">= .986"),
        ("CLINC150 AUPRC", spread(metric("clinc150", "out_of_scope", "auprc")), ">= .947"),
        (
            "CLINC150 calibration error, before",
            spread(metric("clinc150", "expected_calibration_error_uncalibrated")),
            "",
        ),
        (
            "CLINC150 calibration error, after",
            spread(metric("clinc150", "expected_calibration_error")),
            "<= .007",
        ),
        ("Banking77-OOS accuracy", percent("banking77-oos", "accuracy"), "print"),
        ("Banking77-OOS near AUROC", spread(metric("banking77-oos", *near, "auroc")), "print"),
        ("Banking77-OOS far AUROC", spread(metric("banking77-oos", *far, "auroc")), "print"),
        ("near ones answered, %", percent("banking77-oos", *near, "answered"), "<= 10"),
        ("far ones answered, %", percent("banking77-oos", *far, "answered"), "print"),
    ]
    for name in SETS:
        error = percent(name, "error_at_target")
        coverage = percent(name, "coverage_at_target")
        rows.append((f"{name}: error at the 2 % target, %", error, "<= 2 within its bound"))
        rows.append((f"{name}: coverage at it, %", coverage, "print"))
    for name in SETS:
        seeds = ", ".join(str(run["seed"]) for run in runs[name])
        rows.append((f"{name}: seeds that its rows rest on", seeds, "1, 2, 3"))
    rows.append(("ours, examples a second", spread(ours), ""))
    if "trainer-fp32" in runs:
        slow = runs["trainer-fp32"][0]["output"]["examples_per_second"]
        fast = runs["trainer-bf16"][0]["output"]
        rate = statistics.mean(ours)
        peer = runs["setfit"][0]["output"]
        rows += [
            ("Trainer fp32 as it comes, examples a second", f"{slow:.4g}", ""),
            ("Trainer bf16, length groups", f"{fast['examples_per_second']:.4g}", ""),
            ("ours against the first", f"{rate / slow:.2f}x", ">= 7x"),
            ("ours against the second", f"{rate / fast['examples_per_second']:.2f}x", ">= 1.5x"),
            ("accuracy of the second", f"{100 * fast['accuracy']:.2f}", "ours no lower"),
            (
                "SetFit, same rows, cut at a budget like ours",
                f"{100 * peer['accuracy']:.2f} in {peer['seconds']:.0f} s",
                "",
            ),
        ]
    return rows


def shown(result: dict[str, Any]) -> str:
    """The table in Markdown, and under it when and at which revision each part was measured."""
    kind = result["machine"]
    lines = [
        "# Support desk, measured",
        "",
        f"`make bench-support`, by parts (`--parts`, `--seeds`), on {kind['processor']}, "
        f"{kind['cores']} cores, torch {kind['torch']}; mean ± standard deviation over the seeds.",
        "",
        "| what | measured | reach |",
        "|---|---|---|",
        *(f"| {what} | {measured} | {reach} |" for what, measured, reach in table(result)),
        "",
    ]
    for name, runs in result["runs"].items():
        lines.append(f"- **{name}**: {'; '.join(map(_when, runs))}")
    return "\n".join([*lines, ""])


def _when(run: dict[str, Any]) -> str:
    seed = f"seed {run['seed']}, " if run["seed"] else ""
    beside = ", beside other work: not timed" if run["busy"] else ""
    return f"{seed}{run['revision'][:7]}, {run['at'][:16]} UTC{beside}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--busy", action="store_true", help="other work runs beside: seconds are left out"
    )
    parser.add_argument("--setfit-steps", type=int, default=400)
    parser.add_argument("--show", action="store_true", help="print the kept table, measure nothing")
    chosen = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {"runs": {}}
    if not chosen.show:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        RESULTS.mkdir(exist_ok=True)
        kept = collect(kept, chosen.parts, chosen.seeds, chosen.busy, chosen.setfit_steps)
    text = shown(kept)
    (RESULTS / "support.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
