"""The files of one model version: its card, its manifest of sha256 sums, and the check of both."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from shared.errors import ManifestMismatch, RegistryError

CARD = "card.json"
MANIFEST = "manifest.json"


def content_hash(folder: Path, card: Mapping[str, Any]) -> str:
    """The sha256 over the paths and sums of all files and the card, in hexadecimal digits.

    RegistryError when the card does not fit JSON (NaN and infinity do not).
    """
    try:
        written = json.dumps(card, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RegistryError(f"the model card does not fit JSON: {error}") from error
    digest = hashlib.sha256(written.encode())
    for path, entry in _sums(folder).items():
        digest.update(f"{path}\0{entry['sha256']}\n".encode())
    return digest.hexdigest()


def seal(folder: Path, version: str) -> None:
    """Write the manifest of all files in the folder, and sync everything to disk."""
    manifest = {"version": version, "files": _sums(folder)}
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    for path in _files(folder):
        path.chmod(0o644)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    for inner in {path.parent for path in _files(folder)} | {folder}:
        sync_folder(inner)


def read_card(folder: Path) -> tuple[dict[str, Any], datetime]:
    """The card and its time; ManifestMismatch when it is missing or broken."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        return card, datetime.fromisoformat(card["created_at"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"the card of version {folder.name} cannot be read ({error}): see {folder}"
        raise ManifestMismatch(message, version=folder.name) from error


def verify_files(folder: Path, version: str) -> list[str]:
    """What differs from the manifest, one sentence a file; an empty list when nothing does."""
    if folder.is_symlink():
        return [f"{folder} is a symbolic link: a version stands in the store itself"]
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        expected: dict[str, dict[str, Any]] = manifest["files"]
        named = manifest["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    faults = [] if named == version else [f"{MANIFEST} is of version {named}"]
    try:
        found = _sums(folder)
    except RegistryError as error:
        return [*faults, error.message]
    faults += [f"{path} is missing" for path in expected if path not in found]
    faults += [f"{path} was added" for path in found if path not in expected]
    faults += [
        f"{path} was changed"
        for path, entry in expected.items()
        if path in found and found[path] != entry
    ]
    return faults


def read_sealed(folder: Path, path: str) -> bytes | None:
    """One file of a version, as its manifest has it; None where the version has no such file.

    ManifestMismatch where it was changed, added or replaced by a link: a link would show whatever
    file of this machine it points to.
    """
    file = folder / path
    if not file.exists() and not file.is_symlink():
        return None
    try:
        entry = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"].get(path)
        content = b"" if file.is_symlink() or folder.is_symlink() else file.read_bytes()
        fits = entry is not None and hashlib.sha256(content).hexdigest() == entry["sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} of version {folder.name} cannot be checked: {error}"
        raise ManifestMismatch(message, version=folder.name) from error
    if not fits:
        message = f"{path} of version {folder.name} is not as it was made"
        raise ManifestMismatch(message, version=folder.name, path=path)
    return content


@contextmanager
def held_lock(path: Path, seconds: float) -> Iterator[None]:
    """A lock that processes share by its file; RegistryError when another keeps it so long."""
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout as error:
        message = f"another process has held {error.lock_file} for {seconds:.0f} seconds"
        raise RegistryError(message) from error
    try:
        yield
    finally:
        lock.release()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _files(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob("*"))
    for path in paths:
        if path.is_symlink():
            raise RegistryError(f"{path} is a symbolic link: a version holds its files itself")
    return [path for path in paths if path.is_file()]


def _sums(folder: Path) -> dict[str, dict[str, Any]]:
    """Path, bytes and sha256 of each file but the manifest itself, in order of the paths."""
    sums: dict[str, dict[str, Any]] = {}
    for path in _files(folder):
        relative = path.relative_to(folder).as_posix()
        if relative != MANIFEST:
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            sums[relative] = {"bytes": path.stat().st_size, "sha256": digest}
    return sums
