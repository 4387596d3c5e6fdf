from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from data_connectors.feed_parsing import LONGEST_SUMMARY, FeedEntry, parse_feed
from data_connectors.feed_reading import LARGEST_BROKEN, MOST_ELEMENTS, MOST_ENTRIES
from shared.errors import NotAFeed

pytestmark = pytest.mark.unit


def rss(items: str, channel: str = "", version: str = "2.0", head: str = "") -> bytes:
    namespaces = (
        'xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'
        ' xmlns:content="http://purl.org/rss/1.0/modules/content/"'
    )
    return (
        f'<?xml version="1.0"?>{head}<rss version="{version}" {namespaces}><channel>'
        f"<title>Harbour &amp;amp; Trade</title>{channel}{items}</channel></rss>"
    ).encode()


def only(content: bytes, **options: str) -> FeedEntry:
    parsed = parse_feed(content, **options)
    assert parsed.rejects == ()
    [entry] = parsed.entries
    return entry


def test_an_rss_item_in_full() -> None:
    item = """<item><guid isPermaLink="false"> tag:1 </guid><link>/a?x=1&amp;y=2</link>
      <title>Nordwind AG &lt;b&gt;wins&lt;/b&gt; an order</title>
      <description><![CDATA[<p>Worth <i>40</i> million.</p><script>x()</script>]]></description>
      <dc:creator>Ida &lt;b&gt;Berg</dc:creator><source url="http://w.example/rss">The Wire</source>
      <pubDate>Mon, 02 Mar 2026 08:30:00 +0100</pubDate></item>"""
    parsed = parse_feed(rss(item), url="https://news.example/feed.xml")
    assert parsed.title == "Harbour & Trade"
    assert parsed.entries == (
        FeedEntry(
            guid="tag:1",
            link="https://news.example/a?x=1&y=2",
            title="Nordwind AG wins an order",
            summary="Worth 40 million.",
            author="Ida Berg",
            publisher="The Wire",
            published_at=datetime(2026, 3, 2, 7, 30, tzinfo=UTC),
            updated_at=None,
        ),
    )


def test_an_atom_entry_in_full() -> None:
    entry = only(
        b"""<feed xmlns="http://www.w3.org/2005/Atom"><title>F</title><entry>
        <id>urn:2</id><link rel="alternate" href="https://a.example/2"/>
        <title type="html">Up &amp;lt;5&amp;gt; &amp;amp; more</title>
        <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Only <b>content</b></div>
        </content><author><name>Ann</name><email>ann@a.example</email></author>
        <published>2026-03-02T08:30:00Z</published><updated>2026-03-02T09:00:00-01:00</updated>
        </entry></feed>"""
    )
    assert (entry.title, entry.summary) == ("Up <5> & more", "Only content")
    assert entry.author == "Ann (ann@a.example)"
    assert entry.updated_at == datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert entry.link == "https://a.example/2"


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "mailto:a@b.c",
             "https://", "http://a.example/" + "x" * 3_000]
)  # fmt: skip
def test_a_link_that_a_reader_cannot_follow_is_none(link: str) -> None:
    assert only(rss(f"<item><title>t</title><link>{link}</link></item>")).link is None


@pytest.mark.parametrize("url", ["http://old.example/feed", "https://new.example/rss/feed"])
def test_a_guid_stays_as_it_is_when_the_feed_moves(url: str) -> None:
    entry = only(rss("<item><guid>12345</guid><title>t</title></item>"), url=url)
    assert (entry.guid, entry.link) == ("12345", None)
    entry = only(rss("<item><guid>http://x.example/1</guid><title>t</title></item>"), url=url)
    assert entry.guid == entry.link == "http://x.example/1"


def test_titles_that_are_plain_text_stay_as_they_are() -> None:
    assert only(rss("<item><title>AT&amp;T: if x &lt; y</title></item>")).title == "AT&T: if x < y"


def test_one_bad_entry_is_rejected_with_its_number_and_the_others_stay() -> None:
    parsed = parse_feed(
        rss(
            "<item><title>one</title></item>"
            "<item><guid isPermaLink='false'>empty</guid><title> </title></item>"
            "<item><description>three</description><pubDate>someday</pubDate></item>"
        )
    )
    assert [(entry.title, entry.summary) for entry in parsed.entries] == [
        ("one", ""),
        ("", "three"),
    ]
    [reject] = parsed.rejects
    assert (reject.line, reject.row) == (2, {"id": "empty"})
    assert "neither a title nor a text" in reject.reason


@pytest.mark.parametrize(
    "date", ["0000-00-00", "0001-01-01T00:00:00Z", "9999-99-99T99:99:99Z", "Mon, 32 Foo 2026", "-1"]
)
def test_a_date_that_cannot_be_read_is_none(date: str) -> None:
    entry = only(rss(f"<item><title>t</title><pubDate>{date}</pubDate></item>"))
    assert entry.published_at is None


def test_long_texts_are_cut() -> None:
    entry = only(rss(f"<item><title>t</title><description>{'a ' * 50_000}</description></item>"))
    assert len(entry.summary) == LONGEST_SUMMARY


@pytest.mark.parametrize(
    ("channel", "seconds"),
    [
        ("", None),
        ("<ttl>30</ttl>", 1_800),
        ("<ttl>often</ttl>", None),
        ("<ttl>0</ttl>", None),
        ("<ttl>-5</ttl>", None),
        ("<ttl>999999999</ttl>", None),
        ("<sy:updatePeriod>hourly</sy:updatePeriod>", 3_600),
        (
            "<sy:updatePeriod> daily </sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency>",
            21_600,
        ),
        ("<sy:updatePeriod>rarely</sy:updatePeriod>", None),
    ],
)
def test_how_often_a_feed_says_that_it_changes(channel: str, seconds: int | None) -> None:
    assert parse_feed(rss("", channel)).interval_seconds == seconds


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\x00 ", "empty"),
        (b"<!DOCTYPE html><html><body><p>Not found</p></body></html>", "HTML page"),
        (b"\xef\xbb\xbf<!-- x -->\n<HTML><item>x</item></HTML>", "HTML page"),
        (b'{"version": "https://jsonfeed.org/version/1"}', "JSON"),
        (b"Too many requests", "no XML"),
        (b"a list of <feed> and <rss> words", "neither entries nor a mark"),
        (b"<note><to>x</to></note>", "neither entries nor a mark"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "no XML"),
        (
            b'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"/>',
            "sitemap",
        ),
    ],
)
def test_what_is_no_feed_is_said_to_be_none(content: bytes, reason: str) -> None:
    with pytest.raises(NotAFeed, match=reason) as caught:
        parse_feed(content, url="https://x.example/feed")
    assert "https://x.example/feed" in caught.value.message


def test_a_feed_without_entries_is_a_feed() -> None:
    assert parse_feed(rss("")).entries == ()


BOMB = "<!DOCTYPE rss [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>"


@pytest.mark.parametrize(
    "head",
    [
        BOMB,
        '<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE rss [<!ENTITY % p "x">]>',
        "<!-- <rss --><!DOCTYPE rss [\n<!ENTITY a 'ha'>]>",
        "<?pi <rss ?><!DOCTYPE rss SYSTEM '<!--' [<!ENTITY a 'ha'>]><!-- -->",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("broken", [False, True])
def test_entity_declarations_are_refused(head: str, encoding: str, broken: bool) -> None:
    document = rss("<item><title>t</title></item>", head=head).decode()
    document = document.removesuffix("</rss>") if broken else document
    with pytest.raises(NotAFeed, match="declares entities"):
        parse_feed(document.encode(encoding))


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://n.example/d">',
        "<!DOCTYPE rss [<!ELEMENT rss ANY>]>",
        "<!-- <!ENTITY a 'ha'> -->",
    ],
)
def test_a_plain_doctype_is_read_and_its_address_is_not_fetched(head: str) -> None:
    entry = only(rss("<item><title>t &lt;!ENTITY a 'ha'></title></item>", head=head))
    assert entry.title == "t"


def test_the_content_is_never_taken_for_a_path_or_an_address(tmp_path: Path) -> None:
    feed = tmp_path / "feed.xml"
    feed.write_bytes(rss("<item><title>secret</title></item>"))
    for content in (str(feed), f"file://{feed}", "http://127.0.0.1:9/feed", f"<{feed}"):
        with pytest.raises(NotAFeed):
            parse_feed(content.encode())


def test_broken_xml_is_read_and_the_fault_is_told() -> None:
    parsed = parse_feed(rss("<item><title>Up & away &nbsp; 5 %</title></item>")[:-16])
    assert parsed.entries[0].title == "Up & away 5 %"
    assert parsed.fault is not None
    assert parse_feed(rss("")).fault is None


@pytest.mark.parametrize(
    "oddity",
    [
        "<image><width>wide</width><height></height></image>",
        "<textInput><title>x</title></textInput><name>y</name>",
        '<cc:license xmlns:cc="http://web.resource.org/cc/"/>',
        '<georss:point xmlns:georss="http://www.georss.org/georss">here</georss:point>',
        '<psc:chapter xmlns:psc="http://podlove.org/simple-chapters" start="soon"/>',
        "<guid>&#99999999;&#x110000;</guid>",
    ],
)
@pytest.mark.parametrize("end", ["", "<", "<![if x]>"])
def test_oddities_beside_the_entries_do_not_sink_the_feed(oddity: str, end: str) -> None:
    items = f"<item><title>one</title>{oddity}</item><item><title>two</title></item>{end}"
    assert [entry.title for entry in parse_feed(rss(items, oddity)).entries][:2] == ["one", "two"]


def test_broken_xml_beyond_a_size_is_not_repaired() -> None:
    with pytest.raises(NotAFeed, match="too large to be repaired"):
        parse_feed(b"<rss version='2.0'><!--" + b"x" * LARGEST_BROKEN + b"--><item>")


def test_more_entries_or_elements_than_a_feed_has_are_refused() -> None:
    with pytest.raises(NotAFeed, match=f"{MOST_ENTRIES:,} entries"):
        parse_feed(rss("<item/>" * (MOST_ENTRIES + 2)))
    with pytest.raises(NotAFeed, match=f"{MOST_ENTRIES:,} entries"):
        parse_feed(rss("<item/>" * (MOST_ENTRIES + 2))[:-6])
    assert MOST_ELEMENTS > MOST_ENTRIES * 20


@pytest.mark.parametrize("tag", ["author", "dc:creator", "dc:publisher", "managingEditor"])
@pytest.mark.parametrize("broken", [False, True])
def test_an_author_without_end_costs_no_time(tag: str, broken: bool) -> None:
    content = rss(f"<item><title>t</title><{tag}>{'&#97;' * 200_000}</{tag}></item>")
    started = time.process_time()
    parse_feed(content[:-6] if broken else content)
    assert time.process_time() - started < 3.0


def test_categories_without_number_cost_no_time() -> None:
    categories = "".join(f"<category>c{n}</category>" for n in range(20_000))
    started = time.process_time()
    assert only(rss(f"<item><title>t</title>{categories}</item>")).title == "t"
    assert time.process_time() - started < 3.0


def test_the_charset_of_the_header_is_used() -> None:
    content = "<rss version='2.0'><channel><item><title>Ωμέγα</title></item></channel></rss>"
    entry = only(content.encode("iso-8859-7"), content_type="text/xml; charset=iso-8859-7")
    assert entry.title == "Ωμέγα"
