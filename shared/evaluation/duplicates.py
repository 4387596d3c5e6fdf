"""Texts that stand in the data more than once: word for word, or nearly.

A duplicate across splits makes a test easier than the world; one with another label teaches the
model both answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.findings import Finding, excerpt, listed
from shared.records import SPLIT_NAMES, fold_text

NEAR: Final = 0.98
"""Cosine similarity from which two texts say the same in almost the same words (MiniLM)."""

MOST_PAIRS: Final = 200_000
MOST_ROWS: Final = 60_000
"""Beyond so many different texts near-duplicates are not looked for: all pairs are compared."""


def exact_duplicates(
    texts: Sequence[str], labels: Sequence[str], splits: Sequence[str | None]
) -> list[Finding]:
    """Texts equal when case and spaces are folded.

    With conflicting labels or across splits: a warning each. All others: one remark.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        groups[fold_text(text)].append(row)
    conflicting, straddling, plain = [], [], list[int]()
    for rows in groups.values():
        if len(rows) < 2:
            continue
        names = sorted({labels[row] for row in rows})
        places = sorted({str(splits[row]) for row in rows if splits[row]}, key=_order)
        quoted = f'"{excerpt(texts[rows[0]])}"'
        if len(names) > 1:
            message = f"{quoted} is labelled {_join(names)}: keep one"
            details = {"labels": ", ".join(names)}
            conflicting.append(
                Finding("conflicting_duplicate", "warning", message, tuple(rows), details)
            )
        elif len(places) > 1:
            message = f"{quoted} stands in {_join(places)}"
            details = {"label": names[0], "splits": ", ".join(places)}
            straddling.append(
                Finding("duplicate_across_splits", "warning", message, tuple(rows), details)
            )
        else:
            plain += rows[1:]
    repeats = [
        Finding("duplicate", "info", f"{len(plain)} rows repeat an earlier text", tuple(plain))
    ]
    return [*listed(conflicting), *listed(straddling), *(repeats if plain else [])]


def near_duplicates(
    texts: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str | None],
    embeddings: NDArray[np.float32],
    *,
    threshold: float = NEAR,
) -> list[Finding]:
    """Different texts whose unit vectors (float32 [n, d]) are nearly the same, most alike first.

    With another label, or in another split (the nearest text of it alone): a warning each. All
    others: one remark with the rows that come later.
    """
    first: dict[str, int] = {}
    for row, text in enumerate(texts):
        first.setdefault(fold_text(text), row)
    distinct = np.array(sorted(first.values()), dtype=np.int64)
    if len(distinct) > MOST_ROWS:
        message = f"near-duplicates were not looked for: more than {MOST_ROWS:,} different texts"
        return [Finding("near_duplicate_skipped", "info", message)]
    conflicting, straddling, plain = [], [], set[int]()
    told: set[int] = set()
    for similarity, one, other in similar_pairs(embeddings[distinct], threshold):
        a, b = int(distinct[one]), int(distinct[other])
        quoted = f'"{excerpt(texts[a])}" and "{excerpt(texts[b])}"'
        details = {"similarity": round(similarity, 4), "labels": f"{labels[a]}, {labels[b]}"}
        if labels[a] != labels[b]:
            message = f"{quoted} are labelled {labels[a]} and {labels[b]}"
            kind = "conflicting_near_duplicate"
            conflicting.append(Finding(kind, "warning", message, (a, b), details))
        elif splits[a] and splits[b] and splits[a] != splits[b]:
            later = max((a, b), key=lambda row: _order(str(splits[row])))
            if later not in told:
                told.add(later)
                places = sorted((str(splits[a]), str(splits[b])), key=_order)
                message = f"{quoted} stand in {_join(places)}"
                details["splits"] = ", ".join(places)
                straddling.append(Finding("near_duplicate", "warning", message, (a, b), details))
        else:
            plain.add(max(a, b))
    findings = [*listed(conflicting), *listed(straddling)]
    if plain:
        message = f"{len(plain)} rows nearly repeat an earlier text of the same label"
        findings.append(Finding("near_repetition", "info", message, tuple(sorted(plain))))
    return findings


def similar_pairs(
    embeddings: NDArray[np.float32], threshold: float, *, block: int = 512
) -> list[tuple[float, int, int]]:
    """(similarity, i, j) with i < j of all pairs of unit vectors at or above the threshold.

    The most similar first. Compared block by block: the memory is ``block`` times n floats. At
    ``MOST_PAIRS`` the search ends, for then the data is a handful of texts many times over.
    """
    pairs: list[tuple[float, int, int]] = []
    for start in range(0, len(embeddings), block):
        similarity = embeddings[start : start + block] @ embeddings[start:].T
        one, other = np.nonzero(np.triu(similarity >= threshold, 1))
        one, other = one[: MOST_PAIRS - len(pairs)], other[: MOST_PAIRS - len(pairs)]
        values = similarity[one, other].tolist()
        pairs += zip(values, (one + start).tolist(), (other + start).tolist(), strict=True)
        if len(pairs) >= MOST_PAIRS:
            break
    return sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2]))


def _order(split: str) -> int:
    return [*SPLIT_NAMES, split].index(split)


def _join(names: Sequence[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
