"""The frozen records that travel from left to right through Triptych.

connector -> Example -> Splits -> fine-tune -> ModelVersion -> promote -> Prediction -> Feedback

Each record validates itself when it is made. Times are aware UTC.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

OUT_OF_SCOPE = "out_of_scope"
"""The label of a text that belongs to none of the classes. It is never a class of its own."""

SplitName = Literal["train", "validation", "gate", "test"]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "gate", "test")


def fold_text(text: str) -> str:
    """The text with case and white space folded: two texts that fold alike are duplicates."""
    return " ".join(text.casefold().split())


def fingerprint(text: str) -> str:
    """A stable id of a text (32 hexadecimal digits), equal for texts that fold alike."""
    return hashlib.blake2b(fold_text(text).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled text.

    ``split`` is set where the source states it. ``details`` holds whatever else came along
    (source, author, time, second text), fit for JSON. Examples of one ``group`` never straddle
    splits: one headline asked about two companies is two examples of one group.
    """

    text: str
    label: str
    split: SplitName | None = None
    details: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    group: str | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("an example needs a text that is not blank")
        if not self.label.strip():
            raise ValueError("an example needs a label that is not blank")
        if self.split is not None and self.split not in SPLIT_NAMES:
            raise ValueError(f"split is {self.split!r}, not one of {', '.join(SPLIT_NAMES)}")

    @property
    def key(self) -> str:
        """The fingerprint of the text: what decides its split and finds its duplicates."""
        return fingerprint(self.text)

    @property
    def group_key(self) -> str:
        """The fingerprint of the group; that of the text where the example stands alone."""
        return self.key if self.group is None else fingerprint(self.group)

    @property
    def in_scope(self) -> bool:
        """Whether the example belongs to one of the classes."""
        return self.label != OUT_OF_SCOPE


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not become an example. ``line`` counts from 1, the header included."""

    line: int
    reason: str
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a connector hands on: examples in order, and the rows that it had to reject.

    ``descriptions`` gives a sentence for a label where the source has one; zero-shot uses it.
    """

    name: str
    examples: tuple[Example, ...]
    rejects: tuple[Reject, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in alphabetical order, without out-of-scope."""
        return tuple(sorted({example.label for example in self.examples if example.in_scope}))


@dataclass(frozen=True, slots=True)
class Splits:
    """Examples by split; no text stands in two of them, whatever its case and spacing.

    ``gate`` is kept apart from the other three: promotion alone reads it.
    """

    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    gate: tuple[Example, ...]
    test: tuple[Example, ...]
    removed_duplicates: int = 0
    removed_conflicts: int = 0

    def __post_init__(self) -> None:
        seen: dict[str, str] = {}
        for name in SPLIT_NAMES:
            for example in self[name]:
                for key in {example.key, example.group_key}:
                    other = seen.setdefault(key, name)
                    if other != name:
                        raise ValueError(f"a text or its group stands in both {other} and {name}")

    def __getitem__(self, name: SplitName) -> tuple[Example, ...]:
        examples: tuple[Example, ...] = getattr(self, name)
        return examples

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of the training split in alphabetical order, without out-of-scope."""
        return tuple(sorted({example.label for example in self.train if example.in_scope}))

    def counts(self) -> dict[str, int]:
        """Examples in each split."""
        return {name: len(self[name]) for name in SPLIT_NAMES}


def class_counts(examples: Iterable[Example]) -> Counter[str]:
    """Examples of each class, out-of-scope left out."""
    return Counter(example.label for example in examples if example.in_scope)


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A class and its calibrated probability in [0, 1]."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one text.

    ``ranked`` holds the most probable classes, best first. ``in_scope_score`` grows with how
    much the text looks like the training data (unbounded; only its order matters).
    ``confidence`` in [0, 1] joins both: it is what thresholds are set on.
    """

    ranked: tuple[LabelScore, ...]
    in_scope_score: float
    confidence: float
    version: str

    def __post_init__(self) -> None:
        if not self.ranked:
            raise ValueError("a prediction ranks at least one class")

    @property
    def label(self) -> str:
        """The most probable class."""
        return self.ranked[0].label


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A training example near a text; ``similarity`` is a cosine in [-1, 1]."""

    text: str
    label: str
    similarity: float


@dataclass(frozen=True, slots=True)
class TokenAttribution:
    """A word of the text and how much it spoke for (positive) or against the class."""

    token: str
    weight: float


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said a text should have been. The feedback connector makes Examples of it."""

    text: str
    label: str
    author: str
    created_at: datetime
    app: str
    predicted: str | None = None
    version: str | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.created_at.tzinfo is None:
            raise ValueError("created_at needs a time zone")
        if not self.text.strip() or not self.label.strip():
            raise ValueError("feedback needs a text and a label")
