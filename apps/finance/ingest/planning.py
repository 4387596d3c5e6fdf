"""What a document adds to what is known: which entries are new, repeated or reworded. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.finance.ingest.identity import content_digest, identity_of
from apps.finance.records import StoryText
from data_connectors.feed_parsing import FeedEntry
from shared.records import fold_text

LONGEST_HEAD = 140
"""Characters of the title that is made of an entry without one."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Sighting:
    """An entry as it was read once. ``story_time`` is never after it was seen."""

    identity: str
    digest: str
    title: str
    text: str
    link: str | None
    publisher: str
    author: str | None
    published_at: datetime | None
    story_time: datetime

    @property
    def words(self) -> StoryText:
        """What it is embedded and scored by."""
        return StoryText(self.title, self.text)


@dataclass(frozen=True, slots=True)
class KnownSource:
    """What is stored of an entry. ``seen_at`` is when its present words were first seen."""

    id: int
    story_id: str
    digest: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Comparison:
    """A document against what is known. ``changed`` entries are repeats as well."""

    new: tuple[Sighting, ...]
    changed: tuple[tuple[KnownSource, Sighting], ...]
    repeats: int


def sightings(
    entries: Iterable[FeedEntry], publisher: str, now: datetime
) -> tuple[list[Sighting], int]:
    """The entries as sightings at ``now``, and how many hold no words at all.

    A story without a date, or with one yet to come, counts as published when it was seen.
    """
    seen: list[Sighting] = []
    wordless = 0
    for entry in entries:
        title, text = entry.title.strip(), entry.summary.strip()
        if not title:
            title, text = split_title(text)
        elif fold_text(text) == fold_text(title):
            text = ""
        if not title:
            wordless += 1
            continue
        published = entry.published_at or entry.updated_at
        seen.append(
            Sighting(
                identity=identity_of(entry),
                digest=content_digest(entry),
                title=title,
                text=text,
                link=entry.link or None,
                publisher=(entry.publisher or publisher)[:200],
                author=entry.author[:200] if entry.author else None,
                published_at=published,
                story_time=min(published or now, now),
            )
        )
    return seen, wordless


def compare(
    seen: Sequence[Sighting], known: Mapping[str, KnownSource], now: datetime
) -> Comparison:
    """What is new and what was reworded, each identity once: the first of a document counts.

    ``known`` is by identity. A document older than the words that are known changes nothing, so
    that an archive can be read again.
    """
    new: dict[str, Sighting] = {}
    changed: dict[str, tuple[KnownSource, Sighting]] = {}
    met: set[str] = set()
    for sighting in seen:
        if sighting.identity in met:
            continue
        met.add(sighting.identity)
        source = known.get(sighting.identity)
        if source is None:
            new[sighting.identity] = sighting
        elif source.digest != sighting.digest and now > source.seen_at:
            changed[sighting.identity] = (source, sighting)
    return Comparison(tuple(new.values()), tuple(changed.values()), len(seen) - len(new))


def split_title(text: str) -> tuple[str, str]:
    """A head to stand as the title, and the rest; nothing is said twice.

    The head is the first sentence, cut between words where it is longer than LONGEST_HEAD.
    """
    text = text.strip()
    head = _SENTENCE_END.split(text, maxsplit=1)[0]
    if len(head) > LONGEST_HEAD:
        head = head[: LONGEST_HEAD + 1].rsplit(None, 1)[0][:LONGEST_HEAD]
    return head.strip(), text[len(head) :].strip()
