"""A version that answers requests, whatever computes its encoder. Imports no torch.

``VersionPredictor`` turns vectors and logits into predictions; a ``TextReader`` makes both of
texts: torch's (``models.text_classifier``) or an ONNX graph's (``models.runtime.session``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.confidence import ConfidenceModel
from models.neighbours import FAMILIAR, Neighbours, class_rows, nearest_neighbours
from shared.errors import RegistryError
from shared.records import LabelScore, Neighbour, Prediction

RANKED = 10
"""Classes that a prediction lists."""

Floats = NDArray[np.float32]
Assessment = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Calibrated probabilities [n, classes], in-scope scores [n] and confidence [n] of n texts."""

FindNearest = Callable[[Floats], Neighbours]
"""The nearest training vectors of unit vectors [n, dimensions]."""


def as_stored(vectors: Floats) -> Floats:
    """A bank's vectors as a version's folder keeps them, in half precision; float32 again.

    Neighbours vote alike before a version is saved and after.
    """
    return vectors.astype(np.float16).astype(np.float32)


class TextReader(Protocol):
    """An encoder and a head: what a predictor computes texts by."""

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors float32 [n, dimensions] in the order of the texts."""
        ...

    def logits_of(self, vectors: Floats) -> Floats:
        """Uncalibrated logits float32 [n, classes] of unit vectors [n, dimensions]."""
        ...


@dataclass(frozen=True, slots=True)
class StoredClassifier:
    """What a version's folder holds beside its encoder and its card.

    ``weight`` float32 [classes, dimensions], ``bias`` [classes] and ``bank_vectors`` [n,
    dimensions], one row an example of ``bank``.
    """

    labels: tuple[str, ...]
    encoder: str
    max_length: int
    scale: float
    cosine: bool
    confidence: ConfidenceModel
    answer_threshold: float
    target_error: float
    weight: Floats
    bias: Floats
    bank: tuple[tuple[str, str], ...]
    bank_vectors: Floats

    @classmethod
    def read(cls, folder: Path) -> StoredClassifier:
        """From classifier.json, classifier.safetensors and examples.jsonl."""
        from safetensors.numpy import load_file

        plain = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / "classifier.safetensors")
        with (folder / "examples.jsonl").open(encoding="utf-8") as lines:
            bank = tuple((row["text"], row["label"]) for row in map(json.loads, lines))
        return cls(
            labels=tuple(plain["labels"]),
            encoder=plain["encoder"],
            max_length=plain["max_length"],
            scale=plain["scale"],
            cosine=plain["cosine"],
            confidence=ConfidenceModel.from_json(plain["confidence"]),
            answer_threshold=plain["answer_threshold"],
            target_error=plain["target_error"],
            weight=arrays["weight"],
            bias=arrays["bias"],
            bank=bank,
            bank_vectors=arrays["bank"].astype(np.float32),
        )


class VersionPredictor:
    """A version, loaded: what serving uses. Concurrent calls are safe, it only reads.

    ``nearest`` finds what ``nearest_neighbours`` would of the bank, by a faster way.
    """

    def __init__(
        self,
        version: str,
        card: Mapping[str, Any],
        reader: TextReader,
        labels: Sequence[str],
        confidence: ConfidenceModel,
        bank: Sequence[tuple[str, str]],
        bank_vectors: Floats,
        answer_threshold: float,
        target_error: float,
        *,
        nearest: FindNearest | None = None,
    ) -> None:
        if len(bank) != len(bank_vectors):
            message = f"{len(bank)} training texts and {len(bank_vectors)} vectors: {version}"
            raise RegistryError(message, version=version)
        self.version = version
        self.card = card
        self.reader = reader
        self.labels = tuple(labels)
        self.confidence = confidence
        self.answer_threshold = answer_threshold
        self.target_error = target_error
        self._bank = tuple(bank)
        self._bank_vectors = bank_vectors
        self._nearest = nearest
        self._classes_of_bank = class_rows(self.labels, self._bank)

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in order."""
        if not texts:
            return []
        vectors, logits = self._forward(texts)
        return self.predictions(vectors, logits)

    def predictions(self, vectors: Floats, logits: Floats) -> list[Prediction]:
        """Predictions of vectors [n, dimensions] and logits [n, classes] that were computed."""
        probabilities, scores, confidence = self.assess(vectors, logits)
        result = []
        for row, score, sure in zip(probabilities, scores, confidence, strict=True):
            best = np.argsort(-row, kind="stable")[:RANKED]
            ranked = tuple(LabelScore(self.labels[i], float(row[i])) for i in best)
            result.append(Prediction(ranked, float(score), float(sure), self.version))
        return result

    def assess(self, vectors: Floats, logits: Floats) -> Assessment:
        """Calibrated probabilities [n, classes], in-scope scores [n] and confidence [n]."""
        near = self._nearest_of(vectors)
        probabilities = self.confidence.probabilities(logits, self._votes(near))
        scores = self.confidence.in_scope_scores(logits, near.familiarity)
        return probabilities, scores, self.confidence.confidence(probabilities, scores)

    def assess_texts(self, texts: Sequence[str]) -> Assessment:
        """The same of texts, at least one."""
        return self.assess(*self._forward(texts))

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Calibrated probabilities float64 [n, classes] in the order of ``labels``."""
        if not texts:
            return np.zeros((0, len(self.labels)))
        return self.probabilities_of(self.reader.embed(texts))

    def probabilities_of(self, vectors: Floats) -> NDArray[np.float64]:
        """The same of vectors [n, dimensions] that its encoder made of texts."""
        voting = self.confidence.neighbour_share > 0
        votes = self._votes(self._nearest_of(vectors)) if voting else None
        return self.confidence.probabilities(self.reader.logits_of(vectors), votes)

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors float32 [n, dimensions] by the fine-tuned encoder."""
        return self.reader.embed(texts)

    def predict_and_embed(self, texts: Sequence[str]) -> tuple[list[Prediction], Floats]:
        """Predictions and vectors in one pass through the encoder."""
        if not texts:
            return [], np.zeros((0, self.reader.dimensions), dtype=np.float32)
        vectors, logits = self._forward(texts)
        return self.predictions(vectors, logits), vectors

    def neighbours(self, texts: Sequence[str], k: int = FAMILIAR) -> list[list[Neighbour]]:
        """The k nearest training examples of each text, nearest first."""
        vectors = self.embed(texts)
        result = []
        for similarity in vectors @ self._bank_vectors.T:
            best = np.argsort(-similarity, kind="stable")[:k]
            result.append(
                [Neighbour(self._bank[i][0], self._bank[i][1], float(similarity[i])) for i in best]
            )
        return result

    @property
    def bank(self) -> tuple[tuple[str, str], ...]:
        """The training examples (text, label) in the order of ``bank_vectors``."""
        return self._bank

    @property
    def bank_vectors(self) -> Floats:
        """Unit vectors float32 [n, dimensions] of the training examples."""
        return self._bank_vectors

    def _nearest_of(self, vectors: Floats) -> Neighbours:
        if self._nearest is not None:
            return self._nearest(vectors)
        return nearest_neighbours(vectors, self._bank_vectors)

    def _votes(self, near: Neighbours) -> NDArray[np.float64] | None:
        if not self.confidence.neighbour_share:
            return None
        return near.votes(self._classes_of_bank, len(self.labels))

    def _forward(self, texts: Sequence[str]) -> tuple[Floats, Floats]:
        vectors = self.reader.embed(texts)
        return vectors, self.reader.logits_of(vectors)
