"""Model versions that know texts by heart: what learning does with them can be read afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from models.registry import ModelVersion, Promotion
from shared.errors import PromotionRefused
from shared.evaluation.gate import GateReport
from shared.records import Dataset, Example, SplitName, fold_text

BORN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class FakeTrained:
    version: ModelVersion
    summary: dict[str, Any]


@dataclass
class FakeLearningModels:
    """``LearningModels`` in memory.

    ``held_out_as`` is the split of the held-out examples, ``forgets`` names those that an update
    makes the model get wrong. ``gate_allows`` is what the gate says of a training;
    ``overtaken_by`` comes into use while an update is made.
    """

    examples: Sequence[Example]
    held_out_examples: Sequence[Example] = ()
    held_out_as: str = "validation"
    forgets: Sequence[str] = ()
    gate_allows: bool = True
    overtaken_by: str | None = None
    current: str | None = "v0"
    versions: dict[str, ModelVersion] = field(default_factory=dict)
    known: dict[str, dict[str, str]] = field(default_factory=dict)
    updates: list[list[Example]] = field(default_factory=list)
    trainings: list[dict[str, Any]] = field(default_factory=list)
    promotions: list[Promotion] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._add("v0", [*self.examples, *self.held_out_examples])

    def _add(self, name: str, learned: Sequence[Example], wrong: Sequence[str] = ()) -> None:
        labels = sorted({example.label for example in learned if example.in_scope})
        known = {fold_text(example.text): example.label for example in learned}
        known.update({fold_text(text): "(wrong)" for text in wrong})
        card = {"labels": labels, "method": "head"}
        self.versions[name] = ModelVersion("support", name, Path(name), BORN, card)
        self.known[name] = known

    def in_use(self) -> ModelVersion | None:
        return None if self.current is None else self.versions[self.current]

    def splits(self, version: ModelVersion) -> Mapping[str, SplitName]:
        train: dict[str, SplitName] = {example.key: "train" for example in self.examples}
        held: dict[str, SplitName] = {ex.key: "validation" for ex in self.held_out_examples}
        return {**train, **held}

    def held_out(self, version: ModelVersion, split: str) -> list[Example]:
        return list(self.held_out_examples if split == self.held_out_as else ())

    def said(self, versions: Sequence[ModelVersion], texts: Sequence[str]) -> list[list[str]]:
        return [[self.says(version.name, text) for text in texts] for version in versions]

    def says(self, version: str, text: str) -> str:
        return self.known[version].get(fold_text(text), "(unknown)")

    def update_head(
        self, version: ModelVersion, examples: Sequence[Example], *, now: datetime
    ) -> ModelVersion:
        self.updates.append(list(examples))
        name = f"v{len(self.versions)}"
        learned = [*self.examples, *self.held_out_examples, *examples]
        self._add(name, learned, self.forgets)
        if self.overtaken_by is not None:
            self._add(self.overtaken_by, learned)
            self.current = self.overtaken_by
        return self.versions[name]

    def train(self, dataset: Dataset, *, base: ModelVersion | None, **options: Any) -> FakeTrained:
        self.trainings.append({"dataset": dataset, "base": base, **options})
        name = f"v{len(self.versions)}"
        self._add(name, dataset.examples)
        return FakeTrained(self.versions[name], {"app": "support", "version": name})

    def gate(self, candidate: ModelVersion) -> GateReport:
        reason = "no worse" if self.gate_allows else "the candidate is worse"
        return GateReport(self.gate_allows, reason, 10, 0.9, 0.9, 0.0, -0.1, 0.1)

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
        objection = None
        if compared_with is not None and compared_with.name != self.current:
            objection = f"now {self.current} is in use"
        elif gate is not None and not gate.allowed:
            objection = gate.reason
        if objection is not None and not force:
            raise PromotionRefused(objection)
        reason = objection or (gate.reason if gate else "the first version of this app")
        promotion = Promotion(
            "support",
            candidate.name,
            self.current,
            "promotion",
            author,
            now,
            objection is not None,
            reason,
            gate,
        )
        self.promotions.append(promotion)
        self.current = candidate.name
        return promotion
