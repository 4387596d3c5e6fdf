"""The doctor's checks of an installation: disk, database, models, and the API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from models.registry import ModelRegistry
from shared.errors import ManifestMismatch, TriptychError
from shared.monitoring import stored_checks
from shared.monitoring.findings import Finding, error, looked_at, ok, warning
from shared.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

APPS = ("support", "finance", "recommend")
GIBIBYTE = 2**30
API_SECONDS = 5.0


def examine(settings: Settings, url: str, *, now: datetime) -> list[Finding]:
    """All checks, none of which changes anything."""
    from shared.monitoring.mail import MailSettings
    from shared.storage.engine import connect
    from shared.storage.transfer import must_exist

    registry = ModelRegistry(settings.models)
    found = looked_at("settings", partial(check_settings, settings), "mend the variable named")
    found += looked_at("disk", partial(check_disk, settings), "see TRIPTYCH_HOME")
    try:
        engine = connect(settings.database)
        must_exist(engine)
    except TriptychError as fault:
        found.append(
            error(
                "database",
                fault.message,
                "make it: `triptych db upgrade`, or set TRIPTYCH_DATABASE_URL",
            )
        )
    else:
        try:
            found += check_stored(engine, settings, now, mail=MailSettings().host is not None)
        finally:
            engine.dispose()
    for app in APPS:
        mend = f"`triptych models list --app {app}`"
        found += looked_at(f"model {app}", partial(check_model, registry, app), mend)
    found += looked_at("api", partial(check_api, registry, url, now), "start `triptych serve`")
    return found


def check_stored(engine: Engine, settings: Settings, now: datetime, *, mail: bool) -> list[Finding]:
    """The schema, and where that is right what stands in it."""
    found = looked_at("database", partial(check_schema, engine), "`triptych db check`")
    if any(one.status == "error" for one in found):
        return found
    every = timedelta(hours=settings.drift_hours)
    for name, look, mend in (
        ("watcher", partial(stored_checks.watcher, engine, now), stored_checks.WATCH),
        ("feeds", partial(stored_checks.feeds_lag, engine, now), "`triptych finance feeds list`"),
        (
            "deliveries",
            partial(stored_checks.stuck_deliveries, engine, now, mail=mail),
            "`triptych finance alerts list`",
        ),
        ("keys", partial(stored_checks.keys, engine, now), "`triptych keys list`"),
        ("drift", partial(stored_checks.drift, engine, now, every=every), "`triptych drift check`"),
        ("clock", partial(stored_checks.clock, engine, now), "`timedatectl`"),
    ):
        found += looked_at(name, look, mend)
    return found


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Whether what is set can be used."""
    settings.address_policy()
    yield ok("settings", f"home {settings.home}")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Room where versions and the database stand."""
    if not settings.home.is_dir():
        yield warning(
            "disk",
            f"{settings.home} is not there yet",
            "it is made by `triptych demo` or `triptych train`",
        )
        return
    free = shutil.disk_usage(settings.home).free / GIBIBYTE
    mend = f"make room on the disk of {settings.home}: old versions stand under models/"
    if free < 0.25:
        yield error("disk", f"{free:.2f} GiB are free: writes will fail", mend)
    elif free < 2:
        yield warning("disk", f"{free:.1f} GiB are free", mend)
    else:
        yield ok("disk", f"{free:.0f} GiB are free")


def check_schema(engine: Engine) -> Iterator[Finding]:
    """Whether the database is whole and of this version."""
    from shared.storage.schema import check_database

    found = check_database(engine)
    for problem in found.problems:
        yield error(
            "database",
            problem,
            "`triptych db check` says more; `triptych db upgrade` brings an old schema forward",
        )
    if not found.problems:
        rows = sum(found.rows.values())
        yield ok("database", f"{found.kind}, schema {found.revision}, {rows:,} rows")


def check_model(registry: ModelRegistry, app: str) -> Iterator[Finding]:
    """Whether the version in use is as it was made, and what computes it."""
    name, used = f"model {app}", registry.in_use(app)
    if used is None:
        yield warning(name, "no version is in use", f"`triptych train {app}`")
        return
    version = registry.get(app, used)
    try:
        registry.verify(version)
    except ManifestMismatch as fault:
        yield error(
            name,
            fault.message,
            f"put the one before back: `triptych models rollback "
            f"--app {app}`, or restore the folder",
        )
        return
    runtime = ""
    if app != "recommend":
        from models.runtime.files import read_verdict

        verdict = read_verdict(version)
        runtime = ", served by torch" if verdict is None else f", served by {verdict.chosen}"
    yield ok(name, f"{used} is as it was made{runtime}")


def check_api(registry: ModelRegistry, url: str, now: datetime) -> Iterator[Finding]:
    """Whether the API answers, is ready, serves what is in use, and knows what time it is."""
    import httpx2

    try:
        with httpx2.Client(base_url=url, timeout=API_SECONDS) as client:
            health = client.get("/healthz")
            ready = client.get("/readyz")
    except httpx2.HTTPError as fault:
        yield error(
            "api",
            f"{url} does not answer: {type(fault).__name__}",
            "start `triptych serve`, or name another with --url",
        )
        return
    if health.status_code != 200 or "versions" not in _json(health):
        yield error(
            "api",
            f"{url} answers {health.status_code}, but is no Triptych",
            "name the API with --url",
        )
        return
    if ready.status_code != 200:
        yield error(
            "api",
            str(_json(ready).get("message", f"answered {ready.status_code}")),
            "wait for models to load; then read the log of `triptych serve`",
        )
        return
    served = _json(ready)["versions"]
    behind = {
        app: version
        for app, version in served.items()
        if app in APPS and version != registry.in_use(app)
    }
    for app, version in behind.items():
        yield warning(
            "api",
            f"it serves {version} of {app}, and {registry.in_use(app)} is in use",
            "give API and command the same TRIPTYCH_HOME; read the API's log",
        )
    theirs = health.headers.get("date")
    moment = parsedate_to_datetime(theirs).astimezone(UTC) if theirs else now
    off = (now - moment).total_seconds()
    if abs(off) > stored_checks.SKEW.total_seconds():
        yield error(
            "api",
            f"this clock is {off:+.0f} s off that of the API's machine",
            "let the system set its clock: `timedatectl set-ntp true`",
        )
    if not behind:
        yield ok("api", f"{url} is ready")


def _json(answer: Any) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
