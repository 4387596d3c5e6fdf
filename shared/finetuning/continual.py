"""Continual learning: new data and classes, old ones replayed and held by distillation.

    join_earlier -> herded -> (training on new and replayed texts, ``Taught`` by the old version)
                 -> forgetting

Source: Rolnick et al., "Experience replay for continual learning", 2019, arXiv:1811.11682; Li and
Hoiem, "Learning without forgetting", 2016, arXiv:1606.09282; Rebuffi et al., "iCaRL: incremental
classifier and representation learning", 2017, arXiv:1611.07725 (which examples are replayed); Wu
et al., "Large scale incremental learning", 2019, arXiv:1905.13260 (new classes are held back).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.finetuning.method_settings import MethodSettings
from shared.finetuning.methods import Method
from shared.records import SPLIT_NAMES, Example, SplitName, Splits

CONTINUING: Final[tuple[Method, ...]] = (
    "continual",
    "full",
    "adversarial",
    "augmented",
)
"""The methods by which a version can go on learning."""


class ContinualSettings(MethodSettings):
    """Fields of ``recipe.continual``."""

    replay: int = Field(default=5, ge=0, description="old examples of each class shown again")
    weight: float = Field(default=1.0, ge=0, description="of agreeing with the old version")
    temperature: float = Field(default=2.0, gt=0, description="that softens its answers")
    corrected: bool = Field(
        default=True,
        description="whether the logits of new classes are shifted to where validation wants them",
    )
    most_lost: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="accuracy that old classes may lose on validation: new ones are held back more "
        "until that holds; 1 lets them go",
    )


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a version knows of its data: its examples, and the split of every text by fingerprint.

    The texts of its test split are known by their fingerprints only.
    """

    training: tuple[Example, ...]
    validation: tuple[Example, ...] = ()
    gate: tuple[Example, ...] = ()
    assigned: Mapping[str, SplitName] = field(default_factory=lambda: MappingProxyType({}))


def join_earlier(splits: Splits, earlier: Earlier) -> Splits:
    """The splits of new data with the examples of an earlier version beside them.

    A new example that stood in a split of the earlier version goes there, its whole group with
    it: what was held out never trains, and what was trained on is never measured. Where a text
    was labelled anew, the new label stands.
    """
    ranks = {"test": 0, "gate": 1, "validation": 2, "train": 3}
    homes: dict[str, SplitName] = {}
    for name in SPLIT_NAMES:
        for example in splits[name]:
            known = earlier.assigned.get(example.key, earlier.assigned.get(example.group_key))
            other = homes.get(example.group_key)
            if known and (other is None or ranks[known] < ranks[other]):
                homes[example.group_key] = known
    placed: dict[SplitName, list[Example]] = {name: [] for name in SPLIT_NAMES}
    seen: set[str] = set()
    for name in SPLIT_NAMES:
        for example in splits[name]:
            placed[homes.get(example.group_key, name)].append(example)
            seen |= {example.key, example.group_key}
    parts: tuple[tuple[SplitName, tuple[Example, ...]], ...] = (
        ("gate", earlier.gate),
        ("validation", earlier.validation),
        ("train", earlier.training),
    )
    for name, examples in parts:
        for example in examples:
            if example.key not in seen:
                placed[name].append(example)
                seen.add(example.key)
    return Splits(
        train=tuple(placed["train"]),
        validation=tuple(placed["validation"]),
        gate=tuple(placed["gate"]),
        test=tuple(placed["test"]),
        removed_duplicates=splits.removed_duplicates,
        removed_conflicts=splits.removed_conflicts,
    )


def herded(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """At most ``count`` rows of the vectors [n, d] whose mean stays nearest to the mean of all.

    Chosen one by one, the best first; the same rows for the same vectors.
    """
    centre = vectors.mean(axis=0)
    chosen: list[int] = []
    total = np.zeros_like(centre)
    free = np.ones(len(vectors), dtype=bool)
    for number in range(1, min(count, len(vectors)) + 1):
        distance = np.linalg.norm(centre - (total + vectors) / number, axis=1)
        best = int(np.where(free, distance, np.inf).argmin())
        chosen.append(best)
        free[best] = False
        total = total + vectors[best]
    return np.array(chosen, dtype=np.int64)


def replayed_rows(
    vectors: NDArray[np.float32], labels: Sequence[str], count: int
) -> NDArray[np.int64]:
    """Rows of the vectors [n, d] that are shown again: ``count`` of each class, herded."""
    given = np.array(labels, dtype=object)
    rows = [np.zeros(0, dtype=np.int64)]
    for label in sorted(set(labels)):
        own = np.flatnonzero(given == label)
        rows.append(own[herded(vectors[own], count)])
    return np.concatenate(rows)


def new_class_shift(
    logits: NDArray[np.float32], truth: NDArray[np.int64], is_new: NDArray[np.bool_]
) -> float:
    """What to add to the logits [n, k] of the new classes, so that held-out texts fit best.

    Least mean cross-entropy, old and new texts weighing alike: new classes have seen more
    examples than the replayed ones and answer too often. ``is_new`` bool[k] marks their columns.
    0 where texts of old or of new classes are missing.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    fresh = is_new[truth]
    if fresh.all() or not fresh.any():
        return 0.0
    values = logits.astype(np.float64)
    weights = np.where(fresh, 0.5 / fresh.sum(), 0.5 / (~fresh).sum())

    def loss(shift: float) -> float:
        moved = values + shift * is_new
        right = moved[np.arange(len(truth)), truth]
        return float(weights @ (logsumexp(moved, axis=1) - right))

    return float(minimize_scalar(loss, bounds=(-10.0, 10.0), method="bounded").x)


def holding_shift(
    logits: NDArray[np.float32], truth: NDArray[np.int64], is_new: NDArray[np.bool_], least: float
) -> float | None:
    """The largest shift of new classes at which a share ``least`` of the old texts is right.

    As ``new_class_shift`` otherwise. None where no shift is enough: old classes are taken for one
    another too often; and where there is no text of an old class.
    """
    old = ~is_new[truth]
    if not old.any() or not is_new.any():
        return None
    values, rows = logits[old].astype(np.float64), np.arange(int(old.sum()))
    own = values[rows, truth[old]]
    among_old = own >= np.where(is_new, -np.inf, values).max(axis=1)
    margins = np.sort((own - np.where(is_new, values, -np.inf).max(axis=1))[among_old])[::-1]
    # Of few texts a share is less than one of them: one may always be lost.
    wanted = int(np.floor(least * len(rows) + 1e-9))
    if wanted > len(margins):
        return None
    return float(margins[wanted - 1]) - 1e-4 if wanted else float("inf")


def forgetting(
    truth: Sequence[str], before: Sequence[str], after: Sequence[str]
) -> dict[str, Any] | None:
    """Recall of each old class by the old version and the new one, in [0, 1]; None without texts.

    ``before``, ``after`` and ``lost`` are means over the classes, ``worst`` is the class that lost
    most. All examples are held-out ones of old classes.
    """
    if not truth:
        return None
    true, old, new = (np.array(names, dtype=object) for names in (truth, before, after))
    classes = {}
    for label in sorted(set(truth)):
        own = true == label
        classes[label] = {
            "examples": int(own.sum()),
            "before": float((old[own] == label).mean()),
            "after": float((new[own] == label).mean()),
        }
    means = {name: float(np.mean([c[name] for c in classes.values()])) for name in _RECALLS}
    worst = max(classes, key=lambda label: classes[label]["before"] - classes[label]["after"])
    return {
        "examples": len(truth),
        **means,
        "lost": means["before"] - means["after"],
        "worst": worst,
        "classes": classes,
    }


_RECALLS = ("before", "after")
