"""``auto``: which method fits the data, the machine and the time, with the reason in words.

The first line that holds is taken:

| what is there                                                       | method          |
|---------------------------------------------------------------------|-----------------|
| a version to go on from                                             | `continual`     |
| no labelled training example, or a class without any                | `zero_shot`     |
| fewer than 4 examples in the median class                           | `head`          |
| fewer than 50 in it, and 5 unlabelled texts for each labelled one   | `self_training` |
| fewer than 10 in it                                                 | `contrastive`   |
| fewer than 20 in it, or a time budget that holds four trainings     | `distilled`     |
| anything else                                                       | `full`          |

A time budget is held against an estimate by a probe on this device, which knows how long the texts
are. A method that does not fit gets fewer epochs; where fewer than a quarter of them (or not one)
would fit, the next line is taken, and `head` at last. Nor is a method with teachers taken whose
answers (texts times classes) are more than memory should hold. Where the largest class has 10 times
the examples of the median one, classes are weighed in the loss.

The median stands for all classes because a mean hides rare ones. No method is taken that needs
unlabelled text or a version where there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from shared.evaluation.label_quality import IMBALANCE
from shared.finetuning.budget import Estimate, spoken
from shared.finetuning.distillation import answers_fit
from shared.finetuning.methods import METHODS, Method

FEW: Final = 4
"""Median examples a class below which the frozen encoder with a linear head is kept."""

PAIRED: Final = 10
"""Median examples a class below which pairs teach more than labels alone."""

SCARCE: Final = 50
"""Median examples a class below which unlabelled texts are worth more than they cost."""

PLENTY: Final = 5
"""Unlabelled texts for each labelled one from which they are used."""

CHANCY: Final = 20
"""Median examples a class below which one training is much a matter of chance, and short: several
teachers are taken without being asked for."""


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method, why it was taken, and fields of the recipe that go with the choice."""

    method: Method
    reason: str
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What beside the labels decides.

    ``unlabelled`` texts at hand; whether a version is ``continued``; ``budget`` in seconds, to
    which an ``estimate`` belongs; ``tokens`` of the mean text and the ``device``, for the reason.
    """

    unlabelled: int = 0
    continued: bool = False
    budget: float | None = None
    estimate: Estimate | None = None
    tokens: float | None = None
    device: str = "cpu"


def choose_method(
    asked: Method,
    counts: Counter[str],
    labels: int,
    circumstances: Circumstances = Circumstances(),
) -> MethodChoice:
    """The method asked for, or for ``auto`` the one that fits; the module's table says which.

    ``counts`` holds the training examples of each class, ``labels`` how many classes there are.
    A budget cuts the epochs of either.
    """
    if asked != "auto":
        return _within_budget([(asked, f"{asked} was asked for")], circumstances)
    candidates = [
        (method, reason)
        for method, reason in _candidates(counts, labels, circumstances)
        if _has_what_it_needs(method, circumstances)
    ]
    choice = _within_budget(candidates, circumstances)
    middle, largest = _median(counts), max(counts.values(), default=0)
    if choice.method in ("zero_shot", "continual") or largest < IMBALANCE * middle:
        return choice
    return MethodChoice(
        choice.method,
        f"{choice.reason}; classes are weighed, for the largest has {largest:,} examples, "
        f"{largest / middle:.0f} times the median one",
        {**choice.fields, "class_weights": "balanced"},
    )


def _candidates(
    counts: Counter[str], labels: int, circumstances: Circumstances
) -> list[tuple[Method, str]]:
    """Methods with reasons, the best first, each cheaper than the one before."""
    total = sum(counts.values())
    unlabelled = circumstances.unlabelled
    if circumstances.continued:
        return [("continual", f"a version goes on learning from {total:,} examples")]
    if total == 0:
        return [("zero_shot", "there are no labelled training examples")]
    if len(counts) < labels:
        missing = labels - len(counts)
        have = "class has" if missing == 1 else "classes have"
        return [("zero_shot", f"{missing} of {labels} {have} no example at all")]
    middle = _median(counts)
    if middle < FEW:
        why = f"the median class has {middle} examples, fewer than {FEW}: too few to move "
        return [("head", f"{why}the encoder")]
    length = "" if circumstances.tokens is None else f" of {circumstances.tokens:.0f} tokens"
    what = f"{total:,} examples{length} of {len(counts)} classes, {middle} in the median class"
    full: tuple[Method, str] = ("full", f"{what}: enough to fine-tune the whole encoder")
    head: tuple[Method, str] = ("head", f"{what}: the frozen encoder is all that there is time for")
    holdable = answers_fit(total + unlabelled, len(counts))
    if holdable and middle < SCARCE and unlabelled >= PLENTY * total:
        with_more = f"{what}, and {unlabelled:,} unlabelled texts, {unlabelled // total} for each"
        return [("self_training", with_more), full, head]
    if middle < PAIRED:
        return [("contrastive", f"{what}: few enough to learn from pairs"), head]
    if holdable and middle < CHANCY:
        why = f"{what}: few enough that one training is chance, so several teachers agree"
        return [("distilled", why), full, head]
    if holdable and circumstances.budget is not None:
        return [("distilled", f"{what}, and time for several teachers"), full, head]
    return [full, head]


def _within_budget(
    candidates: list[tuple[Method, str]], circumstances: Circumstances
) -> MethodChoice:
    """The first candidate that the budget holds, with fewer epochs where it must be."""
    budget, estimate = circumstances.budget, circumstances.estimate
    if budget is None or estimate is None:
        return MethodChoice(*candidates[0])
    limit = f"the budget of {spoken(budget)} on {circumstances.device}"
    for place, (method, reason) in enumerate(candidates):
        epochs = estimate.epochs_within(method, budget)
        if epochs is None or (method == "distilled" and epochs < estimate.epochs):
            continue
        time = spoken(estimate.seconds(method, epochs))
        if epochs < estimate.epochs:
            less = f"{epochs:g} instead of {estimate.epochs:g} epochs take about {time} of {limit}"
            return MethodChoice(method, f"{reason}; {less}", {"epochs": epochs})
        lost = [name for name, _ in candidates[:place] if name != "distilled"]
        tail = f", which does not hold {lost[0]}" if lost else ""
        return MethodChoice(method, f"{reason}; about {time} of {limit}{tail}")
    method, reason = candidates[-1]
    least = estimate.seconds(method, estimate.least)
    return MethodChoice(
        method,
        f"{reason}; even so it takes about {spoken(least)}, more than {limit}",
        {} if METHODS[method].way in ("zero_shot", "head") else {"epochs": estimate.least},
    )


def _has_what_it_needs(method: Method, circumstances: Circumstances) -> bool:
    description = METHODS.get(method)
    if description is None:
        return False
    if description.needs_unlabelled and not circumstances.unlabelled:
        return False
    return circumstances.continued or not description.needs_version


def _median(counts: Counter[str]) -> int:
    return sorted(counts.values())[len(counts) // 2] if counts else 0
