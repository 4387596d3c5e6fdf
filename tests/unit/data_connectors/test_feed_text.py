from __future__ import annotations

import codecs

import pytest

from data_connectors.feed_text import decode_feed

pytestmark = pytest.mark.unit

TEXT = "<a>Zürich – 5 € “up”</a>"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32-be"),
        TEXT.encode("windows-1252"),
        TEXT.encode("utf-7"),
    ],
)
def test_the_encoding_is_found(content: bytes) -> None:
    claimed = "text/xml; charset=utf-7" if content.isascii() else None
    assert decode_feed(content, claimed) == TEXT


@pytest.mark.parametrize("charset", ["iso-8859-1", "us-ascii", "gbk", "no-such-thing", "utf-16"])
def test_a_header_that_lies_does_not_spoil_utf_8(charset: str) -> None:
    assert decode_feed(TEXT.encode(), f"text/xml; charset={charset}") == TEXT


def test_the_header_counts_before_the_declaration() -> None:
    greek = '<?xml version="1.0" encoding="iso-8859-5"?><a>Αθήνα</a>'.encode("iso-8859-7")
    assert "Αθήνα" in decode_feed(greek, 'text/xml; charset="ISO-8859-7"')
    assert "Αθήνα" not in decode_feed(greek)
    cyrillic = '<?xml version="1.0" encoding="windows-1251"?><a>Рубль</a>'.encode("windows-1251")
    assert "Рубль" in decode_feed(cyrillic, "text/xml")


def test_latin_1_is_read_as_browsers_read_it() -> None:
    assert decode_feed(b"<a>\x93up\x94 \xfc</a>", "text/xml; charset=latin-1") == "<a>“up” ü</a>"


@pytest.mark.parametrize(
    "name", ["idna", "punycode", "undefined", "unicode_escape", "rot13", "hex", "zlib", "x" * 500]
)
def test_codecs_that_are_not_for_documents_are_not_used(name: str) -> None:
    content = f'<?xml version="1.0" encoding="{name}"?><a>\\x41-\xfc</a>'.encode("latin-1")
    assert decode_feed(content, f"text/xml; charset={name}").endswith("<a>\\x41-ü</a>")


def test_what_xml_has_no_place_for_is_dropped() -> None:
    assert decode_feed(b" \r\n<a>\x00\x0b\x1bok\xef\xbf\xbf</a>") == "<a>ok</a>"


def test_bytes_without_meaning_still_give_a_text() -> None:
    assert decode_feed(bytes(range(256)) * 3)
