from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from shared.errors import NotReady
from shared.serving.served import Starter
from tests.fakes.served_app import FakeServedApp

pytestmark = pytest.mark.unit


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.002)
    return holds()


def test_starting_does_not_wait_for_the_app() -> None:
    app = FakeServedApp()
    app.gate.clear()
    starter = Starter([app])
    starter.start()
    assert "loading" in starter.reasons()["support"]
    assert starter.versions() == {"support": None}
    app.gate.set()
    assert eventually(lambda: not starter.reasons())
    assert starter.versions() == {"support": "20260101T000000Z-00000000"}
    starter.stop()
    assert app.stops == 1


def test_a_start_that_fails_is_tried_again_and_its_reason_told() -> None:
    app = FakeServedApp(start_errors=(NotReady("run `triptych train support`"), KeyError("x")))
    app.gate.clear()
    starter = Starter([app], retry_seconds=0.05)
    starter.start()
    app.gate.set()
    assert eventually(lambda: "triptych train support" in starter.reasons().get("support", ""))
    assert eventually(lambda: not starter.reasons())
    assert app.starts == 3
    starter.stop()


def test_an_app_without_a_version_tells_which_command_to_run() -> None:
    app = FakeServedApp(found=False)
    starter = Starter([app])
    starter.start()
    assert eventually(lambda: "triptych train support" in starter.reasons()["support"])
    app.promote("later")
    assert starter.reasons() == {}
    assert app.starts == 1
    starter.stop()


class Second(FakeServedApp):
    name = "finance"


def test_an_app_that_nobody_trained_is_not_waited_for_beside_one_that_serves() -> None:
    serving, unused = FakeServedApp(), Second(found=False)
    starter = Starter([serving, unused])
    serving.gate.clear()
    starter.start()
    assert eventually(lambda: set(starter.reasons()) == {"support", "finance"})
    serving.gate.set()
    assert eventually(lambda: not starter.reasons())
    starter.stop()


def test_an_app_whose_version_does_not_load_is_waited_for() -> None:
    class Broken(Second):
        waiting_for = "the version in use cannot be loaded: a file changed"

    starter = Starter([FakeServedApp(), Broken(found=False)])
    starter.start()
    assert eventually(lambda: starter.reasons() == {"finance": Broken.waiting_for})
    starter.stop()


def test_an_apps_own_reason_wins() -> None:
    class Explaining(FakeServedApp):
        waiting_for = "the moon to rise"

    assert Starter([Explaining()]).reasons() == {"support": "the moon to rise"}


def test_stopping_ends_a_start_that_keeps_failing() -> None:
    app = FakeServedApp(start_errors=tuple(NotReady("no") for _ in range(10_000)))
    starter = Starter([app], retry_seconds=0.001)
    starter.start()
    assert eventually(lambda: app.starts > 2)
    starter.stop()
    starts = app.starts
    time.sleep(0.02)
    assert app.starts == starts


def test_an_app_that_is_stopped_while_it_starts_ends_stopped() -> None:
    app = FakeServedApp()
    app.gate.clear()
    starter = Starter([app])
    starter.start()
    assert eventually(lambda: app.starts == 1)
    starter.stop()
    assert app.stops == 2
    assert not app.ready
