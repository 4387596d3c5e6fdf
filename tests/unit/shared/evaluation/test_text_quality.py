"""Characters nobody sees, ends that are cut, and writing that an encoder does not know."""

from __future__ import annotations

import numpy as np
import pytest

from shared.evaluation.text_quality import (
    garbled_characters,
    invisible_characters,
    truncated_texts,
    unknown_writing,
)

pytestmark = pytest.mark.unit


def counts(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_each_invisible_character_is_named_with_its_rows() -> None:
    texts = [
        "plain",
        "zero\u200bwidth",
        "again\u200b and bell\x07",
        "tab\tand\nline",
        "soft\xadhyphen",
    ]
    found = {finding.details["character"]: finding.rows for finding in invisible_characters(texts)}
    assert found == {"U+200B": (1, 2), "U+0007": (2,), "U+00AD": (4,)}
    first = invisible_characters(texts)[0]
    assert first.message == "2 texts hold the character U+200B (zero width space)"
    assert first.severity == "warning"


@pytest.mark.parametrize(
    "text", ["👩\u200d💻 hi", "می\u200cخواهم", "क\u094d\u200dष", "naïve café", "🙂"]
)
def test_joiners_that_writing_needs_are_left_alone(text: str) -> None:
    assert invisible_characters([text]) == []


def test_a_joiner_that_joins_nothing_is_found() -> None:
    assert [finding.rows for finding in invisible_characters(["par\u200dcel", "end\u200d"])] == [
        (0, 1)
    ]


def test_text_decoded_wrongly_is_found() -> None:
    (finding,) = garbled_characters(["fine", "cafÃ© closed", "donâ€™t", "Ã la carte", "l\ufffd"])
    assert finding.rows == (1, 2, 4)
    assert garbled_characters(["café", "Ärger", "São Paulo"]) == []


def test_texts_longer_than_the_encoder_reads() -> None:
    (finding,) = truncated_texts(["short", "longer", "longest"], counts(3, 11, 40), 10)
    assert finding.rows == (1, 2)
    assert finding.details == {"longest": 40, "limit": 10}
    assert '"longest"' in finding.message
    assert truncated_texts(["short"], counts(10), 10) == []


def test_a_script_that_is_spelled_letter_by_letter() -> None:
    texts = ["where is my parcel", "где моя посылка", "он опоздал", "my parcel is late"]
    (finding,) = unknown_writing(texts, counts(4, 13, 9, 4), counts(0, 0, 0, 0))
    assert finding.kind == "unknown_script"
    assert finding.rows == (1, 2)
    assert finding.details["script"] == "Cyrillic"


def test_a_script_that_the_encoder_reads_is_fine() -> None:
    texts = ["где моя посылка", "我的包裹在哪里"]
    assert unknown_writing(texts, counts(3, 7), counts(0, 0)) == []


def test_a_script_of_unknown_pieces() -> None:
    (finding,) = unknown_writing(["我的包裹在哪里"], counts(7), counts(4))
    assert finding.kind == "unknown_script"
    assert "57%" in finding.message


def test_a_language_in_latin_script() -> None:
    texts = ["Wo ist mein Paket und wann kommt es?", "where is my parcel"]
    (finding,) = unknown_writing(texts, counts(13, 4), counts(0, 0))
    assert finding.kind == "unknown_language"
    assert finding.details["language"] == "German"
    assert finding.rows == (0,)


def test_single_texts_of_unknown_words_and_texts_without_words() -> None:
    texts = ["where is my parcel", "zzz 👋👋", "?!", "my parcel is late", "12345"]
    pieces, unknown = counts(4, 4, 2, 4, 2), counts(0, 2, 0, 0, 0)
    findings = unknown_writing(texts, pieces, unknown)
    assert {finding.kind: finding.rows for finding in findings} == {
        "unknown_words": (1,),
        "no_words": (2,),
    }
