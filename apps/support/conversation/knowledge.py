"""What the desk can say: an answer for each intent, and a FAQ searched by meaning.

Answers come from a file; what a person wrote since (the table ``intent_answers``) wins. The FAQ
is a CSV file with the columns question and answer, searched through the encoder of the model in
use: each version makes its own index, since vectors of two encoders cannot be compared.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from apps.support.conversation.decision import FaqMatch
from models.vector_index import FlatIndex, VectorIndex
from shared.errors import UnknownColumn, UnreadableFile
from shared.storage.tables import intent_answers

APP = "support"
SAMPLES = Path(__file__).parent.parent / "samples"
SAMPLE_SOURCE = "sample:support"

Embed = Callable[[list[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class FaqEntry:
    """A question that customers ask, and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class AnswerBook:
    """The answers and titles of intents, and the FAQ, as they stand in files."""

    answers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    titles: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    faq: tuple[FaqEntry, ...] = ()

    def title(self, intent: str) -> str:
        """How people read the intent: its title, else its name in words."""
        return self.titles.get(intent) or intent.replace("_", " ").replace("-", " ").strip()


def book_for(card: Mapping[str, Any], home: Path) -> AnswerBook:
    """The answers that go with a model version.

    Files under ``home``/support (answers.json, faq.csv) come first. What the project ships with
    its sample is for models trained on that sample: another shop's intents may bear the same
    names, and must not get its answers.
    """
    source = card.get("data", {}).get("source")
    if isinstance(source, Mapping):
        source = source.get("source")
    folders = [home / APP]
    if source == SAMPLE_SOURCE:
        folders.append(SAMPLES)
    answers = next((path for one in folders if (path := one / "answers.json").is_file()), None)
    faq = next((path for one in folders if (path := one / "faq.csv").is_file()), None)
    spoken, titles = read_answers(answers) if answers else ({}, {})
    return AnswerBook(spoken, titles, read_faq(faq) if faq else ())


def read_answers(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Answers and titles by intent.

    The file holds one JSON object: an intent's value is its answer, or an object with ``answer``
    and ``title``. A title completes "Do you want to ...".

    Raises UnreadableFile that names the intent that is wrong.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} holds no JSON: {error}", path=str(path)) from error
    if not isinstance(stored, dict):
        raise UnreadableFile(f"{path} must hold one object, intent to answer", path=str(path))
    answers: dict[str, str] = {}
    titles: dict[str, str] = {}
    for intent, value in stored.items():
        entry = value if isinstance(value, dict) else {"answer": value}
        answer, title = entry.get("answer"), entry.get("title")
        if not isinstance(answer, str) or not answer.strip():
            raise UnreadableFile(f"{path} has no answer for {intent!r}", intent=intent)
        answers[intent] = answer.strip()
        if isinstance(title, str) and title.strip():
            titles[intent] = title.strip()
    return answers, titles


def read_faq(path: Path) -> tuple[FaqEntry, ...]:
    """The entries of a CSV file with the columns question and answer; blank rows are left out.

    Raises UnreadableFile or UnknownColumn.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = rows.fieldnames or ()
        if not {"question", "answer"} <= set(columns):
            raise UnknownColumn(
                f"{path} needs the columns question and answer; it has {', '.join(columns)}",
                path=str(path),
            )
        entries = [
            FaqEntry((row["question"] or "").strip(), (row["answer"] or "").strip()) for row in rows
        ]
    except (OSError, ValueError, csv.Error) as error:
        raise UnreadableFile(f"{path} is no CSV file in UTF-8: {error}", path=str(path)) from error
    return tuple(entry for entry in entries if entry.question and entry.answer)


class Faq:
    """The FAQ, searched by the meaning of its questions.

    ``embed`` gives unit vectors (float32 [n, dimensions]), the same that queries come in.
    """

    def __init__(self, entries: Sequence[FaqEntry], embed: Embed) -> None:
        self._entries = tuple(entries)
        self._index: VectorIndex | None = None
        if self._entries:
            vectors = embed([entry.question for entry in self._entries])
            self._index = FlatIndex([str(row) for row in range(len(self._entries))], vectors)

    def __len__(self) -> int:
        return len(self._entries)

    def nearest(self, queries: NDArray[np.float32]) -> list[FaqMatch | None]:
        """The entry nearest to each query (float32 [n, dimensions]); None from an empty FAQ."""
        if self._index is None:
            return [None for _ in queries]
        found: list[FaqMatch | None] = []
        for hits in self._index.search(queries, 1):
            entry = self._entries[int(hits[0].id)]
            found.append(FaqMatch(entry.question, entry.answer, hits[0].similarity))
        return found


def written_answers(connection: Connection) -> dict[str, str]:
    """The answers that people wrote through the API or a command, by intent."""
    rows = connection.execute(
        select(intent_answers.c.name, intent_answers.c.answer).where(intent_answers.c.app == APP)
    )
    return {row.name: row.answer for row in rows}


def written_answer(connection: Connection, intent: str) -> str | None:
    """The answer that a person wrote for one intent."""
    return connection.execute(
        select(intent_answers.c.answer).where(
            intent_answers.c.app == APP, intent_answers.c.name == intent
        )
    ).scalar_one_or_none()
