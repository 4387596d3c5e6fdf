"""Encoders with fewer layers, or fewer heads in a layer, than they came with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from models.encoder import TextEncoder
from models.fewer_heads import HEADS, cut_heads


def head_counts(encoder: TextEncoder) -> list[int]:
    """Attention heads of each layer."""
    config: Any = encoder.backbone.config
    kept = getattr(config, HEADS, None)
    return list(kept) if kept else [int(config.num_attention_heads)] * len(encoder.layers)


@contextmanager
def only_layers(encoder: TextEncoder, kept: Sequence[int]) -> Iterator[None]:
    """Inside, the encoder has these layers alone; afterwards it is whole again."""
    layers = list(encoder.layers)
    before = _per_layer(encoder)
    place = encoder.layers
    _refill(encoder, place, [layers[number] for number in kept], before, kept)
    try:
        yield
    finally:
        _refill(encoder, place, layers, before, range(len(layers)))


def drop_layers(encoder: TextEncoder, kept: Sequence[int]) -> None:
    """Keep these layers (ascending) and forget the others, in place."""
    layers = list(encoder.layers)
    _refill(encoder, encoder.layers, [layers[n] for n in kept], _per_layer(encoder), kept)


def drop_heads(encoder: TextEncoder, kept: Sequence[NDArray[np.int64]]) -> None:
    """Keep these heads of each layer, in place: the matrices become smaller."""
    cut_heads(encoder.backbone, encoder.layers, kept)


def _per_layer(encoder: TextEncoder) -> dict[str, list[Any]]:
    config: Any = encoder.backbone.config
    names = ("layer_types", HEADS)
    return {n: list(getattr(config, n)) for n in names if getattr(config, n, None)}


def _refill(
    encoder: TextEncoder,
    place: nn.ModuleList,
    layers: Sequence[nn.Module],
    values: dict[str, list[Any]],
    kept: Sequence[int],
) -> None:
    """Put these layers in place; the configuration's lists with a value a layer follow."""
    while len(place):
        del place[len(place) - 1]
    place.extend(layers)
    config: Any = encoder.backbone.config
    config.num_hidden_layers = len(layers)
    for name, held in values.items():
        setattr(config, name, [held[number] for number in kept])
