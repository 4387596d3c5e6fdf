"""The same entry has one identity, another entry another one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance.ingest.identity import content_digest, identity_of, normalised_link
from data_connectors.feed_parsing import FeedEntry

pytestmark = pytest.mark.unit
ENTRY = FeedEntry(
    guid="A-1",
    link="https://www.ledger.example/a?utm_source=rss&id=7",
    title="Acme rises",
    summary="On good news.",
    author=None,
    publisher=None,
    published_at=datetime(2026, 3, 1, tzinfo=UTC),
    updated_at=None,
)


def test_the_guid_decides_whatever_else_changes() -> None:
    other = replace(ENTRY, link="https://elsewhere.example", title="Acme soars", published_at=None)
    assert identity_of(ENTRY) == identity_of(other)
    assert identity_of(ENTRY) != identity_of(replace(ENTRY, guid="A-2"))
    assert identity_of(ENTRY).startswith("guid:")


def test_without_a_guid_the_link_decides_then_title_and_date() -> None:
    linked = replace(ENTRY, guid=None)
    assert identity_of(linked) == identity_of(
        replace(linked, link="http://ledger.example/a/?id=7#top", title="Acme soars")
    )
    bare = replace(ENTRY, guid=" ", link=None)
    assert identity_of(bare) == identity_of(replace(bare, title="ACME  rises", summary="More."))
    assert identity_of(bare) != identity_of(replace(bare, title="Acme falls"))
    later = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=1)
    assert identity_of(bare) != identity_of(replace(bare, published_at=later))


def test_an_identity_of_one_kind_is_never_one_of_another() -> None:
    same = "https://ledger.example/a"
    by_guid = replace(ENTRY, guid=same, link=None)
    by_link = replace(ENTRY, guid=None, link=same)
    assert identity_of(by_guid) != identity_of(by_link)


@given(guid=st.text() | st.none(), link=st.text() | st.none(), title=st.text())
def test_any_entry_has_an_identity_that_fits_its_column(
    guid: str | None, link: str | None, title: str
) -> None:
    assert len(identity_of(replace(ENTRY, guid=guid, link=link, title=title))) <= 64


def test_the_digest_follows_the_words_and_not_the_spaces() -> None:
    assert content_digest(ENTRY) == content_digest(replace(ENTRY, title=" Acme \n rises"))
    assert content_digest(ENTRY) == content_digest(replace(ENTRY, link=None, author="Ann"))
    assert content_digest(ENTRY) != content_digest(replace(ENTRY, summary="On bad news."))
    moved = replace(ENTRY, title="Acme rises On", summary="good news.")
    assert content_digest(ENTRY) != content_digest(moved)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("HTTP://WWW.Ledger.Example:80/a/", "https://ledger.example/a"),
        ("https://ledger.example", "https://ledger.example"),
        ("https://ledger.example/?b=2&utm_medium=x&a=1", "https://ledger.example?b=2&a=1"),
        ("https://ledger.example/%c3%a9?q=%2f", "https://ledger.example/%C3%A9?q=%2F"),
        ("https://ledger.example:8443/a#part", "https://ledger.example:8443/a"),
        ("http://[::1]:80/a", "https://[::1]/a"),
        ("mailto:ann@ledger.example", "mailto:ann@ledger.example"),
        (" http://[broken ", "http://[broken"),
        ("https://ledger.example:x/", "https://ledger.example:x/"),
        ("https://ledger.example/ /\xa0#part", "https://ledger.example"),
        ("https://ledger.example/a /? #part", "https://ledger.example/a"),
        ("https://ledger.example/?a=1& #part", "https://ledger.example?a=1"),
    ],
)
def test_links_to_one_page_are_made_alike(url: str, normal: str) -> None:
    assert normalised_link(url) == normal


@given(st.text())
def test_normalising_twice_changes_nothing(url: str) -> None:
    once = normalised_link(f"https://ledger.example/{url}")
    assert normalised_link(once) == once
