"""Which version of an app is in use, and every promotion and roll-back that led there.

One file of JSON lines, oldest first; the last line is in use. What is in use is not stored apart
from its history, so that the two cannot disagree. The file is replaced in one step, so that a
reader needs no lock; a writer holds one from before it reads until it has written.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from models.version_files import held_lock, sync_folder
from shared.evaluation.gate import GateReport

LOCK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Promotion:
    """One line of an app's history: ``version`` took the place of ``previous``.

    ``forced`` says that the gate was gone past; ``gate`` is None where none was asked.
    """

    app: str
    version: str
    previous: str | None
    kind: Literal["promotion", "rollback"]
    author: str
    at: datetime
    forced: bool
    reason: str
    gate: GateReport | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("the time of a promotion needs a time zone")


class PromotionHistory:
    """The history file of one app, in the app's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "promotions.jsonl"

    def read(self) -> list[Promotion]:
        """Every promotion and roll-back, oldest first."""
        return [_from_line(line) for line in self._lines()]

    def in_use(self) -> str | None:
        """The version of the last line; None where there is none."""
        lines = self._lines()
        return str(json.loads(lines[-1])["version"]) if lines else None

    def write(self, promotions: Sequence[Promotion]) -> None:
        """Replace the file in one step, synced to disk. Call it under ``locked``."""
        with tempfile.NamedTemporaryFile(
            "w", dir=self.folder, prefix=".promotions-", encoding="utf-8", delete=False
        ) as stream:
            stream.writelines(_to_line(promotion) for promotion in promotions)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(stream.name, 0o644)
        os.replace(stream.name, self.path)
        sync_folder(self.folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep every other writer out, in this process and others; RegistryError after 30 s."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with held_lock(self.folder / "promotions.lock", LOCK_SECONDS):
            yield

    def _lines(self) -> list[str]:
        try:
            return self.path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []


def standing(promotions: Sequence[Promotion]) -> list[str]:
    """The versions one upon another, the one in use last.

    A promotion lays its version on top; a roll-back takes off all that lie above its own.
    """
    stack: list[str] = []
    for promotion in promotions:
        if promotion.kind == "rollback":
            while stack and stack[-1] != promotion.version:
                stack.pop()
        else:
            stack.append(promotion.version)
    return stack


def _to_line(promotion: Promotion) -> str:
    row = {**asdict(promotion), "at": promotion.at.isoformat()}
    return json.dumps(row, ensure_ascii=True) + "\n"


def _from_line(line: str) -> Promotion:
    row = json.loads(line)
    gate = row.pop("gate")
    at = datetime.fromisoformat(row.pop("at"))
    return Promotion(**row, at=at, gate=None if gate is None else GateReport(**gate))
