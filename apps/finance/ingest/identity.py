"""Which entry is which: the same entry read again has the same identity, whatever else changed.

An entry is known by its guid, else by its link, else by its title and date. Pure.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol
from urllib.parse import SplitResult, urlsplit, urlunsplit

from data_connectors.feed_parsing import FeedEntry
from shared.records import fold_text

_TRACKING = re.compile(
    r"(utm_\w+|ga_\w+|mc_[ce]id|[gfy]clid|dclid|msclkid|igshid|cmpid|cmp|ocid|ref|ref_src)", re.I
)
"""Parameters that say where a reader came from and nothing of what is read."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
_SPACES = re.compile(r"\s+")
_END = re.compile(r"[\s/]+\Z")
"""Slashes and white space at the end of a path: it may come to stand at the end of the link."""


class Worded(Protocol):
    """Whatever has a title and a summary: what a digest is made of."""

    @property
    def title(self) -> str:
        """The headline."""
        ...

    @property
    def summary(self) -> str:
        """What comes after it."""
        ...


def identity_of(entry: FeedEntry) -> str:
    """``guid:``, ``link:`` or ``text:`` and 32 hexadecimal digits, stable within its origin."""
    if entry.guid and entry.guid.strip():
        return f"guid:{_hash(entry.guid.strip())}"
    if entry.link and entry.link.strip():
        return f"link:{_hash(normalised_link(entry.link))}"
    date = entry.published_at.isoformat() if entry.published_at else ""
    return f"text:{_hash(fold_text(entry.title or entry.summary), date)}"


def content_digest(entry: Worded) -> str:
    """32 hexadecimal digits of what an entry says; white space does not count."""
    return _hash(_flat(entry.title), _flat(entry.summary))


def normalised_link(url: str) -> str:
    """The link with all that does not change its page made alike (RFC 3986, section 6.2).

    Scheme and host in lower case, http as https, no ``www.``, default port, fragment, tracking
    parameters or slash at the end; escapes in upper case. What is no address comes back stripped.
    """
    url = url.strip()
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removeprefix("www."), parts.port
    except ValueError:
        return url
    scheme = parts.scheme.lower()
    if scheme not in _DEFAULT_PORTS or not host:
        return url
    default = port is None or port == _DEFAULT_PORTS[scheme]
    if ":" in host:
        host = f"[{host}]"
    place = SplitResult(
        scheme="https",
        netloc=host if default else f"{host}:{port}",
        path=_END.sub("", _upper_escapes(parts.path)),
        query=_upper_escapes(_without_tracking(parts.query)),
        fragment="",
    )
    return urlunsplit(place)


def _without_tracking(query: str) -> str:
    """The parameters in their order, those of campaigns left out."""
    kept = (part for part in query.split("&") if part.strip())
    names = ((part.split("=", 1)[0].strip(), part) for part in kept)
    told = "&".join(part for name, part in names if not _TRACKING.fullmatch(name))
    return told.rstrip()


def _upper_escapes(text: str) -> str:
    return _ESCAPE.sub(lambda found: found.group().upper(), text)


def _flat(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


def _hash(*parts: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode(errors="surrogatepass")
        digest.update(len(raw).to_bytes(8) + raw)
    return digest.hexdigest()
