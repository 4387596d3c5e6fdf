"""A word that nobody knows is read as the nearest one that somebody does. Imports no torch.

Known are the words of the training texts and the whole words of the encoder's own vocabulary. A
word that is neither, nor a known word with an ending, and one typing error away from a known one,
is read as that: as a word of the training texts where there is one (the most frequent), else as the
vocabulary's (the most frequent, too). Texts are stored, shown and compared as they were written;
only the encoder reads the other word.

Left alone are words beside digits, dots, apostrophes and the like, abbreviations, what stands in
square brackets, and a name (a capital inside a sentence) that is near no word of the training
texts. An error that makes another known word ("form" for "from") is not found.

Source: Damerau, "A technique for computer detection and correction of spelling errors", 1964 (four
of five errors are one letter wrong, lost, added, or two swapped); Pruthi et al., "Combating
adversarial misspellings with robust word recognition", 2019, arXiv:1905.11268 (a word recogniser
before the classifier, with a back-off from the domain's words to general ones).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import EncoderError
from shared.finetuning.augmentation import outside_brackets

FILE = "triptych_spelling.json"
WORD = re.compile(r"(?<![\w@./&'’#-])[^\W\d_]{3,24}(?![\w@/&#]|[.'’-]\w)")
"""Letters alone, from space to space but for what ends a word."""
MOST_WORDS = 512
"""Words of a text that are looked at: no encoder here reads so many."""
MOST_LETTERS = 64
"""An alphabet with more is not one of letters that are mistyped one by one."""
GENERAL_LENGTH = 4
"""A shorter word is read as another of the training texts' alone: too many are near it."""
_ENDINGS = ("s", "es", "d", "ed", "er", "ers", "ing", "ings", "ly", "al", "ment", "able")


@dataclass(frozen=True, slots=True)
class Spelling:
    """``words`` are those of the training texts with how often they stand there, ``general`` those
    of an encoder with their ranks, the lower the more frequent; all in small letters.
    """

    words: Mapping[str, int]
    general: Mapping[str, int] = field(default_factory=dict)
    _letters: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        letters = {letter for word in self.words for letter in word}
        alphabet = "".join(sorted(letters)) if len(letters) <= MOST_LETTERS else ""
        object.__setattr__(self, "_letters", alphabet)

    @classmethod
    def learnt(
        cls, texts: Sequence[str], vocabulary: Mapping[str, int], earlier: Spelling | None = None
    ) -> Spelling:
        """From training texts, those behind an ``earlier`` one included, and a vocabulary.

        Of "isn't" the word "isnt" is known, which people write as well.
        """
        counts = Counter({} if earlier is None else earlier.words)
        for text in texts:
            found = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)*", text.lower())
            counts.update(word.replace("'", "").replace("’", "") for word in found)
        return cls(dict(sorted(counts.items())), whole_words(vocabulary))

    def read(self, text: str) -> str:
        """The text as the encoder reads it, word for word."""
        left = MOST_WORDS

        def replaced(match: re.Match[str]) -> str:
            nonlocal left
            left -= 1
            starts = not match.string[: match.start()].strip(" \"'(-\n")
            starts = starts or match.string[: match.start()].rstrip()[-1:] in {".", "!", "?", ":"}
            return self._word(match[0], starts) if left >= 0 else match[0]

        return outside_brackets(text, lambda part: WORD.sub(replaced, part))

    def _word(self, word: str, starts_sentence: bool) -> str:
        small = word.lower()
        if self._is_known(small) or word[1:] != small[1:]:
            return word
        near = _one_error_away(small, self._letters)
        own = [other for other in near if other in self.words and len(other) > 2]
        if own:
            found = max(own, key=lambda other: (self.words[other], other))
        else:
            may = len(small) >= GENERAL_LENGTH and (starts_sentence or word == small)
            general = [o for o in near if o in self.general and len(o) >= GENERAL_LENGTH]
            if not may or not general:
                return word
            found = min(general, key=lambda other: self.general[other])
        return found.capitalize() if word != small else found

    def _is_known(self, word: str) -> bool:
        """Whether the word, or the word before its ending, is known."""
        if word in self.words or word in self.general:
            return True
        for ending in _ENDINGS:
            stem = word.removesuffix(ending)
            if stem == word or len(stem) < 3:
                continue
            stems = {stem, stem + "e"} | ({stem[:-1]} if stem[-1] == stem[-2] else set())
            if any(len(s) > 2 and (s in self.words or s in self.general) for s in stems):
                return True
        return False

    def save(self, folder: Path) -> None:
        """Write the words of the training texts; the others are the encoder's own."""
        text = json.dumps({"words": dict(self.words)}, ensure_ascii=False)
        (folder / FILE).write_text(text, encoding="utf-8")


def load_spelling(folder: Path, vocabulary: Callable[[], Mapping[str, int]]) -> Spelling | None:
    """The spelling of an encoder's folder; None where it has none. EncoderError for a broken one.

    ``vocabulary`` gives the encoder's, and is asked where it is needed alone.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        words = {str(k): int(v) for k, v in json.loads(path.read_text("utf-8"))["words"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise EncoderError(f"{path} cannot be read: {error}", path=str(path)) from error
    return Spelling(words, whole_words(vocabulary()))


def whole_words(vocabulary: Mapping[str, int]) -> dict[str, int]:
    """The words of letters that a vocabulary holds whole, each with the lowest of its ids.

    Pieces that go on a word are left out, as WordPiece ("##ing"), byte-level BPE and SentencePiece
    write them.
    """
    starts = next(
        (mark for mark in ("\u0120", "\u2581") if any(t.startswith(mark) for t in vocabulary)), ""
    )
    found: dict[str, int] = {}
    for token, number in vocabulary.items():
        if not token.startswith(starts):
            continue
        word = token.removeprefix(starts).lower()
        if word.isalpha() and number < found.get(word, number + 1):
            found[word] = number
    return found


def _one_error_away(word: str, letters: str) -> set[str]:
    """What is one typing error away: a letter lost, added or wrong, or two neighbours swapped."""
    parts = [(word[:place], word[place:]) for place in range(len(word) + 1)]
    lost = {before + after[1:] for before, after in parts if after}
    swapped = {b + a[1] + a[0] + a[2:] for b, a in parts if len(a) > 1}
    wrong = {before + letter + after[1:] for before, after in parts if after for letter in letters}
    added = {before + letter + after for before, after in parts for letter in letters}
    return (lost | swapped | wrong | added) - {word}
