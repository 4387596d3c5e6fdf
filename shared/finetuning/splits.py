"""Step one: examples are split so that every later number can be trusted."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.errors import EmptyData, SingleClass
from shared.records import SPLIT_NAMES, Dataset, Example, SplitName, Splits


@dataclass(frozen=True, slots=True)
class Shares:
    """What share of the examples goes to each held-out split; the rest trains."""

    validation: float = 0.08
    gate: float = 0.04
    test: float = 0.15

    def __post_init__(self) -> None:
        if min(self.validation, self.gate, self.test) < 0:
            raise ValueError("a share is not negative")
        if self.validation + self.gate + self.test >= 0.9:
            raise ValueError("the held-out shares leave less than a tenth for training")

    def given(self, stated: Iterable[SplitName]) -> Shares:
        """The shares that are still to be drawn when the source states some splits itself."""
        known = set(stated)
        return Shares(
            *(0.0 if n in known else getattr(self, n) for n in ("validation", "gate", "test"))
        )


def split_examples(
    dataset: Dataset,
    shares: Shares | None = None,
    assigned: Mapping[str, SplitName] | None = None,
    salt: str = "triptych",
    fewest: int = 2,
) -> Splits:
    """Give every example its split, each class in the same shares.

    The source's own splits stand; what it does not state is drawn out of its training examples.
    ``assigned`` maps the fingerprint of a text to the split that an earlier version gave it: it
    comes first, so no example ever moves from test to train, and new examples that state
    ``train`` train. The rest is drawn by a stable hash of the folded text and ``salt``, class
    by class: order of the file and seed play no part. Examples of one group stay together: a
    group goes where its most held-out member is stated to go, and is drawn as one.

    Texts that fold alike are one: the copy of the most held-out split stays, the others are
    counted in ``removed_duplicates``. A text that has several labels is ambiguous: in the same
    split its copies are all removed (``removed_conflicts``), else the most held-out one stays.

    Raises EmptyData when no training example is left, SingleClass when one class is and two are
    the ``fewest``.
    """
    assigned = assigned or {}
    unique, duplicates, conflicts = _deduplicate(dataset.examples, assigned)
    stated: list[Example] = []
    pool: list[Example] = []
    homes = _homes(unique, assigned)
    for example in unique:
        known = homes[example.group_key]
        drawn = known is None or (known == "train" and not assigned)
        (pool if drawn else stated).append(example)
    to_draw = shares or Shares()
    if not assigned:
        to_draw = to_draw.given(example.split for example in stated if example.split)
    result: dict[SplitName, list[Example]] = {name: [] for name in SPLIT_NAMES}
    for example in stated:
        result[homes[example.group_key] or "train"].append(example)
    for members in _by_label(pool).values():
        for name, chosen in _draw(members, to_draw, salt).items():
            result[name].extend(chosen)
    splits = Splits(
        train=tuple(result["train"]),
        validation=tuple(result["validation"]),
        gate=tuple(result["gate"]),
        test=tuple(result["test"]),
        removed_duplicates=duplicates,
        removed_conflicts=conflicts,
    )
    if not splits.labels:
        raise EmptyData(f"no training example is left in {dataset.name}", name=dataset.name)
    if len(splits.labels) < fewest:
        only = splits.labels[0]
        message = f"all training examples of {dataset.name} are labelled {only!r}: two are needed"
        raise SingleClass(message, name=dataset.name, label=only)
    return splits


def fold_examples(
    examples: Iterable[Example], folds: int, salt: str = "triptych"
) -> list[list[Example]]:
    """The examples dealt into folds of equal size, each class evenly and no group torn apart.

    By a stable hash, as the splits: order and seed play no part.
    """
    if folds < 2:
        raise ValueError(f"cross-validation needs at least 2 folds, not {folds}")
    dealt: list[list[Example]] = [[] for _ in range(folds)]
    place = 0
    for groups in _by_label(examples).values():
        for members in sorted(groups, key=lambda group: _rank(group[0], salt)):
            dealt[place % folds].extend(members)
            place += 1
    return dealt


def assignments(splits: Splits) -> dict[str, SplitName]:
    """The split of every text and group by fingerprint, for the next version's ``assigned``."""
    return {
        key: name
        for name in SPLIT_NAMES
        for example in splits[name]
        for key in (example.key, example.group_key)
    }


_HELD_OUT_ORDER = {"test": 0, "gate": 1, "validation": 2, "train": 3, None: 4}


def _homes(
    examples: Iterable[Example], assigned: Mapping[str, SplitName]
) -> dict[str, SplitName | None]:
    """The split of each group: the most held-out of those that its members have, if any."""
    homes: dict[str, SplitName | None] = {}
    for example in examples:
        own = assigned.get(example.key, assigned.get(example.group_key, example.split))
        other = homes.setdefault(example.group_key, own)
        if _HELD_OUT_ORDER[own] < _HELD_OUT_ORDER[other]:
            homes[example.group_key] = own
    return homes


def _deduplicate(
    examples: Sequence[Example], assigned: Mapping[str, SplitName]
) -> tuple[list[Example], int, int]:
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.key].append(example)
    unique: list[Example] = []
    duplicates = conflicts = 0
    for key, copies in groups.items():
        if key in assigned:
            unique.append(copies[-1])
            duplicates += len(copies) - 1
            continue
        rank = min(_HELD_OUT_ORDER[copy.split] for copy in copies)
        kept = [copy for copy in copies if _HELD_OUT_ORDER[copy.split] == rank]
        if len({copy.label for copy in kept}) > 1:
            conflicts += len(copies)
            continue
        unique.append(kept[0])
        duplicates += len(copies) - 1
    return unique, duplicates, conflicts


def _by_label(examples: Iterable[Example]) -> dict[str, list[list[Example]]]:
    """The groups of each class; with several classes, one by fingerprint."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        groups[example.group_key].append(example)
    by_label: dict[str, list[list[Example]]] = defaultdict(list)
    for members in groups.values():
        by_label[min(members, key=lambda example: example.key).label].append(members)
    return dict(sorted(by_label.items()))


def _draw(
    groups: Sequence[list[Example]], shares: Shares, salt: str
) -> dict[SplitName, list[Example]]:
    """Split the groups of one class; at least one of them is left for training."""
    order = sorted(groups, key=lambda members: _rank(members[0], salt))
    drawn: dict[SplitName, list[list[Example]]] = {}
    names: tuple[SplitName, ...] = ("test", "gate", "validation")
    taken, share = 0, 0.0
    for name in names:
        share += getattr(shares, name)
        end = max(taken, min(round(len(order) * share), len(order) - 1))
        drawn[name] = order[taken:end]
        taken = end
    drawn["train"] = order[taken:]
    return {name: [e for members in chosen for e in members] for name, chosen in drawn.items()}


def _rank(example: Example, salt: str) -> str:
    return hashlib.blake2b(f"{salt}\x00{example.group_key}".encode(), digest_size=8).hexdigest()
