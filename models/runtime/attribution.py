"""Which words spoke for a class, without gradients: words are masked and the graph is asked again.

Shapley values by sampled orders (Strumbelj and Kononenko, "Explaining prediction models and
individual predictions with feature contributions", 2014): from the text with every word masked,
words come back one by one in a random order and in its reverse (Mitchell et al., "Sampling
permutations for Shapley value estimation", 2022), and a word's weight is the mean of what its
return did to the logit. In each order the steps sum to the whole difference, and so do the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.runtime.session import OnnxReader
from models.text_predictor import VersionPredictor
from models.text_words import WORD, merge_pieces
from shared.errors import NotFound
from shared.records import TokenAttribution

READINGS: Final = 384
"""Changed texts that are read, about; a long text is read for two orders whatever it takes."""

MOST_PAIRS: Final = 16
SEED: Final = 0


def explain_by_masking(
    predictor: VersionPredictor, text: str, label: str, *, readings: int = READINGS
) -> list[TokenAttribution]:
    """The words of the text in order, each with its weight in units of the class's logit.

    Words beyond the encoder's longest input are left out. The same text has the same weights every
    time. Raises NotFound when the model has no such class.
    """
    if label not in predictor.labels:
        raise NotFound(f"the model knows no class {label!r}", label=label)
    reader = predictor.reader
    if not isinstance(reader, OnnxReader):
        raise TypeError(f"{type(reader).__name__} is no graph")
    text = reader.encoder.read(text)
    encoding = reader.encoder.tokenise([text])[0]
    ids = np.array(encoding.ids, dtype=np.int64)
    offsets = [
        (0, 0) if special else (int(start), int(end))
        for (start, end), special in zip(
            encoding.offsets, encoding.special_tokens_mask, strict=True
        )
    ]
    players = _players(text, offsets)
    count = int(players.max(initial=-1)) + 1
    weights = np.zeros(len(ids))
    if count:
        pairs = max(1, min(MOST_PAIRS, readings // (2 * count)))
        shown = _orders(count, pairs)
        column = predictor.labels.index(label)
        values = _values(reader, ids, players, shown, column)
        gains = _mean_gains(shown, values)
        first = [int(np.flatnonzero(players == player)[0]) for player in range(count)]
        weights[first] = gains
    return merge_pieces(text, offsets, weights.tolist())


def _players(text: str, offsets: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The word of each token, counted over words that have tokens, int64 [t]; -1 for none."""
    starts = [word.start() for word in WORD.finditer(text)]
    found = np.full(len(offsets), -1, dtype=np.int64)
    for place, (start, end) in enumerate(offsets):
        piece = text[start:end]
        if starts and piece.strip():
            begin = start + len(piece) - len(piece.lstrip())
            found[place] = max(0, int(np.searchsorted(starts, begin, side="right")) - 1)
    inside = found >= 0
    found[inside] = np.unique(found[inside], return_inverse=True)[1]
    return found


def _orders(count: int, pairs: int) -> NDArray[np.int64]:
    """Orders of the words and their reverses, int64 [2 * pairs, count]."""
    random = np.random.default_rng(SEED)
    orders = np.stack([random.permutation(count) for _ in range(pairs)])
    return np.concatenate([orders, orders[:, ::-1]]).astype(np.int64)


def _values(
    reader: OnnxReader,
    ids: NDArray[np.int64],
    players: NDArray[np.int64],
    orders: NDArray[np.int64],
    column: int,
) -> NDArray[np.float64]:
    """The class's logit of each step of each order, float64 [orders, words + 1]."""
    count = orders.shape[1]
    known: dict[bytes, int] = {}
    texts: list[list[int]] = []
    rows = np.empty((len(orders), count + 1), dtype=np.int64)
    for number, order in enumerate(orders):
        visible = np.zeros(count + 1, dtype=bool)
        visible[-1] = True  # players of -1: what is never masked
        for step in range(count + 1):
            if step:
                visible[order[step - 1]] = True
            key = visible.tobytes()
            if key not in known:
                known[key] = len(texts)
                masked = np.where(visible[players], ids, reader.encoder.masked_id)
                texts.append(masked.tolist())
            rows[number, step] = known[key]
    logits = reader.logits_of(reader.encoder.embed_ids(texts))[:, column].astype(np.float64)
    values: NDArray[np.float64] = logits[rows]
    return values


def _mean_gains(orders: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each word's return did to the logit, float64 [words], averaged over the orders."""
    gains = np.zeros(orders.shape[1])
    np.add.at(gains, orders.ravel(), np.diff(values, axis=1).ravel())
    return gains / len(orders)
