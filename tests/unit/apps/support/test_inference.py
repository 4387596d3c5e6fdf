"""Readings by the version in use, and its replacement while requests run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from apps.support.inference import Desk, DeskInUse
from shared.errors import ManifestMismatch, NotReady
from tests.fakes.predictor import KeywordPredictor
from tests.fakes.support_desk import PointerFake, shop_desk

pytestmark = pytest.mark.unit


def desk(version: str) -> Desk:
    return shop_desk(KeywordPredictor(version=version))


def until(holds: object, seconds: float = 2.0) -> None:
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@contextmanager
def started(in_use: DeskInUse) -> Iterator[DeskInUse]:
    in_use.start()
    try:
        yield in_use
    finally:
        in_use.stop()


def test_a_reading_holds_what_the_version_saw_and_would_do() -> None:
    sure, unsure = desk("v").read(["refund", "quantum"])
    assert (sure.decision.action, unsure.decision.action) == ("answer", "handoff")
    expected = KeywordPredictor().embed(["refund", "quantum"])
    assert [sure.embedding.tolist(), unsure.embedding.tolist()] == expected.tolist()
    assert unsure.prediction.version == "v"


def test_nothing_is_served_before_the_first_version() -> None:
    pointer = PointerFake({"v1": desk("v1")})
    with started(DeskInUse(pointer, lambda version: version, poll_seconds=0.01)) as in_use:
        assert not in_use.ready
        assert in_use.version is None
        with pytest.raises(NotReady, match="triptych train support"):
            in_use.read(["refund"])
        pointer.used = "v1"
        until(lambda: in_use.ready)
        assert in_use.read(["refund"])[0].prediction.version == "v1"


def test_a_version_is_warmed_up_before_it_is_served() -> None:
    predictor = KeywordPredictor(version="v1")
    in_use = DeskInUse(PointerFake({"v1": shop_desk(predictor)}, "v1"), lambda version: version)
    assert in_use.refresh()
    assert predictor.calls, "no text was read before the swap"
    assert not in_use.refresh(), "the same version is loaded once"


def test_another_process_promotes_and_no_request_is_dropped() -> None:
    pointer = PointerFake({name: desk(name) for name in ("v1", "v2", "v3")}, "v1")

    def slow_load(version: Desk) -> Desk:
        time.sleep(0.1)
        return version

    with started(DeskInUse(pointer, slow_load, poll_seconds=0.01)) as in_use:
        seen: list[str] = []
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                readings = in_use.read(["refund", "my parcel"])
                assert len({one.prediction.version for one in readings}) == 1
                seen.append(readings[0].prediction.version)
                time.sleep(0.001)

        asking = threading.Thread(target=ask)
        asking.start()
        for name in ("v2", "v3", "v1"):
            pointer.used = name
            until(lambda name=name: in_use.version == name)
        until(lambda: seen[-1] == "v1")
        stop.set()
        asking.join()
    order = [name for place, name in enumerate(seen) if place == 0 or seen[place - 1] != name]
    assert order == ["v1", "v2", "v3", "v1"]


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_and_is_tried_again() -> None:
    pointer = PointerFake({"v1": desk("v1"), "v2": desk("v2")}, "v1")
    broken = {"v2"}

    def load(version: Desk) -> Desk:
        if version.version in broken:
            raise ManifestMismatch("encoder/model.safetensors changed")
        return version

    in_use = DeskInUse(pointer, load, poll_seconds=0.01, retry_seconds=0.02)
    with started(in_use):
        pointer.used = "v2"
        until(lambda: in_use.last_error is not None)
        assert in_use.last_error == "encoder/model.safetensors changed"
        assert in_use.read(["refund"])[0].prediction.version == "v1"
        broken.clear()
        until(lambda: in_use.version == "v2")
        assert in_use.last_error is None


def test_who_asks_for_a_refresh_hears_of_the_failure() -> None:
    pointer = PointerFake({}, "gone")
    in_use = DeskInUse(pointer, lambda version: version)
    with pytest.raises(Exception, match="no version gone"):
        in_use.refresh()


def test_a_stopped_desk_follows_no_more() -> None:
    pointer = PointerFake({"v1": desk("v1")}, "v1")
    with started(DeskInUse(pointer, lambda version: version, poll_seconds=0.01)):
        until(lambda: pointer.asked > 3)
    asked = pointer.asked
    time.sleep(0.05)
    assert pointer.asked == asked
