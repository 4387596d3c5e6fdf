"""Which classes are taken for which: the pairs that matter, an order, and the matrix drawn.

Seventy-seven classes make 5,929 cells, nearly all empty. The report shows the largest pairs as
a list and the classes that are confused most as a matrix with names; the whole matrix follows
for who wants it. Classes that are confused stand side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

Counts = NDArray[np.int64]
NAMED_AT_MOST = 26
MOST_LISTED = 300
"""Classes up to which each has its row; of more those with the most errors and texts have one."""
NAMES = 280


@dataclass(frozen=True, slots=True)
class Confusion:
    """``count`` texts of class ``true`` were said to be ``predicted``; ``share`` of its texts."""

    true: str
    predicted: str
    count: int
    share: float


@dataclass(frozen=True, slots=True)
class Listed:
    """``labels`` that are shown, and texts by their numbers: ``truth`` and ``predicted`` int[n].

    Where there are too many classes the last label stands for all others, ``whole`` is False, and
    texts are left out that are of one other class and were said to be of another.
    """

    labels: list[str]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    whole: bool


def listed_classes(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    labels: Sequence[str],
    most: int = MOST_LISTED,
) -> Listed:
    """All classes, or the ``most`` of them that have the most errors; of equals, the most texts."""
    size = len(labels)
    if size <= most:
        return Listed(list(labels), truth, predicted, True)
    wrong = truth != predicted
    errors, texts = (
        np.bincount(truth[rows], minlength=size) + np.bincount(predicted[rows], minlength=size)
        for rows in (wrong, np.ones(len(truth), dtype=bool))
    )
    shown = np.sort(np.lexsort((-texts, -errors))[:most])
    place = np.full(size, most, dtype=np.int64)
    place[shown] = np.arange(most)
    kept = (place[truth] < most) | (place[predicted] < most)
    names = [*(labels[number] for number in shown), f"{size - most:,} other classes"]
    return Listed(names, place[truth][kept], place[predicted][kept], False)


def largest_confusions(counts: Counts, labels: Sequence[str], most: int = 15) -> list[Confusion]:
    """The pairs with the most errors, the largest first; equal ones by name."""
    support = counts.sum(axis=1)
    pairs = [
        Confusion(
            labels[row],
            labels[column],
            int(counts[row, column]),
            float(counts[row, column] / support[row]),
        )
        for row, column in zip(*np.nonzero(counts), strict=True)
        if row != column
    ]
    pairs.sort(key=lambda pair: (-pair.count, -pair.share, pair.true, pair.predicted))
    return pairs[:most]


def most_confused(counts: Counts, most: int = NAMED_AT_MOST) -> list[int]:
    """The classes of the largest pairs, until ``most`` are together."""
    errors = counts - np.diag(np.diag(counts))
    chosen: dict[int, None] = {}
    for cell in np.argsort(-errors, axis=None, kind="stable"):
        row, column = divmod(int(cell), len(errors))
        if errors[row, column] == 0 or len({*chosen, row, column}) > most:
            break
        chosen[row] = chosen[column] = None
    return sorted(chosen)


def side_by_side(counts: Counts, classes: Sequence[int]) -> list[int]:
    """The classes in an order that puts those near each other that are confused."""
    if len(classes) < 3:
        return list(classes)
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    part = counts[np.ix_(classes, classes)].astype(float)
    both = part + part.T
    np.fill_diagonal(both, 0.0)
    distance = 1.0 / (1.0 + both)
    np.fill_diagonal(distance, 0.0)
    condensed = squareform(distance, checks=False)
    tree = linkage(condensed, "average")
    if len(classes) <= 200:
        tree = optimal_leaf_ordering(tree, condensed)
    return [classes[int(leaf)] for leaf in leaves_list(tree)]


def draw_matrix(counts: Counts, labels: Sequence[str], classes: Sequence[int], cell: int) -> Markup:
    """The matrix of the classes: names at the left stay in place, the cells can be scrolled.

    Rows are true classes and carry their number; columns carry the number alone. A cell's
    strength is its share of the row; numbers are written where ``cell`` leaves room.
    """
    size, head = len(classes), 22
    width = height = size * cell
    support = np.maximum(counts.sum(axis=1), 1)
    letters = min(11.5, max(8.5, cell * 0.82))
    names, heads, cells = [], [], []
    for place, number in enumerate(classes):
        middle = head + place * cell + cell / 2 + letters * 0.35
        name = "".join(
            f'<tspan class="{style}">{escape(shorten(labels[number], most))}</tspan>'
            for style, most in (("wide", 36), ("narrow", 17))
        )
        names.append(
            f'<text x="{NAMES - 28}" y="{middle:.1f}" class="end">'
            f"<title>{escape(labels[number])}</title>{name}</text>"
            f'<text x="{NAMES - 4}" y="{middle:.1f}" class="tick end">{place + 1}</text>'
        )
        if cell >= 14 or (place + 1) % 5 == 0:
            heads.append(
                f'<text x="{place * cell + cell / 2:.1f}" y="15" class="tick middle">'
                f"{place + 1}</text>"
            )
    for row, true in enumerate(classes):
        for column, said in enumerate(classes):
            count = int(counts[true, said])
            if not count:
                continue
            share = count / support[true]
            kind = "right" if row == column else "wrong"
            strength = share * 0.85 if row == column else min(1.0, 0.18 + 2.2 * share)
            hint = f"{count} of {int(support[true])} {labels[true]} said to be {labels[said]}"
            x, y = column * cell, head + row * cell
            cells.append(
                f'<rect class="cell {kind}" x="{x}" y="{y}" width="{cell - 1}" '
                f'height="{cell - 1}" fill-opacity="{strength:.2f}">'
                f"<title>{escape(hint)}</title></rect>"
            )
            if cell >= 20:
                style = "count strong" if strength > 0.6 else "count"
                cells.append(
                    f'<text class="{style}" x="{x + cell / 2 - 0.5}" '
                    f'y="{y + cell / 2 + 4:.1f}">{count}</text>'
                )
    font = f'style="font-size:{letters:.1f}px"'
    return Markup(  # nosec B704
        f'<div class="matrix"><div class="names"><svg width="{NAMES}" '
        f'height="{head + height + 4}" {font} aria-hidden="true">'
        f'{"".join(names)}</svg></div><div class="scroll"><svg width="{width}" '
        f'height="{head + height + 4}" {font} role="img" aria-label="Confusion matrix of {size} '
        f'classes"><rect class="ground" y="{head}" width="{width}" height="{height}"/>'
        f"{''.join(heads)}{''.join(cells)}</svg></div></div>"
    )


def shorten(label: str, most: int) -> str:
    """A name of at most ``most`` letters: its middle goes, since both ends tell names apart."""
    if len(label) <= most:
        return label
    tail = (most - 1) // 2
    return f"{label[: most - 1 - tail]}…{label[-tail:]}"
