"""Where the graphs of encoders lie, and what was found of a version's when it was promoted.

Under the folder of model versions:

    runtimes/<digest>/           fp32.onnx, int8.onnx, tokenizer.json, runtime.json
    <app>/runtimes/<version>.json   which of them the version is served by, and why

The digest is of the encoder's files, so that versions of one encoder (a head that was fitted again)
share the graphs. ``runtime.json`` holds the sha256 of each file, which is checked before one is
loaded; a version's own folder and manifest stay as they were made.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.version_files import held_lock, sync_folder
from shared.errors import ManifestMismatch, RegistryError

if TYPE_CHECKING:
    from models.registry import ModelVersion

FORMAT = 2
"""Of the graph of a plain encoder, in fp32: another number makes it anew."""

VERSION_FORMAT = 3
"""The same of a version's graphs; one that was judged before keeps its own until it is prepared."""

RUNTIMES = "runtimes"
FACTS = "runtime.json"
TOKENIZER = "tokenizer.json"
KINDS = ("int8", "fp32")
LOCK_SECONDS = 600.0
_ENCODER_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*/config.json")


@dataclass(frozen=True, slots=True)
class EncoderRuntime:
    """The graphs of one encoder: their folder, and the facts of ``runtime.json``."""

    folder: Path
    facts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """Which encoder's they are."""
        return self.folder.name

    @property
    def failure(self) -> str | None:
        """Why there are no graphs, where that is so."""
        found = self.facts.get("failure")
        return None if found is None else str(found)

    def graph(self, kind: str) -> Path:
        """The file of a kind of graph; OpenVINO reads that in fp32."""
        return self.folder / f"{'fp32' if kind == 'openvino' else kind}.onnx"

    def check(self, *names: str) -> None:
        """ManifestMismatch unless these files have the sha256 that they were made with."""
        for name in names:
            path = self.folder / name
            wanted = self.facts["files"].get(name)
            if wanted is None or not path.is_file() or path.is_symlink() or sum_of(path) != wanted:
                raise ManifestMismatch(
                    f"the runtime file {path} is not as it was made: delete {self.folder} and "
                    "run `triptych models runtime` to make it again",
                    path=str(path),
                )


def sum_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_of_folder(folder: Path) -> str:
    """The digest of an encoder's folder, over the names and sums of its files."""
    files = {path for pattern in _ENCODER_FILES for path in folder.rglob(pattern)}
    if not files:
        raise RegistryError(f"{folder} holds no encoder", path=str(folder))
    sums = {path.relative_to(folder).as_posix(): sum_of(path) for path in files}
    return _digest(sums, FORMAT)


def digest_of_version(version: ModelVersion) -> str:
    """The digest of a version's encoder, out of its manifest: verify the version first."""
    manifest = json.loads((version.folder / "manifest.json").read_text(encoding="utf-8"))
    sums = {
        path.removeprefix("encoder/"): entry["sha256"]
        for path, entry in manifest["files"].items()
        if path.startswith("encoder/")
    }
    return _digest(sums, VERSION_FORMAT)


def _digest(sums: Mapping[str, str], form: int) -> str:
    lines = [f"{name}\0{value}\n" for name, value in sorted(sums.items())]
    return hashlib.sha256("".join([f"format {form}\n", *lines]).encode()).hexdigest()


def read_runtime(root: Path, digest: str) -> EncoderRuntime | None:
    """The graphs of that digest under the folder of versions; None where none were made."""
    folder = root / RUNTIMES / digest
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ManifestMismatch(f"{folder / FACTS} cannot be read: {error}") from error
    return EncoderRuntime(folder, facts)


def make_runtime(
    root: Path, digest: str, write: Callable[[Path], Mapping[str, Any]]
) -> EncoderRuntime:
    """The graphs of that digest; ``write`` makes them in an empty folder where there are none.

    It gives back the facts. One process makes them, others wait for it.
    """
    with _locked(root, digest):
        found = read_runtime(root, digest)
        if found is not None:
            return found
        place = root / RUNTIMES
        incoming = Path(tempfile.mkdtemp(prefix=".incoming-", dir=place))
        try:
            facts = dict(write(incoming))
            made = sorted(path for path in incoming.iterdir() if path.is_file())
            facts |= {"files": {path.name: sum_of(path) for path in made}}
            text = json.dumps(facts, ensure_ascii=False, indent=1) + "\n"
            (incoming / FACTS).write_text(text, encoding="utf-8")
            incoming.chmod(0o755)
            incoming.rename(place / digest)
            sync_folder(place)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return EncoderRuntime(place / digest, facts)


@contextmanager
def _locked(root: Path, digest: str) -> Iterator[None]:
    place = root / RUNTIMES
    place.mkdir(parents=True, exist_ok=True)
    with held_lock(place / f".{digest[:16]}.lock", LOCK_SECONDS):
        yield


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a version is served by: ``chosen`` is int8, fp32 or torch; ``reports`` say why.

    ``reports`` holds a parity report (as JSON) for each kind that was measured.
    """

    version: str
    manifest: str
    digest: str
    chosen: str
    reason: str
    reports: Mapping[str, Mapping[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "version": self.version,
            "manifest": self.manifest,
            "digest": self.digest,
            "chosen": self.chosen,
            "reason": self.reason,
            "reports": {name: dict(report) for name, report in self.reports.items()},
        }


def verdict_path(version: ModelVersion) -> Path:
    """The file of a version's verdict."""
    return version.folder.parent.parent / RUNTIMES / f"{version.name}.json"


def read_verdict(version: ModelVersion) -> Verdict | None:
    """What was found of a version; None where nothing was, or of files that it no longer has."""
    try:
        plain = json.loads(verdict_path(version).read_text(encoding="utf-8"))
        verdict = Verdict(**plain)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ManifestMismatch(f"{verdict_path(version)} cannot be read: {error}") from error
    return verdict if verdict.manifest == sum_of(version.folder / "manifest.json") else None


def write_verdict(version: ModelVersion, verdict: Verdict) -> None:
    """Store it, in one step."""
    path = verdict_path(version)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(verdict.as_json(), ensure_ascii=False, indent=1) + "\n"
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=".verdict-", encoding="utf-8", delete=False
    ) as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.chmod(stream.name, 0o644)
    os.replace(stream.name, path)
