"""The recommender's table, from one run.

    make bench-recommend              all of it: about an hour on 2 cores; needs TRIPTYCH_DATA
    python -m benchmarks.recommend --only beauty cold [--models Triptych "Triptych, text only"]
    python -m benchmarks.recommend --only cold --models Triptych --seeds 2 3

All models of a part are fitted on the same events and ranked by one evaluator on the same lists.
Settings were chosen on validation events; what is printed was asked once. A seed draws the unseen
items and users, and the item tower's batches; rows of several are means over them. What is measured
by part, model or seed takes the place of what stood there: every row keeps its date and revision.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.measure import RESULTS, machine, markdown, measure
from models.version_content import code_revision

SEEDED = ("beauty", "cold", "movielens")
PARTS = (*SEEDED, "refit", "serving", "large", "vectors")
ACCURACY = ("beauty, refit", "beauty, no refit", "beauty, cold users", "movielens")
THROUGH_FAISS = "Triptych through FAISS, 256 factors, candidates re-scored"
LOSSY = "Triptych through FAISS, 256 factors, scores of the factors"

Keep = Callable[..., None]
"""Takes the part's name and what was measured."""
Row = tuple[str, str, str]


def accuracy(part: str, seed: int, models: Sequence[str] | None) -> Callable[[Keep], None]:
    def run(keep: Keep) -> None:
        from benchmarks import recommend_accuracy

        getattr(recommend_accuracy, part)(seed, keep, _say, models)

    return run


def refit(keep: Keep) -> None:
    """Amazon Beauty's first bundle, and the next one of the same home."""
    from benchmarks.measure import triptych

    first = triptych("train", "recommend", "--data", "amazon-beauty", "--no-test")
    found: dict[str, Any] = {"threads": os.environ.get("OMP_NUM_THREADS", "all")}
    with tempfile.TemporaryDirectory() as home:
        for name, command in (("first", first), ("again", triptych("recommend", "refit"))):
            spent = measure(command, {"TRIPTYCH_HOME": home})
            found[name] = {"wall": spent.wall, "cpu": spent.cpu, "peak_gb": spent.peak_gb}
            _say(f"{name}: {spent.wall:.0f} s, {spent.cpu:.0f} s of processor time")
    keep("refit", found)


def process(name: str, *words: str) -> Callable[[Keep], None]:
    """A part that must be a process of its own, with one thread."""
    threads = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS")}

    def run(keep: Keep) -> None:
        keep(name, measure([sys.executable, "-m", *words], threads).output)

    return run


def collect(
    seeds: Sequence[int],
    parts: Sequence[str],
    models: Sequence[str] | None,
    kept: dict[str, Any],
    path: Path,
) -> dict[str, Any]:
    """Measure and write after each run; what was kept of other parts, models and seeds stays."""
    stamp = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "revision": code_revision()}
    result: dict[str, Any] = {
        "command": "python -m benchmarks.recommend",
        **stamp,
        "machine": machine(),
        "runs": kept.get("runs", {}),
    }

    def keep(name: str, run: Any, seed: int | None = None) -> None:
        run = {**run, **stamp} | ({} if seed is None else {"seed": seed})
        runs = result["runs"].setdefault(name, [])
        same = [_model_and_seed(old) == _model_and_seed(run) for old in runs]
        if any(same):
            runs[same.index(True)] = run
        else:
            runs.append(run)
        path.write_text(json.dumps(result, indent=1) + "\n")

    for part in SEEDED:
        for seed in seeds if part in parts else ():
            accuracy(part, seed, models)(partial(keep, seed=seed))
    work: dict[str, Callable[[Keep], None]] = {
        "refit": refit,
        "serving": process("serving", "benchmarks.recommend_serving", "beauty"),
        "large": process("large", "benchmarks.recommend_serving", "large"),
        "vectors": process("vectors", "benchmarks.vector_search"),
    }
    for name, do in work.items():
        if name in parts:
            do(keep)
    return result


def over_seeds(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One run a model, in their order: the means of its seeds, which it names.

    ``spread`` is the sample standard deviation of recall@10 over them, None of one seed.
    """
    by_model: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        by_model.setdefault(run["model"], []).append(run)
    return [
        {
            **_mean(found),
            "seeds": sorted(run.get("seed", 1) for run in found),
            "spread": stdev(run["metrics"]["recall@10"] for run in found)
            if len(found) > 1
            else None,
        }
        for found in by_model.values()
    ]


def _mean(values: Sequence[Any]) -> Any:
    """Of numbers, and of all numbers within; anything else is the first's."""
    first = values[0]
    if isinstance(first, Mapping):
        shared = [key for key in first if all(key in one for one in values)]
        return {key: _mean([one[key] for one in values]) for key in shared}
    if isinstance(first, float | int) and not isinstance(first, bool):
        return fmean(values)
    return first


def _model_and_seed(run: Mapping[str, Any]) -> tuple[Any, Any]:
    return run.get("model"), run.get("seed", 1)


def accuracy_table(title: str, runs: Sequence[Mapping[str, Any]]) -> str:
    """Every model of a part in one table; the standard error is that of recall at 10."""
    runs = over_seeds(runs)
    first = runs[0]["metrics"]
    descending = "descending" in first
    heads = ["model", "recall / ndcg @10", "± s.e."]
    heads += ["descending"] if descending else []
    heads += ["debiased hits", "coverage", "novelty", "diversity", "fit, s", "measured"]
    lines = [
        f"## {title}: {first['users']:,.0f} users, {first['lists']:,.0f} lists",
        "",
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
    ]
    for run in runs:
        found = run["metrics"]
        cells = [_named(run), _pair(found), f"{found['standard_error']:.4f}"]
        cells += [_pair(found["descending"])] if descending else []
        cells += [
            f"{found['debiased_hit_rate@10']:.4f}",
            f"{found['coverage@10']:.3f}",
            f"{found['novelty@10']:.2f}",
            f"{found['diversity@10']:.3f}",
            f"{run['seconds']['fit']:.1f}",
            _stamp(run),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def cold_items_table(runs: Sequence[Mapping[str, Any]]) -> str:
    runs = over_seeds(runs)
    first = runs[0]["metrics"]
    lines = [
        f"## beauty, a tenth of the items unseen: {first['users']:,.0f} users",
        "",
        "| model | recall / ndcg @10 among unseen | among all | ± s.e. | measured |",
        "|---|---|---|---|---|",
        *(
            f"| {_named(run)} | {_pair(run['metrics'])} | {_pair(run['metrics']['among_all'])}"
            f" | {run['metrics']['standard_error']:.4f} | {_stamp(run)} |"
            for run in runs
        ),
    ]
    return "\n".join([*lines, ""])


def table(result: Mapping[str, Any]) -> list[Row]:
    """Rows of (what, measured, reach); parts that were not run have none."""
    runs = result["runs"]
    rows: list[Row] = []
    refit = _by_model(runs, "beauty, refit")
    shown = _by_model(runs, "beauty, no refit")
    if ours := refit.get("Triptych"):
        rows += [
            ("Beauty, refit, recall / ndcg @10", _pair(ours) + _of_seeds(ours), ">= .125 / .077"),
            ("  descending users", _pair(ours["descending"]), ">= .080 / .044"),
            ("  coverage@10", f"{ours['coverage@10']:.3f}", ">= .5"),
        ]
    if "Triptych" in shown:
        rows.append(("Beauty, no refit", _pair(shown["Triptych"]), ">= .118 / .073"))
    for name, reach in ((THROUGH_FAISS, "within 3 % of the exact"), (LOSSY, "print")):
        if found := refit.get(name):
            lost = 100 * (1 - found["ndcg@10"] / refit["Triptych"]["ndcg@10"])
            rows.append((f"  {name}", f"{_pair(found)}, ndcg {lost:.1f} % less", reach))
    if cold := _by_model(runs, "beauty, cold items").get("Triptych"):
        measured = f"{cold['recall@10']:.3f} / {cold['among_all']['recall@10']:.3f}"
        measured += _of_seeds(cold)
        rows.append(
            ("Beauty, unseen items, recall@10 among unseen / all", measured, ">= .25 / .085")
        )
    for part in ("beauty, refit", "movielens"):
        found = _by_model(runs, part)
        if ours := found.get("Triptych"):
            others = {name: one for name, one in found.items() if not name.startswith("Triptych")}
            best = max(others, key=lambda name: others[name]["ndcg@10"])
            ahead = "ahead of" if ours["ndcg@10"] > others[best]["ndcg@10"] else "behind"
            measured = f"{ours['ndcg@10']:.4f} {ahead} {best} {others[best]['ndcg@10']:.4f}"
            rows.append((f"{part}: ndcg@10 against the best other", measured, "ahead"))
    for part, reach in (("serving", "<= 2 ms"), ("large", "<= 10 ms")):
        for run in runs.get(part, ()):
            what = f"list in process, {run['items']:,} items, one thread, p50 / p95 / p99"
            rows.append((what, _times(run["list"]), f"p95 {reach}"))
            what = "  event to changed list, p50 / p95 / p99"
            share = f", {100 * run['event_to_list']['changed']:.0f} % changed"
            rows.append((what, _times(run["event_to_list"]) + share, "<= 1 s"))
    for run in runs.get("refit", ()):
        first, again = (
            f"{run[name]['wall']:.0f} s ({run[name]['cpu']:.0f} s of processor time,"
            f" {run['threads']} thread), {run[name]['peak_gb']:.1f} GB"
            for name in ("first", "again")
        )
        rows += [
            ("refit of Beauty, all models, gate and switch", again, "<= 90 s, 4 GB"),
            ("  its first bundle: texts read, blend chosen by a second fit", first, ""),
        ]
    for run in runs.get("vectors", ()):
        for index in run["indexes"]:
            what = f"{index['index']} on {run['stored']:,} embeddings: recall@10, times flat's rate"
            measured = f"{index['recall']:.4f}, {index['times_flat']:.1f}x"
            rows.append((what, measured, ">= .99, >= 5x" if index["looks"] else ""))
    return rows


def shown(result: Mapping[str, Any]) -> str:
    """The rows with their reaches, then a table a part."""
    runs = result["runs"]
    seeds = {run["seed"] for part in runs.values() for run in part if "seed" in run} | {1}
    parts = [markdown("Recommender, measured", {**result, "seeds": sorted(seeds)}, table(result))]
    parts += [accuracy_table(part, runs[part]) for part in ACCURACY if part in runs]
    if "beauty, cold items" in runs:
        parts.append(cold_items_table(runs["beauty, cold items"]))
    return "\n".join(parts)


def _by_model(runs: Mapping[str, Any], part: str) -> dict[str, Any]:
    return {
        run["model"]: {**run["metrics"], "seeds": run["seeds"], "spread": run["spread"]}
        for run in over_seeds(runs.get(part, ()))
    }


def _named(run: Mapping[str, Any]) -> str:
    return str(run["model"]) + _of_seeds(run)


def _of_seeds(found: Mapping[str, Any]) -> str:
    """Of how many seeds a mean is, and how far they lie apart; nothing of one."""
    if found["spread"] is None:
        return ""
    return f" (mean of {len(found['seeds'])} seeds, recall ± {found['spread']:.4f})"


def _stamp(run: Mapping[str, Any]) -> str:
    return f"{run['at'][:10]}, {run['revision'][:7]}"


def _pair(found: Mapping[str, float]) -> str:
    return f"{found['recall@10']:.4f} / {found['ndcg@10']:.4f}"


def _times(found: Mapping[str, float]) -> str:
    return " / ".join(f"{found[name]:.1f}" for name in ("p50", "p95", "p99")) + " ms"


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--models", nargs="+", metavar="NAME", help="of the accuracy parts")
    parser.add_argument("--show", action="store_true", help="write the table of what is kept")
    chosen = parser.parse_args()
    path = RESULTS / "recommend.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    if not chosen.show:
        if os.environ.get("TRIPTYCH_DATA") is None:
            raise SystemExit("set TRIPTYCH_DATA to the folder with the public data sets")
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        RESULTS.mkdir(exist_ok=True)
        result = collect(chosen.seeds, chosen.only, chosen.models, result, path)
    text = shown(result)
    (RESULTS / "recommend.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
