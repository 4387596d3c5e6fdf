"""Immutable model versions in a folder, and which of them is in use.

Under the root stands a folder for each app:

    <app>/versions/<name>/    a version's files, its card.json and manifest.json
    <app>/promotions.jsonl    every promotion and roll-back, oldest first; the last line is in use
    <app>/promotions.lock     held while that file changes

A version is written aside, synced and renamed into place: it is there whole, or not at all.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from models.promotion_history import Promotion, PromotionHistory, standing
from models.version_files import CARD, content_hash, read_card, seal, sync_folder, verify_files
from shared.errors import ManifestMismatch, PromotionRefused, VersionNotFound
from shared.evaluation.gate import GateReport

APP_PATTERN = re.compile(r"[a-z][a-z0-9_]{0,31}")
VERSION_PATTERN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")
PREFIX_PATTERN = re.compile(r"[0-9a-fTZ-]{1,25}")

__all__ = ["Journal", "ModelRegistry", "ModelVersion", "Note", "Promotion"]

log = logging.getLogger(__name__)

Note = Callable[[Promotion], object]
"""Is told of a promotion or roll-back just before it is written."""
Journal = Callable[[], AbstractContextManager[Note]]
"""Entered before a promotion is decided, left once it is written, with the error if there was one.
It comes before the lock of the history, so that all who promote wait in one order."""


def _no_journal() -> AbstractContextManager[Note]:
    return nullcontext(lambda promotion: None)


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One version: where its files are, and the card that its training wrote."""

    app: str
    name: str
    folder: Path
    created_at: datetime
    card: Mapping[str, Any]


class ModelRegistry:
    """The store of model versions under one folder; safe for many processes at once.

    ``journal`` keeps who changed what elsewhere, too (``models.promotion_audit``).
    """

    def __init__(self, root: Path, *, journal: Journal | None = None) -> None:
        self.root = Path(root)
        self._journal = journal or _no_journal

    def add(
        self,
        app: str,
        *,
        card: Mapping[str, Any],
        write: Callable[[Path], None],
        now: datetime,
        describe: Callable[[Path, Mapping[str, Any]], None] | None = None,
    ) -> ModelVersion:
        """Make a version of what ``write`` puts in the folder it is given.

        The name is the UTC time and eight digits of the hash over files and card. ``describe``
        is called once the name is known, with the folder and the finished card, to write files
        that show the name (a report); they are in the manifest and not in the hash. Equal
        content at an equal time is the same version and is not stored twice. When either
        function raises, nothing is left behind.
        """
        moment = _utc(now)
        versions = self._versions_folder(app)
        versions.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=versions.parent))
        try:
            write(incoming)
            plain = {**card, "app": app, "created_at": moment.isoformat()}
            plain.pop("version", None)
            name = f"{moment:%Y%m%dT%H%M%SZ}-{content_hash(incoming, plain)[:8]}"
            finished = {"app": app, "version": name, **plain}
            (incoming / CARD).write_text(
                json.dumps(finished, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
            )
            if describe is not None:
                describe(incoming, MappingProxyType(finished))
            seal(incoming, name)
            incoming.chmod(0o755)
            try:
                incoming.rename(versions / name)
            except OSError:
                if not (versions / name / CARD).is_file():
                    raise
                log.info("version %s of %s is there already", name, app)
            sync_folder(versions)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return self.get(app, name)

    def versions(self, app: str) -> list[ModelVersion]:
        """All versions of an app, newest first. One whose card cannot be read is left out."""
        found = []
        for name in self._names(app):
            try:
                found.append(self._read(app, name))
            except ManifestMismatch as error:
                log.warning("%s", error.message)
        return sorted(found, key=lambda version: (version.created_at, version.name), reverse=True)

    def get(self, app: str, version: str | None = None) -> ModelVersion:
        """A version by its name or the beginning of it; None is the one in use.

        VersionNotFound when there is none, when several begin so, or when none is in use.
        """
        if version is None:
            version = self.in_use(app)
            if version is None:
                message = f"no version of {app} is in use yet: train one, or promote one"
                raise VersionNotFound(message, app=app)
        elif not PREFIX_PATTERN.fullmatch(version):
            message = f"{version!r} is not the name of a version, nor the beginning of one"
            raise VersionNotFound(message, app=app, version=version)
        matches = [name for name in self._names(app) if name.startswith(version)]
        if not matches:
            message = f"{app} has no version {version}: see `triptych models list --app {app}`"
            raise VersionNotFound(message, app=app, version=version)
        if len(matches) > 1:
            message = f"{len(matches)} versions of {app} begin with {version}: {', '.join(matches)}"
            raise VersionNotFound(message, app=app, version=version, matches=matches)
        return self._read(app, matches[0])

    def verify(self, version: ModelVersion) -> None:
        """Compare every file with the manifest's sha256; ManifestMismatch names what differs."""
        faults = verify_files(version.folder, version.name)
        if faults:
            message = (
                f"version {version.name} of {version.app} is not as it was made "
                f"({'; '.join(faults[:5])}): train again, or restore {version.folder}"
            )
            raise ManifestMismatch(message, app=version.app, version=version.name, faults=faults)

    def in_use(self, app: str) -> str | None:
        """The name of the version in use; None before the first promotion."""
        return self._history(app).in_use()

    def history(self, app: str) -> list[Promotion]:
        """Every promotion and roll-back of an app, oldest first."""
        return self._history(app).read()

    def promote(
        self,
        app: str,
        version: str | ModelVersion,
        *,
        gate: GateReport | None,
        author: str,
        now: datetime,
        force: bool = False,
        compared_with: str | None = None,
    ) -> Promotion:
        """Put a version in use, once its files agree with its manifest.

        The first promotion needs no gate. After it PromotionRefused is raised without a gate
        report, when the gate refuses, or when ``compared_with`` (the version that the gate
        compared with) is no longer in use, since then the report speaks of another version.
        ``force`` goes past all three, and the record says so. A version that is in use
        already stays so: its own record is given back and nothing is written.
        """
        target = self.get(app, version.name if isinstance(version, ModelVersion) else version)
        self.verify(target)
        history = self._history(app)
        with self._journal() as note, history.locked():
            past = history.read()
            current = past[-1].version if past else None
            if past and current == target.name:
                return past[-1]
            objection = _objection(current, gate, compared_with)
            if objection is not None and not force:
                message = f"version {target.name} of {app} was not promoted: {objection}"
                raise PromotionRefused(
                    message,
                    app=app,
                    version=target.name,
                    current=current,
                    gate=None if gate is None else asdict(gate),
                )
            if objection is not None:
                reason = f"forced: {objection}"
            elif gate is not None:
                reason = gate.reason
            else:
                reason = "the first version of this app"
            promotion = Promotion(
                app=app,
                version=target.name,
                previous=current,
                kind="promotion",
                author=author,
                at=_utc(now),
                forced=objection is not None,
                reason=reason,
                gate=gate,
            )
            note(promotion)
            history.write([*past, promotion])
        return promotion

    def rollback(self, app: str, *, author: str, now: datetime) -> Promotion:
        """Put the version before the present one back in use.

        A second roll-back goes one further back. Versions whose folder is gone are passed over;
        VersionNotFound when none is left, ManifestMismatch when the one found was changed.
        """
        history = self._history(app)
        with self._journal() as note, history.locked():
            past = history.read()
            stored = set(self._names(app))
            earlier = [name for name in standing(past)[:-1] if name in stored]
            if not earlier:
                raise VersionNotFound(f"{app} has no earlier version to go back to", app=app)
            self.verify(self._read(app, earlier[-1]))
            promotion = Promotion(
                app=app,
                version=earlier[-1],
                previous=past[-1].version,
                kind="rollback",
                author=author,
                at=_utc(now),
                forced=False,
                reason=f"rolled back from {past[-1].version}",
            )
            note(promotion)
            history.write([*past, promotion])
        return promotion

    def _app_folder(self, app: str) -> Path:
        if not APP_PATTERN.fullmatch(app):
            raise VersionNotFound(f"{app!r} is not the name of an app", app=app)
        return self.root / app

    def _history(self, app: str) -> PromotionHistory:
        return PromotionHistory(self._app_folder(app))

    def _versions_folder(self, app: str) -> Path:
        return self._app_folder(app) / "versions"

    def _names(self, app: str) -> list[str]:
        folder = self._versions_folder(app)
        if not folder.is_dir():
            return []
        return sorted(
            path.name for path in folder.iterdir() if VERSION_PATTERN.fullmatch(path.name)
        )

    def _read(self, app: str, name: str) -> ModelVersion:
        folder = self._versions_folder(app) / name
        card, created_at = read_card(folder)
        return ModelVersion(app, name, folder, created_at, MappingProxyType(card))


def _utc(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise ValueError("now needs a time zone")
    return now.astimezone(UTC)


def _objection(
    current: str | None, gate: GateReport | None, compared_with: str | None
) -> str | None:
    if current is None:
        return None
    if gate is None:
        return f"it was not compared with {current}, which is in use"
    if compared_with is not None and compared_with != current:
        return f"it was compared with {compared_with}, and now {current} is in use: gate it again"
    return None if gate.allowed else gate.reason
