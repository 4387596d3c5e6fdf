"""People's corrections laid over the data that a version was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.records import Dataset, Example, SplitName

TRAINING = (None, "train")


@dataclass(frozen=True, slots=True)
class Corrected:
    """A data set with people's corrections in it, and what they changed.

    ``splits`` gives training, by fingerprint, each corrected text that the original does not hold
    out: else some would be drawn for tests, and people's work would teach nothing. The splits of
    an earlier version come before these. ``relabelled`` counts texts of the original whose label
    a correction replaced, ``added`` texts that the original does not have.
    """

    dataset: Dataset
    splits: Mapping[str, SplitName]
    relabelled: int
    added: int


def with_corrections(original: Dataset, corrections: Dataset) -> Corrected:
    """``original`` where each corrected text bears its newest correction, and new texts follow.

    A text keeps its place and its split when its label changes: one that is held out for tests
    stays held out. ``corrections`` come oldest first.
    """
    newest = {example.key: example for example in corrections.examples}
    relabelled: set[str] = set()
    examples: list[Example] = []
    for example in original.examples:
        correction = newest.get(example.key)
        if correction is not None and correction.label != example.label:
            details = {**example.details, **correction.details, "corrected_from": example.label}
            example = replace(example, label=correction.label, details=details)
            relabelled.add(example.key)
        examples.append(example)
    there = {example.key for example in original.examples}
    held_out = {example.key for example in original.examples if example.split not in TRAINING}
    added = [replace(newest[key], split="train") for key in newest if key not in there]
    return Corrected(
        dataset=replace(original, examples=(*examples, *added)),
        splits={key: "train" for key in newest if key not in held_out},
        relabelled=len(relabelled),
        added=len(added),
    )
