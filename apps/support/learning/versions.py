"""What learning asks of models, and the one implementation of it on the registry.

``LearningModels`` is the seam: learning decides on records alone, and tests hand it a fake.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from apps.support.conversation.knowledge import APP
from models.registry import ModelRegistry, ModelVersion, Promotion
from shared.errors import RegistryError
from shared.evaluation.gate import GateReport
from shared.records import Dataset, Example, SplitName

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from data_connectors.data_source import DataSource
    from shared.finetuning.progress import ProgressReporter


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

    def held_out(
        self, version: ModelVersion, split: Literal["validation", "gate"]
    ) -> list[Example]:
        """The validation or the gate examples of a version."""
        ...

    def said(self, versions: Sequence[ModelVersion], texts: Sequence[str]) -> list[list[str]]:
        """The most probable class of each text, by each version in turn."""
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
        source: DataSource,
        method: str | None,
        now: datetime,
        seed: int,
        report: ProgressReporter,
    ) -> Trained:
        """A new version trained on ``dataset`` with the encoder and the recipe of ``base``.

        ``assigned`` gives texts their split by fingerprint, before the data set does; ``source``
        is kept in the card. ``method`` takes the place of that of ``base``.
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


class RegistryModels:
    """``LearningModels`` on the registry of model versions. Torch is imported when it is needed.

    ``encoder`` is what a training takes when no version is in use: None is the packaged MiniLM.
    ``device`` is where it trains: auto, cpu or cuda.
    """

    def __init__(
        self, registry: ModelRegistry, *, encoder: str | None = None, device: str = "auto"
    ) -> None:
        self.registry = registry
        self.encoder = encoder
        self.device = device

    def in_use(self) -> ModelVersion | None:
        """The version in use; None before the first promotion."""
        return None if self.registry.in_use(APP) is None else self.registry.get(APP)

    def splits(self, version: ModelVersion) -> Mapping[str, SplitName]:
        """The split of each text of a version, read from its ``splits.json``."""
        stored = _read(version, "splits.json")
        splits: dict[str, SplitName] = json.loads(stored)
        return splits

    def held_out(
        self, version: ModelVersion, split: Literal["validation", "gate"]
    ) -> list[Example]:
        """The examples in a version's ``validation.jsonl`` or ``gate.jsonl``."""
        from models.version_content import read_examples

        return read_examples(version.folder / f"{split}.jsonl")

    def said(self, versions: Sequence[ModelVersion], texts: Sequence[str]) -> list[list[str]]:
        """The most probable class of each text, by each version in turn.

        Versions that share an encoder, as an updated head does with its origin, embed once.
        """
        from models.text_classifier import TextPredictor

        result = []
        vectors: dict[str, NDArray[np.float32]] = {}
        for version in versions:
            predictor = TextPredictor.load(version)
            encoder = encoder_digest(version)
            if encoder not in vectors:
                vectors[encoder] = predictor.embed(texts)
            best = predictor.probabilities_of(vectors[encoder]).argmax(axis=1)
            result.append([predictor.labels[row] for row in best.tolist()])
        return result

    def update_head(
        self, version: ModelVersion, examples: Sequence[Example], *, now: datetime
    ) -> ModelVersion:
        """A new version with the same encoder whose head was fitted to ``examples`` as well."""
        from models.head_update import update_head

        return update_head(self.registry, version, examples, now=now)

    def train(
        self,
        dataset: Dataset,
        *,
        base: ModelVersion | None,
        assigned: Mapping[str, SplitName],
        source: DataSource,
        method: str | None,
        now: datetime,
        seed: int,
        report: ProgressReporter,
    ) -> Trained:
        """A new version with the encoder and the recipe of ``base``.

        Fields that the recipe no longer has are left out, and so are those that the base's method
        set by itself. A method that needs more than labelled examples gives way to ``auto``.
        """
        from models.text_training import train_text_classifier
        from shared.finetuning.methods import METHODS
        from shared.finetuning.recipe import fields_of_card, make_recipe

        kept = {} if base is None else fields_of_card(base.card["recipe"])
        before = METHODS.get(kept.get("method", "auto"))
        if before is None or before.needs_unlabelled or before.needs_version:
            kept.pop("method", None)
        chosen = {} if method is None else {"method": method}
        return train_text_classifier(
            dataset,
            app=APP,
            recipe=make_recipe(**{**kept, **chosen, "seed": seed}),
            encoder=self.encoder if base is None else base.card["encoder"],
            registry=self.registry,
            now=now,
            assigned=assigned,
            source=source.for_card(),
            device=self.device,
            report=report,
        )

    def gate(self, candidate: ModelVersion) -> GateReport:
        """Both versions on the candidate's gate split."""
        from models.promotion import gate

        return gate(self.registry, APP, candidate)

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
        """Put the candidate in use; PromotionRefused where the gate or a newer version objects.

        What serves it is chosen first, as at any promotion.
        """
        if gate is None or gate.allowed or force:
            from models.runtime.building import prepare_version

            prepare_version(self.registry, candidate)
        return self.registry.promote(
            APP,
            candidate,
            gate=gate,
            compared_with=None if compared_with is None else compared_with.name,
            author=author,
            now=now,
            force=force,
        )


def _read(version: ModelVersion, name: str) -> str:
    try:
        return (version.folder / name).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise RegistryError(
            f"version {version.name} has no {name}: it was not made by a training of this app",
            version=version.name,
        ) from error


def encoder_digest(version: ModelVersion) -> str:
    """What tells the encoder of a version from others: the sha256 sums of its files."""
    files = json.loads(_read(version, "manifest.json"))["files"]
    return "\n".join(
        f"{path} {entry['sha256']}"
        for path, entry in sorted(files.items())
        if path.startswith("encoder/")
    )
