"""A fitted recommender as the files of a version: safetensors and JSON, nothing pickled.

behaviour.safetensors   the matrix of items, or their factors
texts.safetensors       words, maps, and the encoder's vector of each text
items.json              ids, texts and what the behaviour is
encoder/                the encoder, where it was fine-tuned on this catalogue
gate.safetensors        held-out events, without their users' names: what promotion compares by
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.recommendation.behaviour import KINDS
from models.recommendation.item_texts import TextSpace
from models.recommendation.item_tower import ItemTower
from models.recommendation.recommender import Blend, Recommender
from models.recommendation.text_features import TextFeatures
from shared.errors import UnreadableFile
from shared.histories import Histories, Rows, UserHistory

BEHAVIOUR = "behaviour.safetensors"
TEXTS = "texts.safetensors"
ITEMS = "items.json"
GATE = "gate.safetensors"
ENCODER = "encoder"

FOREIGN = (LookupError, TypeError, ValueError, AttributeError)
"""What files raise that hold something else than was looked for."""


@dataclass(frozen=True, eq=False, slots=True)
class GateEvents:
    """Histories and the item that each user took next, held out of the fit; nobody is named.

    Histories are over the bundle's items; ``targets`` int64 [users] are rows.
    """

    histories: Histories
    targets: Rows

    def __post_init__(self) -> None:
        rows = np.concatenate([self.histories.rows, self.targets])
        if len(self.targets) != self.histories.users:
            raise ValueError("needs one target a user")
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.histories.items:
            raise ValueError("names rows that no item has")

    def of_user(self, user: int) -> UserHistory:
        """One of the histories."""
        return self.histories.of_user(user)


def write_bundle(folder: Path, recommender: Recommender, gate: GateEvents) -> None:
    """Write all of it into an empty folder."""
    from safetensors.numpy import save_file

    save_file(_contiguous(recommender.behaviour.arrays()), folder / BEHAVIOUR)
    texts: dict[str, NDArray[Any]] = {
        **recommender.space.features.arrays(),
        "taken": recommender.space.tower.taken,
        "offered": recommender.space.tower.offered,
        "encoded": recommender.texts.encoded,
        "dense": recommender.texts.dense,
        "words_data": recommender.texts.words.data,
        "words_indices": recommender.texts.words.indices,
        "words_starts": recommender.texts.words.indptr,
        "takers": recommender.takers,
        "popularity": recommender.popularity,
    }
    save_file(_contiguous(texts), folder / TEXTS)
    histories = gate.histories
    events: dict[str, NDArray[Any]] = {
        "starts": histories.starts,
        "rows": histories.rows,
        "strengths": histories.strengths,
        "times": histories.times,
        "targets": gate.targets,
    }
    save_file(_contiguous(events), folder / GATE)
    described = {
        "behaviour": recommender.behaviour.kind,
        "blend": recommender.blend.as_card(),
        "ids": recommender.item_ids,
        "texts": recommender.item_texts,
    }
    (folder / ITEMS).write_text(json.dumps(described, ensure_ascii=False), encoding="utf-8")


def read_bundle(folder: Path) -> Recommender:
    """Read what ``write_bundle`` wrote. Raises UnreadableFile for anything else."""
    described = _described(folder)
    behaved, arrays = _arrays(folder / BEHAVIOUR), _arrays(folder / TEXTS)
    try:
        behaviour = KINDS[described["behaviour"]].of_arrays(behaved)
        space = TextSpace(
            TextFeatures.of_arrays(arrays), ItemTower(arrays["taken"], arrays["offered"])
        )
        return Recommender(
            item_ids=tuple(described["ids"]),
            item_texts=tuple(described["texts"]),
            behaviour=behaviour,
            space=space,
            texts=space.of_words(
                _words(space.features, arrays, described["texts"]),
                arrays["encoded"],
                arrays["dense"],
            ),
            takers=arrays["takers"],
            popularity=arrays["popularity"],
            blend=Blend(**described["blend"]),
        )
    except FOREIGN as error:
        raise UnreadableFile(f"{folder} is not a bundle: {error}", path=str(folder)) from error


def read_gate(folder: Path) -> GateEvents:
    """The held-out events of a bundle. Raises UnreadableFile."""
    described, arrays = _described(folder), _arrays(folder / GATE)
    try:
        ids = tuple(described["ids"])
        users = tuple(str(number) for number in range(len(arrays["starts"]) - 1))
        histories = Histories(
            ids, users, arrays["starts"], arrays["rows"], arrays["strengths"], arrays["times"]
        )
        return GateEvents(histories, arrays["targets"])
    except FOREIGN as error:
        raise UnreadableFile(f"{folder} holds no gate events: {error}", path=str(folder)) from error


def known_vectors(folder: Path) -> dict[str, NDArray[np.float32]]:
    """The encoder's vector of each text of a bundle, so that they are not encoded again. Raises
    UnreadableFile."""
    described, arrays = _described(folder), _arrays(folder / TEXTS)
    try:
        return dict(zip(described["texts"], arrays["encoded"], strict=True))
    except FOREIGN as error:
        raise UnreadableFile(f"{folder} holds no texts: {error}", path=str(folder)) from error


def _words(features: TextFeatures, arrays: Mapping[str, NDArray[Any]], texts: Sequence[str]) -> Any:
    """The texts' weighted words; bundles from before they were stored have them weighed again."""
    from scipy.sparse import csr_matrix

    if "words_data" not in arrays:
        return features.words(texts)
    parts = tuple(arrays[f"words_{name}"] for name in ("data", "indices", "starts"))
    return csr_matrix(parts, (len(texts), len(features.directions)))


def _described(folder: Path) -> dict[str, Any]:
    path = folder / ITEMS
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["behaviour"] not in KINDS:
            raise ValueError(f"no such behaviour: {found['behaviour']!r}")
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableFile(f"{path} cannot be read: {error}", path=str(path)) from error


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError, ValueError) as error:
        raise UnreadableFile(f"{path} cannot be read: {error}", path=str(path)) from error


def _contiguous(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    # safetensors ignores strides: a view would come back scrambled.
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
