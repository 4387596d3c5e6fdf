"""Bulk embedding: unit vectors of texts by the pre-trained encoder, or by another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.settings import Settings

if TYPE_CHECKING:
    import pyarrow

    from models.scale.bulk import Compute


@dataclass(frozen=True, slots=True)
class Embedding:
    """A table with a column ``vector``, float32 of fixed size. ``encoder`` is a name or folder."""

    settings: Settings
    encoder: str | None = None

    def open(self, threads: int | None) -> Compute:
        """Load the encoder in the runtime that the settings ask for."""
        from models.runtime.serving import shared_encoder

        settings = with_threads(self.settings, threads)
        encoder = shared_encoder(settings, self.encoder)

        def compute(texts: Sequence[str]) -> pyarrow.Table:
            import pyarrow

            vectors = encoder.embed(list(texts))
            flat = pyarrow.array(vectors.reshape(-1), "float32")
            column = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
            return pyarrow.table({"vector": column})

        return compute


def with_threads(settings: Settings, threads: int | None) -> Settings:
    """The settings with so many threads of a model, torch's and the tokenizer's among them."""
    if threads is None:
        return settings
    import os

    # Both are read when the libraries are first used, which a worker has not done yet.
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = str(threads)
    return settings.model_copy(update={"serving_threads": threads})
