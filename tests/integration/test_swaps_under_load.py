"""Versions are swapped while requests run: none is dropped, and no memory stays behind."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import uvicorn

from apps.support.bootstrap import SupportSettings, served_support
from apps.support.inference import Desk
from benchmarks.serving_rows.load import ask
from benchmarks.serving_rows.running_system import free_port
from shared.serving.application import build_api
from shared.serving.guards.auth import Authenticator
from shared.settings import Settings
from shared.storage.engine import open_database
from tests.fakes.predictor import KeywordPredictor
from tests.fakes.support_desk import PointerFake, shop_desk

MEBIBYTES = 8


class HeavyPredictor(KeywordPredictor):
    """Holds memory as a model does; ``alive`` counts those that still exist."""

    alive = 0

    def __init__(self, version: str) -> None:
        super().__init__(version=version)
        self.weights = np.ones((MEBIBYTES, 2**20), dtype=np.uint8)
        HeavyPredictor.alive += 1

    def __del__(self) -> None:
        HeavyPredictor.alive -= 1


class Swapped:
    """A served desk whose versions are made when they are loaded."""

    def __init__(self, home: Path) -> None:
        self.engine = open_database(f"sqlite:///{home / 'support.sqlite3'}")
        self.pointer = PointerFake({}, None)
        self.use(0)
        self.served = served_support(
            Settings(home=home),
            self.engine,
            self.pointer,  # type: ignore[arg-type]
            desk_settings=SupportSettings(),
            load=self._load,
            poll_seconds=0.02,
        )
        app = build_api(served=[self.served], authenticator=Authenticator(None, False))
        self.port = free_port()
        config = uvicorn.Config(app, port=self.port, log_level="error", access_log=False)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self.until(lambda: self.server.started and self.served.ready)

    def use(self, number: int) -> None:
        name = f"v{number}"
        self.pointer.versions = {name: name}
        self.pointer.used = name

    def swap(self, number: int) -> None:
        self.use(number)
        self.until(lambda: self.served.version == f"v{number}")

    def until(self, holds: Any) -> None:
        end = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.005)

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.engine.dispose()

    def _load(self, version: Any) -> Desk:
        return shop_desk(HeavyPredictor(str(version)))


@pytest.fixture
def swapped(tmp_path: Path) -> Iterator[Swapped]:
    made = Swapped(tmp_path)
    yield made
    made.close()


def swap_under_load(swapped: Swapped, swaps: int, seconds: float) -> dict[str, Any]:
    """``swaps`` swaps while 16 clients ask; what the clients saw, and memory before and after."""
    bodies = [json.dumps({"texts": ["where is my parcel", "a refund"]}).encode()]
    found: dict[str, Any] = {}

    def clients() -> None:
        found.update(ask("127.0.0.1", swapped.port, "/v1/support/classify", 16, seconds, bodies))

    asking = threading.Thread(target=clients)
    asking.start()
    done, memory = 0, []
    while asking.is_alive():
        done += 1
        swapped.swap(done)
        if done in (swaps // 5, swaps):
            gc.collect()
            memory.append(psutil.Process().memory_info().rss)
    asking.join()
    assert done >= swaps, f"only {done} swaps in {seconds} s"
    return {**found, "memory": memory, "swaps": done}


@pytest.mark.integration
def test_ten_swaps_under_load_drop_nothing(swapped: Swapped) -> None:
    found = swap_under_load(swapped, 10, 3)
    assert found["errors"] == {}
    assert found["answers"] > 50
    gc.collect()
    assert HeavyPredictor.alive <= 2


@pytest.mark.soak
def test_a_hundred_swaps_under_load_drop_nothing_and_leave_no_memory(swapped: Swapped) -> None:
    """From the 20th swap to the last, resident memory stays within 5 %."""
    found = swap_under_load(swapped, 100, 30)
    early, late = found["memory"]
    assert found["errors"] == {}
    assert late <= 1.05 * early
    gc.collect()
    assert HeavyPredictor.alive <= 2
