"""The method without training: class vectors from names and descriptions, through templates.

Source: Radford et al., "Learning transferable visual models", 2021 (ensembles of templates);
Yin et al., "Benchmarking zero-shot text classification", 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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


def readable(label: str) -> str:
    """A label as words: ``card_arrival`` and ``cardArrival`` become ``card arrival``."""
    spaced = "".join(f" {c.lower()}" if c.isupper() else c for c in label.replace("_", " "))
    return " ".join(spaced.replace("-", " ").split())


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
        texts = [template.format(readable(label)) for template in templates]
        described = (descriptions or {}).get(label)
        texts += [described] if described else []
        prompts.extend(texts)
        owners.extend([number] * len(texts))
    vectors = embed(prompts)
    sums = np.zeros((len(labels), vectors.shape[1]), dtype=np.float32)
    np.add.at(sums, owners, vectors)
    return np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), dtype=np.float32)
