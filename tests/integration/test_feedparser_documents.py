"""Every document of feedparser's own tests and every captured feed, against feedparser itself."""

from __future__ import annotations

import io
import random
import time
import warnings
from pathlib import Path

import pytest

from data_connectors.feed_parsing import ParsedFeed, parse_feed
from shared.errors import NotAFeed

pytestmark = pytest.mark.integration

DECLARE_ENTITIES = {"rss/entity_in_doctype.xml", "rdf/doctype_contains_entity_decl.xml"}


def entries_of_feedparser(content: bytes) -> int:
    import feedparser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return len(feedparser.parse(io.BytesIO(content)).entries)


def ours(content: bytes) -> ParsedFeed | NotAFeed:
    try:
        return parse_feed(content, url="http://news.example/feed")
    except NotAFeed as error:
        return error


def test_the_documents_of_feedparser_give_as_many_entries_as_feedparser_finds(
    public_data: Path,
) -> None:
    """Refused are the two documents that declare entities, and nothing else that has entries."""
    folder = public_data / "feedparser_tests"
    refused, different, slow, no_feeds = set(), {}, {}, []
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        name, content = path.relative_to(folder).as_posix(), path.read_bytes()
        expected = entries_of_feedparser(content)
        started = time.process_time()
        outcome = ours(content)
        if (seconds := time.process_time() - started) > 2.0:
            slow[name] = seconds
        if isinstance(outcome, NotAFeed):
            if "declares entities" in outcome.message:
                refused.add(name)
            elif expected:
                different[name] = (expected, outcome.message)
            else:
                no_feeds.append(name)
        elif len(outcome.entries) + len(outcome.rejects) != expected:
            different[name] = (expected, str(len(outcome.entries) + len(outcome.rejects)))
    assert len(files) == 1_750
    assert (different, slow) == ({}, {})
    assert refused == DECLARE_ENTITIES
    assert len(no_feeds) < 15


def test_captured_feeds_are_read_whole(public_data: Path) -> None:
    for path in sorted((public_data / "finance_feeds").rglob("*.xml")):
        content = path.read_bytes()
        outcome = ours(content)
        if path.name == "bloomberg.xml":
            assert isinstance(outcome, NotAFeed)
            assert "sitemap" in outcome.message
            continue
        assert isinstance(outcome, ParsedFeed)
        assert outcome.rejects == ()
        assert len(outcome.entries) == entries_of_feedparser(content)
        assert all(entry.title and entry.published_at for entry in outcome.entries), path


@pytest.mark.parametrize(
    ("feed", "read", "distinct"), [("wsj_econ", 2_160, 130), ("economist", 6_000, 115)]
)
def test_snapshots_hold_the_distinct_stories_that_were_counted(
    public_data: Path, feed: str, read: int, distinct: int
) -> None:
    entries = [
        entry
        for path in sorted((public_data / "finance_feeds" / "polls" / feed).glob("*.xml"))
        for entry in parse_feed(path.read_bytes()).entries
    ]
    assert len(entries) == read
    assert len({entry.guid or entry.link for entry in entries}) == distinct


DAMAGE = [
    b"<", b">", b"&", b"<![CDATA[", b"]]>", b"<!--", b"</item>", b"<item>", b"\xff", b"\x00", b"\"",
    b"<!DOCTYPE", b"&#99999999;", b"&#x;", b"<?", b"<!", b"<![", b"<author>", b"mode='base64'",
    b"xml:base='http://['", b"<title type='xhtml'>", b"<pubDate>", b"<source>", b"</entry>",
]  # fmt: skip


def test_damaged_documents_crash_nothing(public_data: Path) -> None:
    """Documents with bytes put in, taken out and moved: read or refused, nothing else."""
    draw = random.Random(20_260_301)
    folder = public_data / "feedparser_tests"
    originals = [path.read_bytes() for path in sorted(folder.rglob("*.xml"))]
    read = 0
    for _ in range(3_000):
        content = bytearray(draw.choice(originals))
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(len(content) + 1)
            if draw.random() < 0.7:
                content[at:at] = draw.choice(DAMAGE)
            else:
                del content[at : at + draw.randint(1, 30)]
        read += isinstance(ours(bytes(content)), ParsedFeed)
    assert 2_000 < read < 3_000
