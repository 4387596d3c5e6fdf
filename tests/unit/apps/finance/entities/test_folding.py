from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.finance.entities.folding import fold

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("Nestlé", "Nestle"),
        (unicodedata.normalize("NFD", "Nestlé"), "Nestle"),
        ("L’Oréal", "L'Oreal"),
        ("Coca‑Cola – Mærsk", "Coca-Cola - Maersk"),
        ("Ørsted", "Orsted"),
        ("Groß", "Gross"),
        ("ﬁnance ½", "finance 1⁄2"),
        ("Apple", "Apple"),
    ],
)
def test_accents_and_typographic_signs_become_plain(text: str, plain: str) -> None:
    assert fold(text).text == plain


def test_places_lead_back_to_the_original() -> None:
    text = "Die Nestle\u0301-Aktie, Mærsk"
    folded = fold(text)
    start = folded.text.index("Nestle")
    assert text[slice(*folded.original(start, start + 6))] == "Nestle\u0301"
    start = folded.text.index("Maersk")
    assert text[slice(*folded.original(start, start + 6))] == "Mærsk"


@given(st.text(max_size=60))
def test_places_grow_and_end_with_the_text(text: str) -> None:
    folded = fold(text)
    places = list(folded.places)
    assert len(places) == len(folded.text) + 1
    assert places == sorted(places)
    assert places[-1] == len(text)


@given(st.text(max_size=60))
def test_folding_keeps_no_accent(text: str) -> None:
    assert not any(unicodedata.combining(character) for character in fold(text).text)
