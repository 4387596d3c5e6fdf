"""Bundles come back bit for bit; what is broken or foreign is refused in words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from models.recommendation.bundle import (
    BEHAVIOUR,
    GATE,
    ITEMS,
    TEXTS,
    GateEvents,
    known_vectors,
    read_bundle,
    read_gate,
    write_bundle,
)
from models.recommendation.gate import hold_out
from models.recommendation.recommender import Recommender
from shared.errors import UnreadableFile
from tests.fakes.small_catalogue import fitted

pytestmark = pytest.mark.unit

Array = NDArray[Any]
FILES = (BEHAVIOUR, TEXTS, ITEMS, GATE)


@pytest.fixture(scope="module", params=["sequence_linear", "als"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Recommender, GateEvents]:
    recommender, histories = fitted(request.param)
    _, gate = hold_out(histories, one_in=2)
    assert len(gate.targets) > 5
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder, recommender, gate)
    return folder, recommender, gate


@pytest.fixture
def copied(world: tuple[Path, Recommender, GateEvents], tmp_path: Path) -> Path:
    return shutil.copytree(world[0], tmp_path / "copy")


def of_arrays(
    found: Mapping[str, Array], expected: Mapping[str, Array]
) -> list[tuple[Array, Array]]:
    assert set(found) == set(expected)
    return [(found[name], array) for name, array in expected.items()]


def test_a_bundle_comes_back_bit_for_bit(world: tuple[Path, Recommender, GateEvents]) -> None:
    folder, recommender, _ = world
    again = read_bundle(folder)
    for name in ("item_ids", "item_texts", "blend"):
        assert getattr(again, name) == getattr(recommender, name)
    assert again.behaviour.kind == recommender.behaviour.kind
    pairs = [
        *of_arrays(again.behaviour.arrays(), recommender.behaviour.arrays()),
        *of_arrays(again.space.features.arrays(), recommender.space.features.arrays()),
        (again.takers, recommender.takers),
        (again.popularity, recommender.popularity),
        (again.space.tower.taken, recommender.space.tower.taken),
        (again.space.tower.offered, recommender.space.tower.offered),
    ]
    for name in ("encoded", "dense", "taken", "offered"):
        pairs.append((getattr(again.texts, name), getattr(recommender.texts, name)))
    for found, expected in pairs:
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_words_come_back_and_are_weighed_again_where_none_were_stored(
    world: tuple[Path, Recommender, GateEvents], copied: Path
) -> None:
    """Bundles from before words were stored have none."""
    words = world[1].texts.words.toarray()
    np.testing.assert_array_equal(read_bundle(copied).texts.words.toarray(), words)
    arrays = load_file(copied / TEXTS)
    older = {name: array for name, array in arrays.items() if not name.startswith("words_")}
    assert len(older) == len(arrays) - 3
    save_file(older, copied / TEXTS)
    np.testing.assert_allclose(read_bundle(copied).texts.words.toarray(), words, atol=1e-6)


def test_it_scores_the_same(world: tuple[Path, Recommender, GateEvents]) -> None:
    folder, recommender, gate = world
    users = np.arange(gate.histories.users)
    np.testing.assert_array_equal(
        read_bundle(folder).score_users(gate.histories, users),
        recommender.score_users(gate.histories, users),
    )


def test_a_bundle_written_twice_is_the_same_files(
    world: tuple[Path, Recommender, GateEvents], tmp_path: Path
) -> None:
    write_bundle(tmp_path, read_bundle(world[0]), read_gate(world[0]))
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (world[0] / name).read_bytes(), name


def test_the_gate_comes_back_and_names_nobody(world: tuple[Path, Recommender, GateEvents]) -> None:
    folder, recommender, gate = world
    again = read_gate(folder)
    np.testing.assert_array_equal(again.targets, gate.targets)
    for name in ("starts", "rows", "strengths", "times"):
        np.testing.assert_array_equal(getattr(again.histories, name), getattr(gate.histories, name))
    assert again.histories.item_ids == recommender.item_ids
    everything = b"".join(path.read_bytes() for path in folder.iterdir())
    assert not any(user.encode() in everything for user in gate.histories.user_ids)
    np.testing.assert_array_equal(again.of_user(2).rows, gate.of_user(2).rows)


def test_an_empty_gate_comes_back(
    world: tuple[Path, Recommender, GateEvents], tmp_path: Path
) -> None:
    histories = world[2].histories.of_users(np.zeros(0, np.int64))
    write_bundle(tmp_path, world[1], GateEvents(histories, np.zeros(0, np.int64)))
    assert read_gate(tmp_path).histories.users == 0


def test_the_vectors_of_texts_are_known_again(
    world: tuple[Path, Recommender, GateEvents],
) -> None:
    folder, recommender, _ = world
    known = known_vectors(folder)
    assert set(known) == set(recommender.item_texts)
    np.testing.assert_array_equal(known[recommender.item_texts[7]], recommender.texts.encoded[7])


def read_all(folder: Path) -> None:
    read_bundle(folder)
    read_gate(folder)
    known_vectors(folder)


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return write


def noise(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(b"\xff\xfe nothing of the kind")


def arrays_without(name: str, array: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        arrays = load_file(folder / name)
        del arrays[array]
        save_file(arrays, folder / name)

    return write


def shorter(name: str, array: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        arrays = load_file(folder / name)
        save_file({**arrays, array: np.ascontiguousarray(arrays[array][:-1])}, folder / name)

    return write


def foreign(name: str) -> Callable[[Path], None]:
    return lambda folder: save_file({"other": np.zeros(3, np.float32)}, folder / name)


def described(**changes: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        whole = json.loads((folder / ITEMS).read_text())
        whole.update(changes)
        (folder / ITEMS).write_text(json.dumps({k: v for k, v in whole.items() if v is not None}))

    return write


def rows_beyond(folder: Path) -> None:
    arrays = load_file(folder / GATE)
    save_file({**arrays, "targets": arrays["targets"] + 1000}, folder / GATE)


def a_list(folder: Path) -> None:
    (folder / ITEMS).write_text("[1, 2]")


BREAKS: dict[str, Callable[[Path], None]] = {
    **{f"no {name}": without(name) for name in FILES},
    **{f"half of {name}": cut(name) for name in FILES},
    **{f"noise in {name}": noise(name) for name in FILES},
    **{f"foreign {name}": foreign(name) for name in (BEHAVIOUR, TEXTS, GATE)},
    **{f"no {array}": arrays_without(TEXTS, array) for array in ("encoded", "taken", "terms")},
    **{
        f"short {array}": shorter(TEXTS, array)
        for array in ("encoded", "dense", "taken", "takers", "popularity", "term_weights")
    },
    **{f"short gate {array}": shorter(GATE, array) for array in ("targets", "rows", "starts")},
    "gate of other items": rows_beyond,
    **{f"no {name}": described(**{name: None}) for name in ("behaviour", "blend", "ids", "texts")},
    "another behaviour": described(behaviour="forest"),
    "a behaviour that is a list": described(behaviour=["als"]),
    "another blend": described(blend={"decay": 0.5}),
    "fewer ids": described(ids=["i0"]),
    "ids that are a number": described(ids=3),
    "fewer texts": described(texts=["lens"]),
    "a list": a_list,
}


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS)
def test_broken_and_foreign_files_are_refused(copied: Path, broken: Callable[[Path], None]) -> None:
    read_all(copied)
    broken(copied)
    with pytest.raises(UnreadableFile, match=str(copied)):
        read_all(copied)


def test_the_matrix_of_one_kind_is_not_read_as_the_other(copied: Path) -> None:
    kind = json.loads((copied / ITEMS).read_text())["behaviour"]
    described(behaviour="als" if kind == "sequence_linear" else "sequence_linear")(copied)
    with pytest.raises(UnreadableFile):
        read_bundle(copied)


def test_a_gate_needs_a_target_each() -> None:
    _, histories = fitted()
    with pytest.raises(ValueError, match="one target a user"):
        GateEvents(histories, np.zeros(2, np.int64))
