"""A published file, fetched once: resumed after a break, accepted only with the right sha256."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TextIO

import httpx2
from filelock import FileLock

from shared.errors import ChecksumMismatch, UnreadableFile

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A published file: ``path`` in a data folder, its address, sha256 and size in bytes."""

    path: str
    url: str
    sha256: str
    size: int


class Progress(Protocol):
    """Told the file, the bytes that are here and the bytes there will be, as they come."""

    def __call__(self, file: str, done: int, total: int, /) -> None:
        """Take note."""


def no_progress(file: str, done: int, total: int, /) -> None:
    """Tell nobody."""


class ProgressLine:
    """Progress as one line that is written over on a terminal, and as one line a file elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, file: str, done: int, total: int, /) -> None:
        """Show it."""
        if not self._stream.isatty() and done < total:
            return
        line = f"{file}: {done / 1e6:.1f} of {total / 1e6:.1f} MB ({done / total:.0%})"
        ends = "\n" if done >= total else ""
        self._stream.write(f"\r{line}{ends}" if self._stream.isatty() else f"{line}\n")
        self._stream.flush()


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, file: RemoteFile) -> Path:
    """The path, when its bytes are the published ones; else ChecksumMismatch."""
    found = sha256_of(path)
    if found != file.sha256:
        raise ChecksumMismatch(
            f"{path} is not the file that was published: its sha256 is {found}, not {file.sha256}",
            path=str(path), found=found, expected=file.sha256,
        )  # fmt: skip
    return path


def download(
    file: RemoteFile,
    target: Path,
    *,
    client: httpx2.Client,
    progress: Progress = no_progress,
    attempts: int = 5,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Fetch a file to ``target``, or keep the sound one that is there.

    Bytes gather in ``<target>.part``; a later attempt, in this run or another, asks only for
    the rest (RFC 9110, section 14, Range). Gives up after ``attempts`` in a row that brought
    nothing new. Two processes that want the same file take turns.

    Raises UnreadableFile (not reachable, or the server has no such file) and ChecksumMismatch
    (the bytes are not those that were published; they are thrown away).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with FileLock(f"{target}.lock"):
        if target.is_file():
            if sha256_of(target) == file.sha256:
                return target
            target.unlink()
        _fetch(file, part, client, progress, attempts, pause)
        try:
            check(part, file)
        except ChecksumMismatch:
            part.unlink()
            raise
        os.replace(part, target)
    return target


def locate_files(
    files: Sequence[RemoteFile],
    *,
    folder: Path | None,
    cache: Path,
    progress: Progress = no_progress,
    client: httpx2.Client | None = None,
) -> dict[RemoteFile, Path]:
    """Where each file lies: in ``folder`` when all are there, else fetched into ``cache`` once.

    Either way their sha256 is the published one, else ChecksumMismatch. Raises UnreadableFile
    when a file cannot be fetched.
    """
    if folder is not None and all((folder / file.path).is_file() for file in files):
        return {file: check(folder / file.path, file) for file in files}
    own = client or httpx2.Client(timeout=30.0, follow_redirects=True)
    try:
        return {
            file: download(file, cache / file.path, client=own, progress=progress) for file in files
        }
    finally:
        if client is None:
            own.close()


def _fetch(
    file: RemoteFile,
    part: Path,
    client: httpx2.Client,
    progress: Progress,
    attempts: int,
    pause: Callable[[float], None],
) -> None:
    """Bring ``part`` to its full size, with a pause that doubles between fruitless attempts."""
    fruitless = furthest = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if before == file.size:
            return
        if before > file.size:
            part.unlink()
            before = 0
        try:
            _fetch_once(file, part, before, client, progress)
        except httpx2.HTTPError as error:
            reached = part.stat().st_size if part.exists() else 0
            fruitless = 0 if reached > max(before, furthest) else fruitless + 1
            furthest = max(reached, furthest)
            if fruitless >= attempts:
                raise UnreadableFile(
                    f"{file.path} could not be fetched from {file.url}:"
                    f" {str(error) or type(error).__name__}. Try again (it goes on where it"
                    " stopped), or point TRIPTYCH_DATA at a folder"
                    f" that holds {file.path}",
                    url=file.url,
                ) from error
            pause(min(2.0**fruitless, 30.0))


def _fetch_once(
    file: RemoteFile, part: Path, offset: int, client: httpx2.Client, progress: Progress
) -> None:
    """One request for the bytes from ``offset`` on; raises httpx2.HTTPError when it breaks."""
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    with client.stream("GET", file.url, headers=headers) as response:
        if response.status_code == 416:
            part.unlink(missing_ok=True)
            raise httpx2.HTTPError("the server cannot go on from there; starting again")
        if 400 <= response.status_code < 500 and response.status_code not in (408, 429):
            raise UnreadableFile(
                f"{file.path} is not at {file.url}: the server answered {response.status_code}",
                url=file.url, status=response.status_code,
            )  # fmt: skip
        response.raise_for_status()
        goes_on = response.status_code == 206 and response.headers.get(
            "content-range", ""
        ).startswith(f"bytes {offset}-")
        done = offset if goes_on else 0
        with part.open("ab" if goes_on else "wb") as out:
            for chunk in response.iter_raw(_CHUNK):
                done += len(chunk)
                if done > file.size:
                    out.close()
                    part.unlink()
                    raise ChecksumMismatch(
                        f"{file.url} sends more than the {file.size:,} bytes that were published",
                        url=file.url, size=file.size,
                    )  # fmt: skip
                out.write(chunk)
                progress(file.path, done, file.size)
    if done < file.size:
        raise httpx2.HTTPError(f"the connection ended after {done:,} of {file.size:,} bytes")
