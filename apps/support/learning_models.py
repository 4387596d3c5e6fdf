"""What learning asks of models, and the one implementation of it on the registry.

``LearningModels`` is the seam: learning decides on records alone, and tests hand it a fake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from models.registry import ModelVersion, Promotion
from shared.evaluation.gate import GateReport
from shared.records import Dataset, Example, Prediction, SplitName

if TYPE_CHECKING:
    from shared.finetuning.progress import ProgressReporter


class Classifier(Protocol):
    """What a comparison asks of a loaded version."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """A prediction of each text, in order."""
        ...


class Trained(Protocol):
    """What a training gives back: ``models.text_training.TrainedVersion`` is one."""

    @property
    def version(self) -> ModelVersion:
        """The version, registered and not yet in use."""
        ...

    @property
    def summary(self) -> dict[str, Any]:
        """The object that ``triptych train --json`` prints."""
        ...


class LearningModels(Protocol):
    """The model versions of the support desk, and the ways to make a new one."""

    def in_use(self) -> ModelVersion | None:
        """The version in use; None before the first promotion."""
        ...

    def splits(self, version: ModelVersion) -> Mapping[str, SplitName]:
        """The split of each text that the version was made of, by the text's fingerprint."""
        ...

    def held_out(self, version: ModelVersion) -> list[Example]:
        """The validation and gate examples of a version."""
        ...

    def load(self, version: ModelVersion) -> Classifier:
        """A version ready to predict."""
        ...

    def update_head(
        self, version: ModelVersion, examples: Sequence[Example], *, now: datetime
    ) -> ModelVersion:
        """A new version with the same encoder whose head was fitted to ``examples`` as well."""
        ...

    def train(
        self,
        dataset: Dataset,
        *,
        base: ModelVersion | None,
        assigned: Mapping[str, SplitName],
        method: str | None,
        now: datetime,
        seed: int,
        report: ProgressReporter,
    ) -> Trained:
        """A new version trained on ``dataset`` with the encoder and the recipe of ``base``.

        ``assigned`` gives texts their split by fingerprint, before the data set does. ``method``
        takes the place of that of ``base``.
        """
        ...

    def gate(self, candidate: ModelVersion) -> GateReport:
        """The candidate beside the version in use on the gate split."""
        ...

    def promote(
        self,
        candidate: ModelVersion,
        *,
        gate: GateReport | None,
        compared_with: ModelVersion | None,
        author: str,
        now: datetime,
        force: bool = False,
    ) -> Promotion:
        """Put the candidate in use; PromotionRefused where the gate or a newer version objects."""
        ...
