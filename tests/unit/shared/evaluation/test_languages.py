"""Scripts by their characters, languages by their function words; silence where it is not plain."""

from __future__ import annotations

import pytest

from shared.evaluation.languages import language_of, script_of

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("where is my parcel", "Latin"),
        ("Ｗｈｅｒｅ", "Latin"),
        ("где моя посылка", "Cyrillic"),
        ("我的包裹在哪里", "Han"),
        ("これはどこですか", "Kana"),
        ("내 소포", "Hangul"),
        ("أين طردي", "Arabic"),
        ("मेरा पार्सल", "Devanagari"),
        ("parcel посылка где", "Cyrillic"),
        ("123 🙂!", None),
    ],
)
def test_the_script_of_most_letters(text: str, script: str | None) -> None:
    assert script_of(text) == script


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Where is the parcel that I ordered?", "English"),
        ("Ich möchte die Schuhe zurückgeben, die ich gekauft habe", "German"),
        ("Où est mon colis ?", "French"),
        ("¿Por qué se ha retrasado otra vez la entrega?", "Spanish"),
        ("Gdzie jest moja paczka?", "Polish"),
        ("parcel lost", None),
        ("", None),
        ("asdf qwer zxcv", None),
        ("i need help getting a w-2", None),
    ],
)
def test_a_language_is_named_where_it_is_plain(text: str, language: str | None) -> None:
    assert language_of(text) == language
