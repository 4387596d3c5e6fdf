"""Compressed bodies, undone piece by piece: no step makes more than a piece of known size."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Protocol

ACCEPTED_ENCODINGS = "gzip, deflate, br"
"""What ``decoded`` undoes, as the header Accept-Encoding."""

_PIECE = 1 << 16


class BrokenContent(Exception):
    """A body that is not what its Content-Encoding says, or that ends too early."""


class _Decoder(Protocol):
    def pieces(self, data: bytes) -> Iterator[bytes]: ...

    def finish(self) -> None: ...


def decoded(chunks: Iterable[bytes], content_encoding: str) -> Iterator[bytes]:
    """The body in pieces of at most 128 KiB (RFC 9110, section 8.4.1).

    ``content_encoding`` is the header: empty, identity, gzip, x-gzip, deflate or br. Raises
    BrokenContent for another or for more than one, for bytes that do not fit it, and for a
    compressed body that is cut off. The caller counts, and stops when it has enough.
    """
    decoder = _decoder_for(content_encoding.strip().lower())
    for chunk in chunks:
        if chunk:
            yield from decoder.pieces(chunk)
    decoder.finish()


def _decoder_for(name: str) -> _Decoder:
    if name in ("", "identity"):
        return _Identity()
    if name in ("gzip", "x-gzip"):
        return _Zlib(zlib.MAX_WBITS | 16)
    if name == "deflate":
        return _Zlib(zlib.MAX_WBITS)
    if name == "br":
        return _Brotli()
    raise BrokenContent(f"its Content-Encoding {name[:80]!r} was not asked for")


class _Identity:
    def pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]

    def finish(self) -> None:
        pass


class _Zlib:
    """gzip, or deflate, which some servers send without the zlib frame that RFC 9110 asks for."""

    def __init__(self, window: int) -> None:
        self._stream = zlib.decompressobj(window)
        self._may_be_raw = window == zlib.MAX_WBITS
        self._begun = False
        self._held = b""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        if not self._begun:  # two bytes tell whether there is a frame
            self._held = data = self._held + data
            if len(data) < 2:
                return
        while data and not self._stream.eof:
            try:
                piece = self._stream.decompress(data, _PIECE)
            except zlib.error as error:
                if not self._may_be_raw or self._begun:
                    raise BrokenContent(f"its compressed body is broken ({error})") from error
                self._may_be_raw = False
                self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
                continue
            self._begun = True
            data = self._stream.unconsumed_tail
            if piece:
                yield piece

    def finish(self) -> None:
        if self._held and not self._stream.eof:
            raise BrokenContent("its compressed body is cut off")


class _Brotli:
    def __init__(self) -> None:
        import brotli

        self._error = brotli.error
        self._stream = brotli.Decompressor()
        self._begun = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        self._begun = True
        while not self._stream.is_finished():
            try:
                piece = self._stream.process(data, output_buffer_limit=_PIECE)
            except self._error as error:
                raise BrokenContent(f"its compressed body is broken ({error})") from error
            data = b""
            if not piece:
                return
            yield piece

    def finish(self) -> None:
        if self._begun and not self._stream.is_finished():
            raise BrokenContent("its compressed body is cut off")
