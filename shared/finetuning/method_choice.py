"""``auto``: which method, by how many labels there are, with the reason in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from shared.finetuning.recipe import Method

FEW = 4
"""Median examples a class below which the frozen encoder with a linear head is kept."""


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """A method and why it was taken."""

    method: Method
    reason: str


def choose_method(asked: Method, counts: Counter[str], labels: int) -> MethodChoice:
    """The method asked for, or for ``auto`` the one that fits the training examples of a class.

    ``counts`` holds the training examples of each class, ``labels`` how many classes there are.
    """
    if asked != "auto":
        return MethodChoice(asked, f"{asked} was asked for")
    total = sum(counts.values())
    if total == 0:
        return MethodChoice("zero_shot", "there are no labelled training examples")
    if len(counts) < labels:
        return MethodChoice("zero_shot", f"{labels - len(counts)} classes have no example at all")
    middle = sorted(counts.values())[len(counts) // 2]
    if middle < FEW:
        return MethodChoice(
            "head",
            f"the median class has {middle} examples, fewer than {FEW}: too few to move "
            "the encoder",
        )
    return MethodChoice(
        "full",
        f"{total} examples of {len(counts)} classes, {middle} in the median class: "
        "enough to fine-tune the whole encoder",
    )
