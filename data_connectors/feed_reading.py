"""feedparser, kept to work that grows with the size of a document.

``feedparser.parse`` opens a file when its bytes happen to be a path, takes an address for an
order to fetch, and searches an author of a million characters for e-mail addresses in quadratic
time. It also breaks off at a number that is none, in places that nobody reads. So its two parsers,
the strict one and the lenient one for broken XML, are driven here directly, as
``feedparser.parse`` does (feedparser 6), over text that is decoded already.
"""

from __future__ import annotations

import contextlib
import functools
import io
import xml.sax  # nosec B406
import xml.sax.handler  # nosec B406
from typing import Any
from xml.parsers import expat

from shared.errors import NotAFeed

MOST_ENTRIES = 20_000
"""Entries of one document; one with more is refused."""

MOST_ELEMENTS = 500_000
"""Elements of one document; one with more is refused."""

LARGEST_BROKEN = 4 * 2**20
"""Bytes of a document that is not well-formed XML; a larger one is not repaired."""

_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What feedparser's code for single elements raises when these are not as it expects."""

_LONGEST_AUTHOR = 500
_MOST_TAGS = 100


class RawFeed:
    """What feedparser found: ``feed`` and ``entries`` are its dictionaries.

    ``fault`` says what was wrong with the XML, where feedparser read it all the same (its bozo).
    """

    def __init__(self, parser: Any, version: str, fault: str | None) -> None:
        self.feed: dict[str, Any] = parser.feeddata
        self.entries: list[dict[str, Any]] = parser.entries
        self.version = version or str(parser.version)
        self.fault = fault


def read_feed(text: str, url: str) -> RawFeed:
    """The feed in a document. ``url`` is what relative links are relative to.

    Raises NotAFeed for entity declarations, for more than MOST_ENTRIES entries or MOST_ELEMENTS
    elements, for broken XML of more than LARGEST_BROKEN bytes, and for what defeats feedparser.
    Opens no file and no address.
    """
    from feedparser.sanitizer import replace_doctype
    from feedparser.urls import make_safe_absolute_uri

    document = text.encode()
    _refuse_entities(document)
    version, document, entities = replace_doctype(_with_plain_declaration(document))
    if entities:
        _refuse_declared("entities")
    strict, lenient = _parsers()
    base = make_safe_absolute_uri(url)
    fault = None
    parser = _prepared(strict(base, None, "utf-8"))
    try:
        _run_strictly(parser, document)
    except (xml.sax.SAXException, *_FAULTS) as error:
        fault = str(error)
        if len(document) > LARGEST_BROKEN:
            raise NotAFeed(
                f"the document is not well-formed XML ({fault}), and with"
                f" {len(document):,} bytes too large to be repaired",
            ) from error
        parser = _prepared(lenient(base, None, "utf-8", {}))
        try:
            parser.feed(document.decode("utf-8", "replace"))
        except _FAULTS as second:
            raise NotAFeed(f"the document cannot be made sense of ({fault}; {second})") from second
    return RawFeed(parser, version or "", fault)


def _with_plain_declaration(document: bytes) -> bytes:
    """The document with a declaration that tells its present encoding, as feedparser makes it."""
    declaration = b"<?xml version='1.0' encoding='utf-8'?>"
    if document.startswith(b"<?xml") and (end := document.find(b">")) > 0:
        return declaration + document[end + 1 :]
    return declaration + b"\n" + document


def _prepared(parser: Any) -> Any:
    parser.resolve_relative_uris = False
    parser.sanitize_html = False
    return parser


def _run_strictly(parser: Any, document: bytes) -> None:
    reader = xml.sax.make_parser()  # nosec B317
    reader.setFeature(xml.sax.handler.feature_namespaces, True)
    reader.setFeature(xml.sax.handler.feature_external_ges, False)
    reader.setContentHandler(parser)
    reader.setErrorHandler(parser)
    source = xml.sax.xmlreader.InputSource()
    source.setByteStream(io.BytesIO(document))
    reader.parse(source)


@functools.cache
def _parsers() -> tuple[Any, ...]:
    """The strict and the lenient parser of feedparser, each with its excesses cut."""
    from feedparser.api import LooseFeedParser, StrictFeedParser

    class Bounded:
        # a guid is a name, not an address: it stays as it is when the feed moves
        can_be_relative_uri = StrictFeedParser.can_be_relative_uri - {"id"}
        entries: list[dict[str, Any]]
        elements = 0

        def _sync_author_detail(self, key: str = "author") -> None:
            context: dict[str, Any] = self._get_context()  # type: ignore[attr-defined]
            named = context.get(key)
            if isinstance(named, str) and len(named) > _LONGEST_AUTHOR:
                context[key] = named[:_LONGEST_AUTHOR]
            super()._sync_author_detail(key)  # type: ignore[misc]

        def _add_tag(self, term: Any, scheme: Any, label: Any) -> None:
            context: dict[str, Any] = self._get_context()  # type: ignore[attr-defined]
            if len(context.get("tags") or ()) < _MOST_TAGS:
                super()._add_tag(term, scheme, label)  # type: ignore[misc]

        def unknown_starttag(self, tag: str, attrs: Any) -> None:
            self.elements += 1
            if len(self.entries) > MOST_ENTRIES:
                raise NotAFeed(f"the document holds more than {MOST_ENTRIES:,} entries")
            if self.elements > MOST_ELEMENTS:
                raise NotAFeed(f"the document holds more than {MOST_ELEMENTS:,} elements")
            super().unknown_starttag(tag, attrs)  # type: ignore[misc]

        def handle_charref(self, ref: str) -> None:
            with contextlib.suppress(ValueError, OverflowError):  # no such character
                super().handle_charref(ref)  # type: ignore[misc]

    return tuple(
        type(f"Bounded{parser.__name__}", (Bounded, parser), _forgiving(parser))
        for parser in (StrictFeedParser, LooseFeedParser)
    )


def _forgiving(parser: type) -> dict[str, Any]:
    """The methods for single elements, so that what one raises is no more than a missing method.

    For that feedparser has a way out of its own: it keeps the element as one that it does not know.
    """

    def forgiving(method: Any) -> Any:
        @functools.wraps(method)
        def handle(*arguments: Any) -> Any:
            try:
                return method(*arguments)
            except _FAULTS as error:
                raise AttributeError(str(error)) from error

        return handle

    return {
        name: forgiving(getattr(parser, name))
        for name in dir(parser)
        if name.startswith(("_start_", "_end_"))
    }


class _PrologueEnds(Exception):
    pass


def _refuse_entities(document: bytes) -> None:
    """Raises NotAFeed when the DOCTYPE declares entities; a plain DOCTYPE is fine.

    Entities of entities make a few lines expand to gigabytes, and external ones name files of
    this machine (OWASP, XML External Entity Prevention).
    """
    parser = expat.ParserCreate("utf-8")

    def entity(name: str, *_: Any) -> None:
        _refuse_declared(name)

    def element(*_: Any) -> None:
        raise _PrologueEnds

    parser.EntityDeclHandler = entity
    parser.StartElementHandler = element
    try:
        parser.Parse(document, True)
    except (_PrologueEnds, expat.ExpatError):
        return


def _refuse_declared(name: str) -> None:
    raise NotAFeed(
        f"the document declares entities of its own ({name[:40]}), which feeds have no need of"
        " and which can expand without bound",
    )
