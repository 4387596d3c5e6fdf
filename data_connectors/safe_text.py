"""HTML and what claims to be text, reduced to plain text that is safe to show.

Titles and summaries of feeds hold text, HTML, and HTML written as text once or twice over. What
comes out holds no tag, no script or style, no control character and none that turns the reading
direction of what follows (Unicode TR36, section 2.6), in NFC, on one line. Work grows with the
length of the text only, whatever it holds.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator

LONGEST_MARKUP = 100_000
"""Characters of markup that are read; the rest is cut."""

_TAG = re.compile(
    r"""<(/?)([A-Za-z][^\s<>/"']*+)(?:[^<>"']++|"[^"]{0,2000}+"|'[^']{0,2000}+')*+>"""
)
_LAX_TAG = re.compile(r"<(/?)([A-Za-z][^\s<>/\"']*+)[^<>]*+>?")
_TAG_LIKE = re.compile(r"<(?=[A-Za-z/!?])")
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd mark q s samp small"
    " span strike strong sub sup time tt u var wbr".split()
)
_DROPPED_WITH_CONTENT = frozenset(
    "audio canvas head iframe math noscript object script style svg template textarea video".split()
)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_ROUNDS = 3


def plain_text(markup: str) -> str:
    """The text that a reader of the HTML would see, on one line.

    HTML that was escaped twice is reduced twice. What still looks like a tag after that is
    text that speaks of one: its ``<`` becomes ``‹``.
    """
    text = markup[:LONGEST_MARKUP]
    for _ in range(_ROUNDS):
        if "<" in text or "&" in text:
            text = "".join(_visible(text))
        if not _TAG_LIKE.search(text):
            break
    return tidy_text(_TAG_LIKE.sub("‹", tidy_text(text)))


def tidy_text(text: str) -> str:
    """The text in NFC on one line, without characters that cannot be seen."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))
    return " ".join(_INVISIBLE.sub("", text).split())


def safe_text(text: str) -> str:
    """What claims to be plain text: tidied, and reduced like HTML only where it holds tags."""
    return plain_text(text) if _TAG_LIKE.search(text) else tidy_text(text[:LONGEST_MARKUP])


def _visible(markup: str) -> Iterator[str]:
    """The stretches of text between the tags, entities decoded."""
    position = 0
    while (start := markup.find("<", position)) >= 0:
        yield html.unescape(markup[position:start])
        if markup.startswith("<!--", start):
            end = markup.find("-->", start + 4)
            if end < 0:
                return
            position = end + 3
        elif markup.startswith("<![CDATA[", start):
            end = markup.find("]]>", start + 9)
            end = len(markup) if end < 0 else end
            yield html.unescape(markup[start + 9 : end])
            position = end + 3
        elif markup.startswith(("<!", "<?"), start):
            end = markup.find(">", start)
            if end < 0:
                return
            position = end + 1
        elif tag := (_TAG.match(markup, start) or _LAX_TAG.match(markup, start)):
            position = tag.end()
            name = tag[2].lower()
            if name in _DROPPED_WITH_CONTENT and not tag[1] and not tag[0].endswith("/>"):
                close = re.compile(rf"</{name}(?=[\s/>])[^>]*+>?", re.IGNORECASE)
                found = close.search(markup, position)
                if found is None:
                    return
                position = found.end()
            if name not in _INLINE:
                yield " "
        else:
            yield " " if markup.startswith("</", start) else "<"
            position = start + (2 if markup.startswith("</", start) else 1)
    yield html.unescape(markup[position:])
