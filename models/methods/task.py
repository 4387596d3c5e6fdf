"""What every way of fine-tuning gets: the data, the recipe, and where to report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.confidence import ENOUGH_STRAYS
from models.encoder import TextEncoder
from models.text_classifier import TextClassifier, TextPredictor
from shared.finetuning.hardware import Hardware
from shared.finetuning.loop import LabelledTokens, TrainingOutcome
from shared.finetuning.methods import METHODS
from shared.finetuning.progress import ProgressReporter
from shared.finetuning.recipe import Recipe
from shared.records import Example, Splits

LEARNING = ("full", "lora")
"""Ways that train by the loop over examples, and so can read some of no class."""


@dataclass(frozen=True, slots=True)
class FittingTask:
    """One training: ``recipe`` with its method settled, ``encoder`` by name to load it anew.

    ``unlabelled`` are texts without labels, none of them held out. ``base`` is the version that
    continual learning goes on from. Checkpoints of a stage stand in a folder of its own.
    """

    splits: Splits
    recipe: Recipe
    hardware: Hardware
    report: ProgressReporter
    encoder: str | None = None
    descriptions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    unlabelled: tuple[str, ...] = ()
    base: TextPredictor | None = None
    checkpoints: Path | None = None
    resume: bool = False

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes in alphabetical order; with a ``base`` its classes, too."""
        old = () if self.base is None else self.base.labels
        return tuple(sorted({*self.splits.labels, *old}))

    @property
    def training(self) -> list[Example]:
        """The training examples of a class."""
        return in_scope(self.splits.train)

    @property
    def validation(self) -> list[Example]:
        """The validation examples of the classes that are trained."""
        return in_scope(self.splits.validation, self.labels)

    @property
    def outliers(self) -> list[Example]:
        """Out-of-scope training examples that are learnt as such.

        None where validation has too few of its own to tell afterwards how sure a text is: then
        those of the training part stay unread, for that.
        """
        held = sum(not example.in_scope for example in self.splits.validation)
        learns = self.recipe.outliers.weight > 0 and METHODS[self.recipe.method].way in LEARNING
        if not learns or held < ENOUGH_STRAYS:
            return []
        return [example for example in self.splits.train if not example.in_scope]

    @property
    def strays(self) -> list[Example]:
        """Out-of-scope examples that nothing was trained on, to judge by."""
        read = self.splits.train if not self.outliers else ()
        return [e for e in (*read, *self.splits.validation) if not e.in_scope]

    def numbers(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """The class number of each example, int64[n]."""
        return class_numbers(examples, self.labels)

    def tokens(self, encoder: TextEncoder, examples: Sequence[Example]) -> LabelledTokens:
        """Tokenised texts with their class numbers."""
        texts = encoder.tokenise([example.text for example in examples])
        return LabelledTokens(texts, self.numbers(examples))

    def at_stage(self, name: str, **fields: Any) -> FittingTask:
        """The same task with other fields of its recipe and checkpoints of its own."""
        folder = None if self.checkpoints is None else self.checkpoints / name
        recipe = self.recipe.model_copy(update=fields)
        return replace(self, recipe=recipe, checkpoints=folder)


@dataclass(frozen=True, slots=True)
class FittedModule:
    """A classifier that is done, and what its last training did; None where nothing was trained.

    ``facts`` are what the card says of it beside, by the card's own keys.
    """

    classifier: TextClassifier
    outcome: TrainingOutcome | None
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def in_scope(examples: Sequence[Example], labels: Sequence[str] | None = None) -> list[Example]:
    """The examples of a class; with ``labels`` only of those classes."""
    allowed = None if labels is None else set(labels)
    return [e for e in examples if e.in_scope and (allowed is None or e.label in allowed)]


def class_numbers(examples: Sequence[Example], labels: Sequence[str]) -> NDArray[np.int64]:
    """The number of each example's class in ``labels``, int64[n]."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[example.label] for example in examples], dtype=np.int64)
