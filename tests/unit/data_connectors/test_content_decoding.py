from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Iterator

import brotli
import pytest

from data_connectors.content_decoding import BrokenContent, decoded

pytestmark = pytest.mark.unit

BODY = b"<rss>" + b"0123456789" * 30_000 + b"</rss>"


def raw_deflate(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(body) + stream.flush()


ENCODED = {
    "": BODY,
    "identity": BODY,
    "gzip": gzip.compress(BODY),
    "X-GZIP ": gzip.compress(BODY),
    "deflate": zlib.compress(BODY),
    "Deflate": raw_deflate(BODY),
    "br": brotli.compress(BODY),
}


@pytest.mark.parametrize("name", ENCODED)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_body_comes_back_however_it_is_cut(name: str, size: int) -> None:
    wire = ENCODED[name]
    chunks = [wire[start : start + size] for start in range(0, len(wire), size)]
    assert b"".join(decoded(chunks, name)) == BODY


@pytest.mark.parametrize("name", ["gzip", "deflate", "br"])
def test_a_bomb_is_undone_in_small_pieces(name: str) -> None:
    zeros = bytes(30_000_000)
    bomb = {
        "gzip": lambda: gzip.compress(zeros),
        "deflate": lambda: zlib.compress(zeros),
        "br": lambda: brotli.compress(zeros, quality=1),
    }[name]()
    assert len(bomb) < 100_000
    pieces = decoded([bomb], name)
    first = [len(piece) for piece in itertools.islice(pieces, 20)]
    assert len(first) == 20
    assert max(first) <= 2 << 16


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "Deflate"])
def test_a_body_that_is_cut_off_is_broken(name: str) -> None:
    wire = ENCODED[name]
    for end in (1, len(wire) // 2, len(wire) - 1):
        with pytest.raises(BrokenContent):
            list(decoded([wire[:end]], name))


@pytest.mark.parametrize("name", ["gzip", "br"])
def test_a_body_that_is_not_what_it_says_is_broken(name: str) -> None:
    with pytest.raises(BrokenContent, match="broken"):
        list(decoded([b"<rss>plain after all</rss>"], name))


@pytest.mark.parametrize("name", ["zstd", "gzip, gzip", "compress"])
def test_an_encoding_that_was_not_asked_for_is_refused_unread(name: str) -> None:
    def untouched() -> Iterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(BrokenContent, match="not asked for"):
        list(decoded(untouched(), name))


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", ""])
def test_nothing_stays_nothing(name: str) -> None:
    assert list(decoded([], name)) == []


def test_what_follows_the_end_is_ignored() -> None:
    assert b"".join(decoded([gzip.compress(b"all"), b"garbage"], "gzip")) == b"all"
