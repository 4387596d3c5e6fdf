"""Scoring of many messages: what the desk's model says of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.support.conversation.knowledge import APP
from shared.settings import Settings

if TYPE_CHECKING:
    import pyarrow

    from models.scale.bulk import Compute


@dataclass(frozen=True, slots=True)
class SupportScoring:
    """A row a message: ``intent``, ``confidence``, ``next_intent``, ``next_probability``,
    ``in_scope_score`` and ``answered``, whether the confidence reaches the answer threshold.
    """

    settings: Settings
    version: str

    def open(self, threads: int | None) -> Compute:
        """Load the version as it is served."""
        from models.registry import ModelRegistry
        from models.runtime.serving import load_predictor
        from models.scale.embedding import with_threads
        from shared.privacy import mask_personal_data

        registry = ModelRegistry(self.settings.models)
        predictor = load_predictor(
            registry, registry.get(APP, self.version), with_threads(self.settings, threads)
        )

        def compute(texts: Sequence[str]) -> pyarrow.Table:
            import pyarrow

            found = predictor.predict([mask_personal_data(text) for text in texts])
            nexts = [one.ranked[1] if len(one.ranked) > 1 else None for one in found]
            return pyarrow.table(
                {
                    "intent": [one.label for one in found],
                    "confidence": [float(one.confidence) for one in found],
                    "next_intent": pyarrow.array([n and n.label for n in nexts], "string"),
                    "next_probability": pyarrow.array(
                        [n and float(n.probability) for n in nexts], "float64"
                    ),
                    "in_scope_score": [float(one.in_scope_score) for one in found],
                    "answered": [one.confidence >= predictor.answer_threshold for one in found],
                }
            )

        return compute
