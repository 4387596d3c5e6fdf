"""How often the drift check finds nothing, and how soon something, on Banking77 and CLINC150.

    python -m benchmarks.drift --home HOME --data DATA [--trials 500]

False alarms: the reference and the live window are disjoint halves of Banking77's test texts, drawn
anew each time. Detection: a share of the live window is CLINC150's. Neither the version nor its
limits were chosen on these texts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from data_connectors.public_datasets import load_public_dataset
from models.drift_reference import read_texts, window_of
from models.registry import ModelRegistry
from models.version_content import read_examples
from shared.monitoring.drift import DriftLimits, ReadingWindow, compare_readings
from shared.settings import Settings

SHARES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def joined(one: ReadingWindow, other: ReadingWindow) -> ReadingWindow:
    return ReadingWindow(
        np.concatenate([one.vectors, other.vectors]),
        one.labels + other.labels,
        np.concatenate([one.confidence, other.confidence]),
        np.concatenate([one.in_scope_scores, other.in_scope_scores]),
    )


def drawn(window: ReadingWindow, size: int, random: np.random.Generator) -> ReadingWindow:
    return window.take(random.choice(len(window), size, replace=False))


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--home", type=Path, required=True)
    asked.add_argument("--data", type=Path, required=True)
    asked.add_argument("--trials", type=int, default=500)
    asked.add_argument("--readings", type=int, default=300)
    given = asked.parse_args()

    settings = Settings(home=given.home)
    registry = ModelRegistry(settings.models)
    version = registry.get("support")
    texts: dict[str, list[str]] = {}
    for name in ("banking77", "clinc150"):
        data = load_public_dataset(name, folder=given.data, cache=given.home / "cache")
        texts[name] = [one.text for one in data.examples if one.split == "test" and one.in_scope]
    own = [one.text for one in read_examples(version.folder / "validation.jsonl")]
    predictor = read_texts(registry, version, settings)
    validation, banking, clinc = (
        window_of(predictor, some) for some in (own, texts["banking77"], texts["clinc150"][:2_000])
    )
    random = np.random.default_rng(0)

    print(f"version {version.name}: {len(validation)} validation texts are the reference")
    for title, live in (("Banking77 test", banking), ("CLINC150 test", clinc)):
        begin = time.perf_counter()
        signals = compare_readings(validation, live.sample(1_000, 1), DriftLimits(), seed=0)
        print(f"{title}, 1000 readings ({time.perf_counter() - begin:.1f} s):")
        for one in signals:
            print(
                f"    {one.name:13} value {one.value:.3f} by chance {one.by_chance:.3f} "
                f"adjusted p {one.adjusted:.4f} {'DRIFT' if one.drifted else 'stable'}"
            )

    print(f"share of CLINC150 among {given.readings} readings: checks of 20 that tell drift")
    for share in SHARES:
        foreign = round(share * given.readings)
        told = 0
        for trial in range(20):
            live = joined(
                drawn(banking, given.readings - foreign, random), drawn(clinc, foreign, random)
            )
            signals = compare_readings(validation, live, DriftLimits(), seed=trial)
            told += any(one.drifted for one in signals)
        print(f"    {share:4.0%}: {told}")

    nominal = 0.05
    alone = {"significant": 0, "told at 0.05": 0, "told at 0.001": 0}
    by_signal: dict[str, int] = {}
    for trial in range(given.trials):
        order = random.permutation(len(banking))
        old, live = banking.take(order[:800]), banking.take(order[800 : 800 + given.readings])
        signals = compare_readings(old, live, DriftLimits(alpha=nominal), seed=trial)
        alone["significant"] += any(one.adjusted <= nominal for one in signals)
        alone["told at 0.05"] += any(one.drifted for one in signals)
        alone["told at 0.001"] += any(
            one.adjusted <= 0.001 and one.effect > one.floor for one in signals
        )
        for one in signals:
            by_signal[one.name] = by_signal.get(one.name, 0) + (one.p_value <= nominal)
    print(f"{given.trials} checks of halves of Banking77's test texts, no drift:")
    for name, count in alone.items():
        print(f"    {name}: {count} ({count / given.trials:.2%})")
    print("    p <= 0.05 by signal:", {k: f"{v / given.trials:.1%}" for k, v in by_signal.items()})


if __name__ == "__main__":
    main()
