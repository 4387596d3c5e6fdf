"""How far the activations of a graph reach on texts like those to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.runtime.session import open_session

Batch = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Token ids and mask, both int64 [b, t]."""

Floats = NDArray[np.float32]


class Reach:
    """Least and greatest value of each channel of an activation, float32 [channels]."""

    def __init__(self) -> None:
        self.least = np.float32(np.inf) * np.ones(1, dtype=np.float32)
        self.greatest = -self.least

    def see(self, values: Floats, mask: NDArray[np.int64]) -> None:
        """Take in values [b, t, channels], padding left out, or rows of another shape."""
        rows = values.reshape(-1, values.shape[-1])
        if values.ndim == 3 and values.shape[:2] == mask.shape:
            rows = rows[mask.ravel() > 0]
        self.least = np.minimum(self.least, rows.min(axis=0))
        self.greatest = np.maximum(self.greatest, rows.max(axis=0))


def reaches_of(model: Any, names: Sequence[str], batches: Sequence[Batch]) -> dict[str, Reach]:
    """What the activations of these names reach on the batches."""
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = open_session(watched.SerializeToString(), 1)
    reaches = {name: Reach() for name in names}
    for ids, mask in batches:
        found = session.run(list(names), {"input_ids": ids, "attention_mask": mask})
        for name, values in zip(names, found, strict=True):
            reaches[name].see(values, mask)
    return reaches
