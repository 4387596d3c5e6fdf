"""All that can be told of labelled texts before anyone trains on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.duplicates import exact_duplicates, near_duplicates
from shared.evaluation.findings import Finding
from shared.evaluation.label_quality import class_sizes, likely_wrong_labels, overlapping_classes
from shared.evaluation.text_quality import (
    garbled_characters,
    invisible_characters,
    truncated_texts,
    unknown_writing,
)
from shared.records import OUT_OF_SCOPE


@dataclass(frozen=True, slots=True)
class WordPieces:
    """How an encoder's tokenizer cuts n texts, without its special tokens.

    ``counts`` and ``unknown`` (int [n]) are each text's pieces and those of them that stand for
    "unknown"; ``longest`` is how many pieces the encoder reads.
    """

    counts: NDArray[np.int_]
    unknown: NDArray[np.int_]
    longest: int


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Predictions for texts by models that did not see them.

    ``rows`` are the positions of the m predicted texts, ``truth`` int [m] their classes as
    columns of ``probabilities`` float [m, k], which ``classes`` names.
    """

    rows: tuple[int, ...]
    truth: NDArray[np.int_]
    probabilities: NDArray[np.float64]
    classes: tuple[str, ...]


def find_faults(
    texts: Sequence[str],
    labels: Sequence[str],
    *,
    splits: Sequence[str | None] | None = None,
    embeddings: NDArray[np.float32] | None = None,
    out_of_fold: OutOfFold | None = None,
    pieces: WordPieces | None = None,
) -> list[Finding]:
    """Every fault that the evidence shows: warnings first, then by kind, then the gravest first.

    Of ``embeddings`` (unit vectors, float32 [n, d]), ``out_of_fold`` and ``pieces``, what is not
    given is not judged. Texts out of scope count as no class, and may be in any language.
    """
    places = splits if splits is not None else [None] * len(texts)
    learned = [
        row
        for row, label in enumerate(labels)
        if label != OUT_OF_SCOPE and places[row] in (None, "train")
    ]
    findings = [
        *_at(class_sizes([labels[row] for row in learned]), learned),
        *exact_duplicates(texts, labels, places),
        *invisible_characters(texts),
        *garbled_characters(texts),
    ]
    if embeddings is not None:
        findings += near_duplicates(texts, labels, places, embeddings)
    if out_of_fold is not None:
        evidence = (out_of_fold.truth, out_of_fold.probabilities, out_of_fold.classes)
        findings += likely_wrong_labels(texts, *evidence, out_of_fold.rows)
        findings += overlapping_classes(*evidence, out_of_fold.rows)
    if pieces is not None:
        findings += truncated_texts(texts, pieces.counts, pieces.longest)
        known = [row for row, label in enumerate(labels) if label != OUT_OF_SCOPE]
        counts, unknown = pieces.counts[known], pieces.unknown[known]
        findings += _at(unknown_writing([texts[row] for row in known], counts, unknown), known)
    return sorted(findings, key=lambda finding: (finding.severity != "warning", _rank(finding)))


_KINDS = (
    "likely_wrong_label", "conflicting_duplicate", "conflicting_near_duplicate",
    "duplicate_across_splits", "near_duplicate", "overlapping_intents", "tiny_class",
    "class_imbalance", "unknown_language", "unknown_script", "unknown_words", "garbled_text",
    "invisible_character", "truncated_text",
)  # fmt: skip


def _rank(finding: Finding) -> int:
    return _KINDS.index(finding.kind) if finding.kind in _KINDS else len(_KINDS)


def _at(findings: Sequence[Finding], rows: Sequence[int]) -> list[Finding]:
    """Findings on some of the texts, with their rows as positions among all of them."""
    return [
        Finding(
            one.kind, one.severity, one.message, tuple(rows[row] for row in one.rows), one.details
        )
        for one in findings
    ]
