"""Old bundles go, so that a refit a night does not fill the disk."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from models.promotion_history import standing
from models.registry import ModelRegistry

log = logging.getLogger(__name__)

KEEP = 7
"""The newest bundles stay, and as many of those that a roll-back can go to."""


STALE = timedelta(days=1)
"""What a killed process left half written or half removed goes after this."""


def to_remove(
    newest_first: Sequence[str], promoted: Sequence[str], *, keep: int = KEEP
) -> tuple[str, ...]:
    """Which versions go: neither among the newest ``keep``, nor in use, nor among the ``keep``
    before it. ``promoted`` are the versions one upon another, the one in use last. Pure."""
    kept = {*newest_first[:keep], *promoted[-keep - 1 :]}
    return tuple(name for name in newest_first if name not in kept)


def remove_old(registry: ModelRegistry, app: str, *, keep: int = KEEP) -> tuple[str, ...]:
    """Remove an app's old versions; the names of those that went.

    A version is moved out of sight in one step before its files go, so that it is whole or gone.
    """
    versions = {version.name: version for version in registry.versions(app)}
    gone = to_remove(list(versions), standing(registry.history(app)), keep=keep)
    for name in gone:
        folder = versions[name].folder
        aside = Path(tempfile.mkdtemp(prefix=".removed-", dir=folder.parent.parent))
        folder.rename(aside / name)
        shutil.rmtree(aside, ignore_errors=True)
        log.info("bundle %s of %s was removed: %d newer ones stay", name, app, keep)
    return gone


def remove_leftovers(registry: ModelRegistry, app: str, now: datetime) -> int:
    """Remove what killed processes left half written or half removed; how many folders went.

    Only those older than ``STALE``: a younger one may belong to a process that is at it.
    """
    before = (now - STALE).timestamp()
    found = [
        folder
        for pattern in (".incoming-*", ".removed-*")
        for folder in (registry.root / app).glob(pattern)
        if folder.stat().st_mtime < before
    ]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
        log.info("%s was left by a process that was killed: removed", folder)
    return len(found)
