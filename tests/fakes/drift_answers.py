"""Drift as the fake APIs tell it: numbers invented, one comparison every six hours."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from fastapi import FastAPI

from shared.api.drift import AppDrift, DriftCheck, DriftOverview, DriftSignal
from shared.monitoring.drift_history import ADVICE

OF_TEXTS = {
    "centroid": (0.02, 0.15),
    "separability": (0.5, 0.60),
    "labels": (0.01, 0.10),
    "confidence": (0.02, 0.10),
    "out_of_scope": (0.004, 0.05),
}
OF_EVENTS = {"behaviour": (0.01, 0.10), "unknown_items": (0.01, 0.05)}
"""Name, and the usual effect and the limit of each signal."""
WORDS = {
    "labels": "labels are of another mix (stability index 0.21 over chance)",
    "out_of_scope": "14% look unlike the training data, not 5%",
    "unknown_items": "13% of events are on items that the model has not seen, not 1%",
}
FIRED = ("labels", "out_of_scope", "unknown_items")
CHECKS = 40


def drift_of(
    app: str, version: str | None, now: datetime, *, told: bool = True, checks: int = CHECKS
) -> AppDrift:
    """An app that is compared ``checks`` times; with ``told`` some signals rise at the end."""
    usual = OF_EVENTS if app == "recommend" else OF_TEXTS
    return AppDrift(
        app=app,
        version=version,
        readings=None if app == "recommend" else 37 if checks == 0 else 900,
        needed=150,
        every_hours=6.0,
        checks=[
            _check(version or "", usual, now - timedelta(hours=6 * back + 2), back, told=told)
            for back in reversed(range(checks))
        ],
    )


def _check(
    version: str, usual: dict[str, tuple[float, float]], at: datetime, back: int, *, told: bool
) -> DriftCheck:
    signals = []
    for place, (name, (effect, floor)) in enumerate(usual.items()):
        shown = effect + 0.012 * math.sin(1.7 * back + place)
        if told and name in FIRED and back < 5:
            shown += floor * (1.9 - 0.3 * back)
        drifted = shown > floor
        signals.append(
            DriftSignal(
                name=name,
                value=shown + 0.05,
                by_chance=0.05,
                effect=shown,
                floor=floor,
                p_value=0.0004 if drifted else 0.31,
                drifted=drifted,
                words=WORDS.get(name, "it is as it was"),
                advice=ADVICE[name],
            )
        )
    verdict = "drift" if any(one.drifted for one in signals) else "stable"
    return DriftCheck(
        version=version, at=at, verdict=verdict, reference=802, live=900, signals=signals
    )


def drift_route(app: FastAPI, fake: object, name: str, now: datetime) -> None:
    """``/v1/drift`` of a fake: its ``drift`` is the answer, where a test has set one."""

    @app.get("/v1/drift")
    def drift(checks: int = CHECKS) -> DriftOverview:
        own = getattr(fake, "drift", None) or drift_of(name, None, now, checks=0)
        return DriftOverview(apps=[own])
