"""The Financial PhraseBank and SEntFiN, read as they were published."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import MappingProxyType

from data_connectors.downloads import RemoteFile
from data_connectors.published_files import PHRASEBANK, SENTFIN
from data_connectors.rows import Row, reject
from shared.records import Example, Reject, SplitName, fingerprint, fold_text

Locate = Callable[[RemoteFile], Path]

SENTIMENTS = ("negative", "neutral", "positive")

TEST_SHARE = 0.2
"""Of SEntFiN's headlines: it has no published split, and the paper's own is not public."""


def phrasebank(level: str) -> Callable[[Locate], Iterator[Example | Reject]]:
    """Sentences on which at least ``level`` (50, 66, 75, all) of the annotators agree.

    ``details["agreement"]`` is the highest level at which a sentence stands, so that one
    evaluation tells the numbers by agreement. Latin-1, ``sentence@label``, no published split.
    """

    def examples(locate: Locate) -> Iterator[Example | Reject]:
        levels = list(PHRASEBANK)
        seen: dict[str, str] = {}
        for name in levels[: levels.index(level) + 1]:
            for _, sentence, _ in _sentences(locate(PHRASEBANK[name])):
                seen.setdefault(fold_text(sentence), name)
        details = {name: MappingProxyType({"agreement": name}) for name in levels}
        for number, sentence, label in _sentences(locate(PHRASEBANK[level])):
            if not sentence.strip() or label not in SENTIMENTS:
                row = Row(number, {"text": sentence, "label": label})
                yield reject(row, "it is no sentence@label with a known label")
                continue
            yield Example(sentence.strip(), label, None, details[seen[fold_text(sentence)]])

    return examples


def _sentences(path: Path) -> Iterator[tuple[int, str, str]]:
    lines = path.read_text(encoding="latin-1").splitlines()
    for number, line in enumerate(lines, start=1):
        sentence, _, label = line.rpartition("@")
        yield number, sentence, label.strip()


def sentfin(locate: Locate) -> Iterator[Example | Reject]:
    """One example for each entity of a headline, the name in ``details["entity"]``.

    All examples of a headline are one group. ``details["conflict"]`` is set where the headline is
    good for one entity and not so for another. One headline in five, by a stable hash of its
    folded text, is the test split. An entity that does not stand in its headline is a reject.
    """
    with locate(SENTFIN).open(encoding="utf-8", newline="") as file:
        for number, values in enumerate(csv.DictReader(file), start=2):
            headline = values["Title"].strip()
            decisions = {k.strip(): v for k, v in json.loads(values["Decisions"]).items()}
            conflict = len(set(decisions.values())) > 1
            split: SplitName = "test" if _share_of(headline) < TEST_SHARE else "train"
            for entity, label in decisions.items():
                row = Row(number, {"text": headline, "label": label, "entity": entity})
                if not headline or label not in SENTIMENTS:
                    yield reject(row, "it is no headline with a known label")
                elif not entity or entity.casefold() not in headline.casefold():
                    yield reject(row, "the entity does not stand in the headline")
                else:
                    details = {"entity": entity} | ({"conflict": True} if conflict else {})
                    yield Example(headline, label, split, MappingProxyType(details), headline)


def sentfin_headlines(locate: Locate) -> Iterator[Example | Reject]:
    """One example a headline whose entities all have one sentiment, splits as in ``sentfin``."""
    by_headline: dict[str, list[Example]] = {}
    for outcome in sentfin(locate):
        if isinstance(outcome, Reject):
            yield outcome
        elif outcome.group is not None:
            by_headline.setdefault(outcome.group, []).append(outcome)
    for headline, asked in by_headline.items():
        if len({example.label for example in asked}) == 1:
            yield Example(headline, asked[0].label, asked[0].split)


def _share_of(text: str) -> float:
    """A stable number in [0, 1) for a text, the same for texts that fold alike."""
    digest = hashlib.blake2b(f"sentfin\x00{fingerprint(text)}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
