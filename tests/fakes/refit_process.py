"""Refits as a process of its own: the real ones, with a fit that takes its time.

    python -m tests.fakes.refit_process DATABASE_URL MODELS SECONDS_A_FIT MODE

MODE "once" serves what is wished for and ends; "for-ever" refits over and over. A line "fitting"
is printed in the middle of each fit, "done" after each refit.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from apps.recommend.operations.nightly import RefitRounds
from apps.recommend.operations.refit import Refit
from apps.recommend.operations.refit_state import RefitLedger
from models.registry import ModelRegistry
from shared.storage.engine import open_database
from tests.fakes.bundle_fitting import BundleFitting, Gate

LEASE_SECONDS = 1.0


def now() -> datetime:
    return datetime.now(UTC)


def main(url: str, models: str, seconds: float, mode: str) -> None:
    engine = open_database(url)
    registry = ModelRegistry(Path(models))

    def fitting() -> None:
        print("fitting", flush=True)
        time.sleep(seconds)

    fit = BundleFitting(registry, during=fitting)
    fit.numbers = iter(range(time.time_ns(), sys.maxsize))  # type: ignore[assignment]
    refit = Refit(
        engine,
        registry,
        fit,
        Gate(),
        holder=f"process {os.getpid()}",
        clock=now,
        lease_seconds=LEASE_SECONDS,
        keep=3,
    )
    if mode == "once":
        for report in RefitRounds(RefitLedger(engine), refit, author="rounds").fit_what_is_due():
            print(report.outcome, flush=True)
    while mode == "for-ever":
        if refit.run("default", author="for ever").outcome == "promoted":
            print("done", flush=True)
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4])
