"""The finance monitor's table, from one run.

    make bench-finance        all of it, seeds 1 to 3: hours on 2 cores
    python -m benchmarks.finance --seeds 1 --only linking replay ingestion

Every training and replay is a process of its own through the command line. What is cross-validated
is predicted once by models that never saw it; SEntFiN's test fifth is measured once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, Measured, machine, markdown, measure, spread, triptych
from models.version_content import code_revision

PARTS = ("phrasebank-50", "phrasebank-all", "transfer", "sentfin", "linking", "replay", "ingestion")
FEEDS = {"wsj_econ": (2_160, 130), "economist": (6_000, 115)}
HEADLINES = Path("tests/data/finance_entities/headlines.jsonl")

Keep = Callable[[str, Any], None]


def train(data: str, seed: int, home: str, *more: str) -> Measured:
    words = ("train", "finance", "--data", data, "--seed", str(seed), *more)
    return measure(triptych(*words), {"TRIPTYCH_HOME": home})


def cross_validated(data: str, seeds: Sequence[int], keep: Keep) -> None:
    for seed in seeds:
        with tempfile.TemporaryDirectory() as home:
            keep(data, asdict(train(data, seed, home, "--folds", "5")))


def transfer(seeds: Sequence[int], keep: Keep) -> None:
    """Trained on PhraseBank alone, tested on headlines of another country and another style."""
    for seed in seeds:
        with tempfile.TemporaryDirectory() as home:
            train("phrasebank-50", seed, home)
            words = ("evaluate", "finance", "--data", "sentfin-headlines", "--split", "all")
            keep("transfer", asdict(measure(triptych(*words), {"TRIPTYCH_HOME": home})))


def entities(seeds: Sequence[int], keep: Keep) -> None:
    for seed in seeds:
        with tempfile.TemporaryDirectory() as home:
            keep("sentfin", asdict(train("sentfin", seed, home)))


def linking(keep: Keep) -> None:
    from apps.finance.entities.gazetteer import gazetteer
    from apps.finance.entities.linking import CompanyLinker
    from apps.finance.entities.measuring import measure as measure_linking
    from apps.finance.entities.measuring import read_headlines

    headlines = read_headlines(HEADLINES)
    found = measure_linking(CompanyLinker(gazetteer()), headlines)
    keep(
        "linking",
        {
            "headlines": len(headlines),
            "precision": found.precision,
            "recall": found.recall,
        },
    )


def replay(data: Path, keep: Keep) -> None:
    """Each feed twice into one home: the second run must find nothing new."""
    for name in FEEDS:
        folder = str(data / "finance_feeds" / "polls" / name)
        with tempfile.TemporaryDirectory() as home:
            for _ in range(2):
                run = measure(triptych("finance", "replay", folder), {"TRIPTYCH_HOME": home})
                keep(f"replay {name}", asdict(run))


def ingestion(keep: Keep) -> None:
    keep("ingestion", measure([sys.executable, "-m", "benchmarks.ingestion"]).output)


def collect(seeds: Sequence[int], parts: Sequence[str], data: Path, before: Path) -> dict[str, Any]:
    result: dict[str, Any] = {
        "command": "python -m benchmarks.finance",
        "revision": code_revision(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "seeds": list(seeds),
        "runs": {},
    }

    def keep(name: str, run: Any) -> None:
        result["runs"].setdefault(name, []).append(run)
        before.write_text(json.dumps(result, indent=1) + "\n")
        print(f"{name}: kept", flush=True, file=sys.stderr)

    work: dict[str, Callable[[], None]] = {
        "linking": lambda: linking(keep),
        "replay": lambda: replay(data, keep),
        "ingestion": lambda: ingestion(keep),
        "sentfin": lambda: entities(seeds, keep),
        "phrasebank-50": lambda: cross_validated("phrasebank-50", seeds, keep),
        "phrasebank-all": lambda: cross_validated("phrasebank-all", seeds, keep),
        "transfer": lambda: transfer(seeds, keep),
    }
    for name, do in work.items():
        if name in parts:
            do()
    return result


def table(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Rows of (what, measured, reach); parts that were not run have none."""
    runs = result["runs"]
    rows: list[tuple[str, str, str]] = []

    def metrics(name: str) -> list[dict[str, Any]]:
        return [run["output"]["metrics"] for run in runs.get(name, ())]

    def pair(found: Sequence[dict[str, Any]]) -> str:
        return " / ".join(spread([one[name] for one in found]) for name in ("accuracy", "macro_f1"))

    for name, reach in (("phrasebank-50", ">= .860 / .840"), ("phrasebank-all", ">= .970 / .950")):
        if found := metrics(name):
            rows.append((f"{name}, 5-fold, accuracy / macro-F1", pair(found), reach))
            for level in found[0]["by"].get("agreement", {}):
                at = [one["by"]["agreement"][level] for one in found]
                rows.append((f"  sentences with agreement {level}", pair(at), "print"))
            rows.append(
                ("  calibration error", spread(_each(found, "expected_calibration_error")), "")
            )
            rows.append(("  seconds of the whole command", spread(_wall(runs[name])), ""))
    if found := metrics("transfer"):
        what = "PhraseBank to SEntFiN's unanimous headlines, accuracy / macro-F1"
        rows.append((what, pair(found), "print"))
        counts = found[0]["confusion"]
        for label, row in zip(counts["labels"], counts["counts"], strict=True):
            shown = ", ".join(f"{n} {c}" for n, c in zip(counts["labels"], row, strict=True))
            rows.append((f"  truly {label}, seed {result['seeds'][0]}: said", shown, "print"))
    if found := metrics("sentfin"):
        rows.append(("SEntFiN entities, accuracy / macro-F1", pair(found), ">= .90 macro-F1"))
        conflict = [one["by"]["conflict"]["yes"] for one in found]
        rows.append(("  on headlines in conflict", pair(conflict), ">= .86 macro-F1"))
        rows.append(("  seconds of the whole command", spread(_wall(runs["sentfin"])), ""))
    for run in runs.get("linking", ()):
        shown = f"{run['precision']:.3f} / {run['recall']:.3f}"
        rows.append(
            (f"linking, {run['headlines']} headlines, precision / recall", shown, ">= .98 / .85")
        )
    for name, (entries, distinct) in FEEDS.items():
        if played := runs.get(f"replay {name}"):
            first, second = (run["output"] for run in played)
            shown = f"{first['entries']} entries, {first['distinct']} distinct"
            rows.append((f"replay {name}", shown, f"{entries}, {distinct}"))
            shown = f"{second['distinct']} new, {second['revisions']} revisions"
            rows.append(("  again", shown, "0, 0"))
    for run in runs.get("ingestion", ()):
        what = f"{run['feeds']} feeds of {run['entries_each']}: pipeline against parsing alone"
        shown = (
            f"{run['ratio']:.2f}x ({run['pipeline_seconds']:.1f} s / {run['parse_seconds']:.1f} s)"
        )
        if served := run.get("served_by"):
            shown += f", the model in {served}"
        rows.append((what, shown, "<= 4x"))
        for part, seconds in run["parts"].items():
            rows.append((f"  {part}", f"{seconds:.1f} s", ""))
    rows.append(("seeds that trained rows rest on", str(len(result["seeds"])), "3"))
    rows.append(("training on a GPU, bf16 beside fp32", "not measured", "print"))
    return rows


def _each(found: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [one[name] for one in found]


def _wall(runs: Sequence[dict[str, Any]]) -> list[float]:
    return [run["wall"] for run in runs]


def shown(result: dict[str, Any]) -> str:
    return markdown("Finance monitor, measured", result, table(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--show", type=Path, help="print kept results, measure nothing")
    chosen = parser.parse_args()
    if chosen.show:
        print(shown(json.loads(chosen.show.read_text())))
        return
    data = os.environ.get("TRIPTYCH_DATA")
    if data is None:
        raise SystemExit("set TRIPTYCH_DATA to the folder with the public data sets")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    RESULTS.mkdir(exist_ok=True)
    partial = RESULTS / "finance.partial.json"
    result = collect(chosen.seeds, chosen.only, Path(data), partial)
    partial.unlink()
    (RESULTS / "finance.json").write_text(json.dumps(result, indent=1) + "\n")
    text = shown(result)
    (RESULTS / "finance.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
