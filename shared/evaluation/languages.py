"""Script and language of a text, told from Unicode and from the words that every text uses.

No model: a script is read off the names of the characters, a language off its function words. A
language is named only where the evidence is plain; most short texts stay unnamed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache
from typing import Final

_SCRIPTS: Final = {
    "LATIN": "Latin",
    "CYRILLIC": "Cyrillic",
    "GREEK": "Greek",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "Devanagari",
    "BENGALI": "Bengali",
    "TAMIL": "Tamil",
    "TELUGU": "Telugu",
    "GUJARATI": "Gujarati",
    "THAI": "Thai",
    "HANGUL": "Hangul",
    "CJK": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "ARMENIAN": "Armenian",
    "GEORGIAN": "Georgian",
    "ETHIOPIC": "Ethiopic",
}

_WORD: Final = re.compile(r"[^\W\d_]+")

_FUNCTION_WORDS: Final = {
    "English": "the is are my you your have has can do does did what why how when where with for "
    "not this that been would i it from of and to",
    "German": "der das und ist nicht ich mein meine mir mich wie wo warum kann haben habe wurde "
    "eine einen zu mit auf für wann noch bitte sie ihr es",
    "French": "le les des est pas je mon ma mes une du vous avec pour que qui où pourquoi comment "
    "quand suis avez ai été dans sur et ce la",
    "Spanish": "el los las es está mi mis una con para por que qué cómo dónde cuándo puedo he ha "
    "tengo quiero hola del y se lo la",
    "Italian": "il gli è sono mio mia non una con per che come dove quando perché posso ho del "
    "della di questo vorrei ancora e la",
    "Portuguese": "os as está meu minha não uma com para por que como onde quando posso eu você "
    "foi tenho do da quero ainda e na",
    "Dutch": "het een ik mijn niet wat waar waarom hoe kan heb heeft van met voor naar wanneer "
    "zijn werd nog deze en je",
    "Polish": "nie jest jak gdzie moje moja mój się czy na do dlaczego kiedy mogę mam proszę "
    "został jeszcze z i w co",
    "Swedish": "är jag inte min mitt mina och har hur när varför kan det ett för med som till på "
    "vill var den",
    "Turkish": "bir ve bu ne nasıl neden için ben benim var yok değil mi çok nerede zaman kadar "
    "olarak daha istiyorum",
    "Vietnamese": "tôi của không là và có được cho này làm thế nào khi đã bị một trong ở đâu với",
    "Indonesian": "saya tidak yang di dan apa bagaimana kenapa bisa untuk dengan ini itu sudah "
    "belum dari ke kapan mana akan",
}
_LANGUAGES: Final = {
    name: frozenset(
        word for word in words.split() if len(word) > 1 or (word, name) == ("i", "English")
    )
    for name, words in _FUNCTION_WORDS.items()
}
"""Without single letters, which stand for too much else; the English "i" stays."""
_FEWEST_HITS: Final = 2
_LEAST_SHARE: Final = 0.25


def script_of(text: str) -> str | None:
    """The script of most letters of the text, such as "Latin" or "Han"; None without letters."""
    counts = Counter(map(_script_of_letter, (c for c in text if c.isalpha())))
    return max(counts, key=lambda script: (counts[script], script)) if counts else None


def language_of(text: str) -> str | None:
    """The language whose function words the text uses most; None where that is not plain.

    Plain means two or more of its words, a quarter of all, and more than any other language has.
    """
    words = _WORD.findall(text.casefold())
    hits = {name: sum(word in known for word in words) for name, known in _LANGUAGES.items()}
    (best, most), (_, second) = sorted(hits.items(), key=lambda item: -item[1])[:2]
    plain = most >= _FEWEST_HITS and most > second and most >= _LEAST_SHARE * len(words)
    return best if plain else None


@lru_cache(maxsize=4096)
def _script_of_letter(letter: str) -> str:
    name = unicodedata.name(letter, "")
    for prefix in name.replace("-", " ").split()[:2]:  # "FULLWIDTH LATIN", "HALFWIDTH KATAKANA"
        if prefix in _SCRIPTS:
            return _SCRIPTS[prefix]
    return "another script"
