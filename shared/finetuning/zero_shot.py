"""The method without training: class vectors from names and descriptions, through templates.

Where there are texts without labels, the vectors are calibrated against them: texts and classes are
each seen from their own mean, since names lie elsewhere than messages; and a class moves from its
name towards the texts that are probably its own.

Source: Radford et al., "Learning transferable visual models", 2021, arXiv:2103.00020 (ensembles of
templates); Yin et al., "Benchmarking zero-shot text classification", 2019, arXiv:1909.00161; Ren et
al., "Meta-learning for semi-supervised few-shot classification", 2018, arXiv:1803.00676 (class
vectors refined by soft k-means); Zhao et al., "Calibrate before use", 2021, arXiv:2102.09690 (the
bias towards some answers, taken out without labels).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TEMPLATES: tuple[str, ...] = (
    "{}",
    "This message is about {}.",
    "I have a question about {}.",
    "The customer wants help: {}.",
)

SCALE = 20.0
"""Factor on the cosines: temperature scaling corrects it where there are labels."""

ROUNDS = 10
"""How often texts are given to classes and class vectors moved to their texts."""

WEIGHT_OF_NAME = 10.0
"""Texts that the name of a class counts for."""

WEIGHT_OF_ZERO = 30.0
"""Texts that the origin counts for in a mean: a few texts do not tell where texts lie."""


def readable(label: str) -> str:
    """A label as words: ``card_arrival`` and ``cardArrival`` become ``card arrival``."""
    spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in label.replace("_", " "))
    return " ".join(spaced.replace("-", " ").split())


def prompts_of(
    label: str,
    descriptions: Mapping[str, str] | None = None,
    templates: Sequence[str] = TEMPLATES,
) -> list[str]:
    """What stands for a class: its name in each template, and its description where there is one.

    A template has ``{}`` where the name goes.
    """
    texts = [template.format(readable(label)) for template in templates]
    described = (descriptions or {}).get(label)
    return [*texts, described] if described else texts


def class_vectors(
    labels: Sequence[str],
    embed: Callable[[Sequence[str]], NDArray[np.float32]],
    *,
    descriptions: Mapping[str, str] | None = None,
    templates: Sequence[str] = TEMPLATES,
) -> NDArray[np.float32]:
    """A unit vector for each label, float32 [classes, dimensions]: the mean over its prompts.

    A label's description, where there is one, counts as one more prompt.
    """
    prompts: list[str] = []
    owners: list[int] = []
    for number, label in enumerate(labels):
        texts = prompts_of(label, descriptions, templates)
        prompts.extend(texts)
        owners.extend([number] * len(texts))
    vectors = embed(prompts)
    sums = np.zeros((len(labels), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, owners, vectors)
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class ZeroShotHead:
    """Logits are ``scale * vectors @ weight.T + bias`` of vectors of length 1.

    ``weight`` [classes, dimensions] has rows of length 1; ``bias`` [classes].
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    scale: float


def zero_shot_head(
    classes: NDArray[np.float32], unlabelled: NDArray[np.float32] | None = None
) -> ZeroShotHead:
    """A head of class vectors [classes, dimensions], calibrated against texts [n, dimensions].

    Both are of length 1. Without texts the class vectors are the head. With them, a logit is
    ``SCALE`` times the product of a moved class vector with the text less the texts' mean, in units
    of the mean length of such differences.
    """
    count = len(classes)
    if unlabelled is None or len(unlabelled) == 0:
        return ZeroShotHead(classes, np.zeros(count, dtype=np.float32), SCALE)
    number = len(unlabelled)
    trusted = number / (number + WEIGHT_OF_ZERO)
    centre = trusted * unlabelled.mean(axis=0)
    apart = unlabelled - centre
    spread = max(float(np.linalg.norm(apart, axis=1).mean()), 1e-6)
    texts = _unit(apart)
    # The mean of two classes lies between them: taken away whole it would leave one line.
    names = _unit(classes - trusted * (1 - 1 / count) * classes.mean(axis=0))
    weight = names
    for _ in range(ROUNDS):
        given = _probabilities(texts @ weight.T)
        weight = _unit(given.T @ texts + WEIGHT_OF_NAME * names)
    scale = SCALE / spread
    return ZeroShotHead(
        weight.astype(np.float32), (-scale * (weight @ centre)).astype(np.float32), scale
    )


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def _probabilities(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    values = np.exp(SCALE * (cosines - cosines.max(axis=1, keepdims=True)))
    return np.asarray(values / values.sum(axis=1, keepdims=True), dtype=np.float32)
