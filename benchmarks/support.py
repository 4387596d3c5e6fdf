"""The support desk's table: ours beside the Trainer's and SetFit's, from one run.

    make bench-support        about 35 minutes on 2 cores
    python -m benchmarks.support --seeds 1 --skip-peers

Every training is a process of its own through the command line, so that wall time and peak memory
are those a user would see. Test splits are measured once; everything was tuned on validation.
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
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, Measured, machine, markdown, measure, spread, triptych
from models.version_content import code_revision

SETS = ("banking77", "clinc150", "banking77-oos")


def train(data: str, seed: int, method: str = "full") -> Measured:
    with tempfile.TemporaryDirectory() as home:
        words = ("train", "support", "--data", data, "--seed", str(seed), "--method", method)
        return measure(triptych(*words), {"TRIPTYCH_HOME": home})


def collect(seeds: Sequence[int], peers: bool, setfit_steps: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "command": "python -m benchmarks.support",
        "revision": code_revision(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seeds": list(seeds),
        "runs": {},
    }

    def keep(name: str, measured: Measured) -> None:
        result["runs"].setdefault(name, []).append(asdict(measured))
        metrics = measured.output.get("metrics", measured.output)
        (RESULTS / "support.partial.json").write_text(json.dumps(result, indent=1) + "\n")
        print(
            f"{name}: {metrics.get('accuracy')} in {measured.wall:.0f} s",
            flush=True,
            file=sys.stderr,
        )

    first, *others = seeds
    for name in SETS:
        keep(name, train(name, first))
    keep("banking77 head", train("banking77", first, "head"))
    if peers:
        peer = [sys.executable, "-m", "benchmarks.peers"]
        keep("trainer-fp32", measure([*peer, "trainer-fp32", "--steps", "30"]))
        keep("trainer-bf16", measure([*peer, "trainer-bf16"]))
        keep("setfit", measure([*peer, "setfit", "--steps", str(setfit_steps)]))
    for seed in others:
        for name in SETS:
            keep(name, train(name, seed))
    return result


def table(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of (what, measured, reach)."""
    runs = result["runs"]
    counts = {name: len(found) for name, found in runs.items() if name in SETS}

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
        return [sum(run["output"]["seconds"].values()) for run in runs[name]]

    ours = [run["output"]["training"]["examples_per_second"] for run in runs["banking77"]]
    near = ("out_of_scope", "by_kind", "near")
    far = ("out_of_scope", "by_kind", "far")
    rows = [
        ("Banking77 full, accuracy", percent("banking77", "accuracy"), ">= 94.2"),
        ("Banking77 head (frozen), accuracy", percent("banking77 head", "accuracy"), "93.05"),
        ("wall time of that training, s", spread(seconds("banking77")), "<= 240"),
        ("peak memory, GB", spread([r["peak_gb"] for r in runs["banking77"]]), "<= 2.0"),
        ("CLINC150 in-scope accuracy", percent("clinc150", "accuracy"), ">= 97.2"),
        ("CLINC150 wall time, s", spread(seconds("clinc150")), ""),
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
    rows.append(("seeds that each of these rests on", str(max(counts.values())), "3"))
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
    return markdown("Support desk, measured", result, table(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--setfit-steps", type=int, default=400)
    parser.add_argument(
        "--show", type=Path, help="print the table of kept results, measure nothing"
    )
    chosen = parser.parse_args()
    if chosen.show:
        print(shown(json.loads(chosen.show.read_text())))
        return
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    RESULTS.mkdir(exist_ok=True)
    result = collect(chosen.seeds, not chosen.skip_peers, chosen.setfit_steps)
    (RESULTS / "support.partial.json").unlink()
    (RESULTS / "support.json").write_text(json.dumps(result, indent=1) + "\n")
    text = shown(result)
    (RESULTS / "support.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
