"""People's corrections laid over the data that a version was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.records import Dataset


@dataclass(frozen=True, slots=True)
class Corrected:
    """A data set with people's corrections in it, and what they changed.

    ``relabelled`` counts texts of the original whose label a correction replaced, ``added``
    texts that the original does not have.
    """

    dataset: Dataset
    relabelled: int
    added: int


def with_corrections(original: Dataset, corrections: Dataset) -> Corrected:
    """``original`` where each corrected text bears its newest correction, and new texts follow.

    A text keeps its place and its split when its label changes: one that is held out for tests
    stays held out. New texts go to training. ``corrections`` come oldest first.
    """
    newest = {example.key: example for example in corrections.examples}
    relabelled: set[str] = set()
    examples = []
    for example in original.examples:
        correction = newest.get(example.key)
        if correction is not None and correction.label != example.label:
            details = {**example.details, **correction.details, "corrected_from": example.label}
            example = replace(example, label=correction.label, details=details)
            relabelled.add(example.key)
        examples.append(example)
    there = {example.key for example in original.examples}
    added = [replace(newest[key], split="train") for key in newest if key not in there]
    return Corrected(
        dataset=replace(original, examples=(*examples, *added)),
        relabelled=len(relabelled),
        added=len(added),
    )
