"""What a file is, how its bytes become text, and what stands between its columns."""

from __future__ import annotations

import codecs
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from data_connectors.columns import LABEL_NAMES, TEXT_NAMES
from data_connectors.delimited import Line, read_records
from shared.errors import SettingsError, UnreadableFile

log = logging.getLogger(__name__)

FileKind = Literal["parquet", "json lines", "delimited"]

DELIMITERS = (",", "\t", ";", "|")

_CHUNK = 1 << 20
_SAMPLE = 1 << 16

_BINARY_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook: save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word file: save the sheet as CSV"),
    (b"\x1f\x8b", "compressed with gzip: decompress it first"),
    (b"BZh", "compressed with bzip2: decompress it first"),
    (b"\xfd7zXZ", "compressed with xz: decompress it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd: decompress it first"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"SQLite format 3", "an SQLite database: give sqlite:///PATH and a query instead"),
    (b"\x7fELF", "a program"),
)

_BYTE_ORDER_MARKS: tuple[tuple[bytes, str], ...] = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_SYMBOL_IN_WORD = re.compile(r"[A-Za-zÀ-ɏ](?:[^\w\s\x00-\x7f’‘–—]|[²³¹])[A-Za-zÀ-ɏ]")
"""A symbol where a word goes on: the sign of a wrong guess (``przesy³ka``)."""


def file_kind(path: Path) -> FileKind:
    """What the file holds, by its first bytes before its name.

    Raises UnreadableFile for a missing, unreadable or binary file, and for one whose content
    is not what its name says.
    """
    try:
        with path.open("rb") as file:
            start = file.read(_SAMPLE)
    except FileNotFoundError:
        raise UnreadableFile(f"{path}: there is no such file", path=str(path)) from None
    except OSError as error:
        reason = "it is a folder" if path.is_dir() else error.strerror
        raise UnreadableFile(f"{path} cannot be read: {reason}", path=str(path)) from None
    if start.startswith(b"PAR1"):
        return "parquet"
    for magic, what in _BINARY_STARTS:
        if start.startswith(magic):
            raise UnreadableFile(f"{path} is {what}", path=str(path))
    suffix = path.suffix.lower()
    if suffix in {".parquet", ".pq"} and start:
        raise UnreadableFile(f"{path} is no Parquet file, whatever its name says", path=str(path))
    first = start.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    if suffix in {".jsonl", ".ndjson", ".json"}:
        if first == b"[":
            raise UnreadableFile(
                f"{path} holds one JSON list; write one JSON object a line", path=str(path)
            )
        return "json lines"
    return "json lines" if first == b"{" and suffix not in {".csv", ".tsv"} else "delimited"


def detect_encoding(path: Path) -> str:
    """The encoding of a text file, by a byte order mark, by being UTF-8, or by a guess.

    The whole file is read in pieces. A file that is UTF-8 but for some broken characters stays
    UTF-8. Legacy encodings are guessed by charset-normalizer from the lines that are not plain
    ASCII; Western European wins a tie, unless its words would hold symbols.

    Raises UnreadableFile for a binary file, and for one whose encoding cannot be told.
    """
    with path.open("rb") as file:
        start = file.read(_SAMPLE)
    for mark, name in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return name
    if (wide := _unmarked_utf16(start)) is not None:
        return wide
    if _looks_binary(start):
        raise UnreadableFile(f"{path} is a binary file, not text", path=str(path))
    valid, broken, sample = _utf8_census(path)
    if not broken or valid >= broken:
        return "utf-8"
    encoding = _guess_legacy(sample)
    if encoding is None:
        raise UnreadableFile(
            f"{path}: its encoding cannot be told; name it (for instance cp1252 or gb18030)",
            path=str(path),
        )
    log.info("%s is not UTF-8; it is read as %s", path, encoding)
    return encoding


def _unmarked_utf16(start: bytes) -> str | None:
    """UTF-16 without a mark, when every other byte of the start is almost always zero."""
    if len(start) < 8:
        return None
    even, odd = start[::2].count(0) / len(start[::2]), start[1::2].count(0) / len(start[1::2])
    if odd > 0.6 and even < 0.05:
        return "utf-16-le"
    return "utf-16-be" if even > 0.6 and odd < 0.05 else None


def _looks_binary(start: bytes) -> bool:
    """Whether NUL bytes or control characters are more than a stray one."""
    control = sum(start.count(byte) for byte in range(32) if byte not in b"\t\n\v\f\r\x1b")
    return start.count(0) > max(3, len(start) // 1000) or control > max(3, len(start) // 50)


def _utf8_census(path: Path) -> tuple[int, int, bytes]:
    """Characters beyond ASCII that are UTF-8, bytes that are not, and lines that show them."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
    valid = broken = 0
    sample = bytearray()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if chunk.isascii():
                decoder.decode(chunk)
                continue
            text = decoder.decode(chunk)
            beyond = re.sub(r"[\x00-\x7f]+", "", text)
            escaped = len(re.findall(r"[\udc80-\udcff]", beyond))
            broken += escaped
            valid += len(beyond) - escaped
            for line in chunk.splitlines(keepends=True):
                if len(sample) >= _SAMPLE:
                    break
                if not line.isascii():
                    sample += line[: _SAMPLE - len(sample)]
    return valid, broken, bytes(sample)


def _guess_legacy(sample: bytes) -> str | None:
    from charset_normalizer import from_bytes

    matches = from_bytes(sample)
    best = matches.best()
    if best is None:
        return None
    tied = [match.encoding for match in matches if match.chaos <= best.chaos]
    western = "cp1252" in [*tied, *best.could_be_from_charset]
    for encoding in ["cp1252", *tied] if western else tied:
        if not _SYMBOL_IN_WORD.search(sample.decode(encoding, errors="replace")):
            return encoding
    return best.encoding


def check_delimiter(delimiter: str) -> str:
    """The delimiter as one character (``tab`` and ``\\t`` name the tab), or SettingsError."""
    delimiter = {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '\r\n" ':
        raise SettingsError(f"the delimiter must be one character, not {delimiter!r}")
    return delimiter


def detect_delimiter(lines: Sequence[Line], *, hint: str, wanted: Sequence[str | None]) -> str:
    """The delimiter under which the first lines make the best table.

    Best: its header has the wanted or usual names; then, most rows are as wide as the header;
    then, the widest. ``hint`` wins ties and stands when no delimiter makes two columns.
    """
    names = {name.casefold() for name in wanted if name} or {*TEXT_NAMES, *LABEL_NAMES}
    best, best_score = hint, (0, 0.0, 1)
    for delimiter in sorted(DELIMITERS, key=lambda one: one != hint):
        widths = []
        header: list[str] = []
        for record in read_records(iter(lines), delimiter):
            if record.fields:
                header = header or record.fields
                widths.append(len(record.fields))
        known = sum(field.strip().casefold() in names for field in header)
        same = widths.count(len(header)) / len(widths) if widths else 0.0
        score = (known, same, len(header))
        if len(header) > 1 and score > best_score:
            best, best_score = delimiter, score
    return best
