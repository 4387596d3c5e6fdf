"""Structured pruning: whole layers and attention heads go, and the rest recovers.

Source: Michel et al., "Are sixteen heads really better than one?", 2019, arXiv:1905.10650; Sajjad
et al., "On the effect of dropping layers of pre-trained transformer models", 2023,
arXiv:2004.03844.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from shared.finetuning.method_settings import MethodSettings


class PruningSettings(MethodSettings):
    """Fields of ``recipe.pruning``."""

    layers: int = Field(default=0, ge=0, description="layers kept; 0 keeps all")
    heads: float = Field(default=0.0, ge=0, lt=1, description="share of attention heads dropped")
    choice: Literal["importance", "spread"] = Field(
        default="importance",
        description="keep the layers that validation misses most, or spread them evenly",
    )
    recovery: float = Field(
        default=0.5, ge=0, le=1, description="share of the epochs in which the rest recovers"
    )
    temperature: float = Field(
        default=2.0, gt=0, description="that softens the answers of the whole model"
    )
    weight: float = Field(default=0.7, ge=0, le=1, description="of its answers beside the labels")


def spread_layers(depth: int, kept: int) -> tuple[int, ...]:
    """``kept`` of ``depth`` layers at even distances, the lowest and the highest among them."""
    if not 1 <= kept <= depth:
        raise ValueError(f"{kept} of {depth} layers cannot be kept")
    if kept == 1:
        return (0,)
    return tuple(round(place * (depth - 1) / (kept - 1)) for place in range(kept))


def needed_layers(
    depth: int, kept: int, loss_with: Callable[[tuple[int, ...]], float]
) -> tuple[int, ...]:
    """``kept`` layers, found by dropping again and again the one whose loss is missed least.

    ``loss_with`` measures the model with these layers alone. The lowest layer always stays: it
    reads the embeddings, and some families build it in a way of its own.
    """
    if not 1 <= kept <= depth:
        raise ValueError(f"{kept} of {depth} layers cannot be kept")
    layers = tuple(range(depth))
    while len(layers) > kept:
        tried = [tuple(n for n in layers if n != dropped) for dropped in layers[1:]]
        layers = min(tried, key=loss_with)
    return layers


def needed_heads(
    importance: Sequence[NDArray[np.float64]], share: float
) -> list[NDArray[np.int64]]:
    """The heads that stay in each layer, ascending, once ``share`` of all heads were dropped.

    ``importance`` holds one value a head for each layer; it is divided by the layer's norm, as
    layers differ in scale. One head at least stays in each layer.
    """
    scaled = [values / max(float(np.linalg.norm(values)), 1e-12) for values in importance]
    stays = [np.ones(len(values), dtype=bool) for values in scaled]
    order = sorted(
        (
            (float(value), layer, head)
            for layer, v in enumerate(scaled)
            for head, value in enumerate(v)
        )
    )
    left = int(share * len(order))
    for _, layer, head in order:
        if left and stays[layer].sum() > 1:
            stays[layer][head] = False
            left -= 1
    return [np.flatnonzero(mask).astype(np.int64) for mask in stays]


def cost_table(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Lines for people: what pruning cost and what it gained.

    Both hold ``layers``, ``heads``, ``parameters``, ``accuracy`` in [0, 1] or None, ``loss``, and
    ``texts_per_second``.
    """
    rows = [("", "whole", "pruned", "change")]
    for name in ("layers", "heads", "parameters"):
        change = f"{100 * (after[name] / before[name] - 1):+.0f} %" if before[name] else ""
        rows.append((name, f"{before[name]:,}", f"{after[name]:,}", change))
    points = 100 * (after["accuracy"] - before["accuracy"])
    rows.append(
        (
            "accuracy",
            f"{100 * before['accuracy']:.2f} %",
            f"{100 * after['accuracy']:.2f} %",
            f"{points:+.2f} points",
        )
    )
    rows.append(
        (
            "loss",
            f"{before['loss']:.3f}",
            f"{after['loss']:.3f}",
            f"{after['loss'] - before['loss']:+.3f}",
        )
    )
    rows.append(
        (
            "texts a second",
            f"{before['texts_per_second']:,.0f}",
            f"{after['texts_per_second']:,.0f}",
            f"{after['texts_per_second'] / max(before['texts_per_second'], 1e-9):.2f} times",
        )
    )
    return ["{:<16}{:>14}{:>14}{:>16}".format(*row) for row in rows]
