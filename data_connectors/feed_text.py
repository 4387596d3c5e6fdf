"""Bytes of a feed to text, whatever encoding they claim.

RFC 7303 gives the order: byte order mark, charset of the HTTP header, XML declaration, UTF-8.
One thing comes before what is claimed: bytes that are valid UTF-8, and not ASCII alone, are UTF-8.
"""

from __future__ import annotations

import codecs
import re

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FIRST_BYTES = (  # XML 1.0, appendix F: how "<?xm" or "<" looks without a mark
    (b"<\x00\x00\x00", "utf-32-le"),
    (b"\x00\x00\x00<", "utf-32-be"),
    (b"<\x00", "utf-16-le"),
    (b"\x00<", "utf-16-be"),
    (b"\x4c\x6f\xa7\x94", "cp037"),
)
_ASCII_BYTES_ONLY = re.compile(r"utf-?7|iso-?2022.*|hz", re.IGNORECASE)
_NOT_FOR_DOCUMENTS = frozenset(
    "idna mbcs oem punycode raw_unicode_escape undefined unicode_escape".split()
)
_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_DECLARED = re.compile(rb"""\A\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.:-]+)""", re.IGNORECASE)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def decode_feed(content: bytes, content_type: str | None = None) -> str:
    """The document as text, without byte order mark, leading blanks and characters that XML 1.0
    (section 2.2) has no place for. Never fails: what cannot be decoded is replaced.
    """
    return _NOT_XML.sub("", _decoded(content, content_type)).lstrip("\ufeff \t\r\n")


def _decoded(content: bytes, content_type: str | None) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    for start, encoding in _FIRST_BYTES:
        if content.startswith(start):
            return content.decode(encoding, "replace")
    claims = _claims(content, content_type)
    if content.isascii():
        claims = [name for name in claims if _ASCII_BYTES_ONLY.fullmatch(name)]
    else:
        claims = ["utf-8", *claims]
    for name in claims:
        try:
            return content.decode(name)
        except (UnicodeError, LookupError):
            continue
    return content.decode("ascii" if content.isascii() else "windows-1252", "replace")


def _claims(content: bytes, content_type: str | None) -> list[str]:
    """The encodings that the header and the XML declaration name, fit for documents."""
    names = []
    if content_type and (match := _CHARSET.search(content_type)):
        names.append(match[1])
    if declared := _DECLARED.match(content[:1_000]):
        names.append(declared[1].decode("ascii", "replace"))
    known = []
    for name in names:
        try:
            canonical = codecs.lookup(name).name
        except LookupError:
            continue
        if canonical.replace("-", "_") not in _NOT_FOR_DOCUMENTS:
            known.append("windows-1252" if canonical == "iso8859-1" else name)
    return known
