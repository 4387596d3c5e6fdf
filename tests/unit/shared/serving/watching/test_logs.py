from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.serving.batching.micro_batcher import MicroBatcher
from shared.serving.watching.logs import LogFormat, configure_logging, escaped
from shared.serving.watching.request_context import current_request_id, working_for

pytestmark = pytest.mark.unit

LOGGER = logging.getLogger("tests.logs")
FORGED = "hello\r\n2026-01-01 00:00:00,000 INFO    keys: key revoked\u2028\x1b[31m\x85"


@pytest.fixture
def lines() -> Iterator[Callable[[LogFormat], io.StringIO]]:
    """Configures the log of the tests to go into a text."""
    root = logging.getLogger()
    level, made = root.level, []

    def configure(format: LogFormat) -> io.StringIO:
        stream = io.StringIO()
        made.append(configure_logging(format, stream=stream))
        return stream

    yield configure
    for handler in made:
        root.removeHandler(handler)
    root.setLevel(level)


def test_text_lines_name_their_request(lines: Callable[[LogFormat], io.StringIO]) -> None:
    stream = lines("text")
    LOGGER.info("before")
    with working_for(["4f1c"]):
        LOGGER.info("within")
    before, within = stream.getvalue().splitlines()
    assert before.endswith("INFO    tests.logs: before")
    assert within.endswith("INFO    tests.logs [4f1c]: within")


@pytest.mark.parametrize("format", ["text", "json"])
def test_nobody_writes_lines_of_his_own(
    lines: Callable[[LogFormat], io.StringIO], format: LogFormat
) -> None:
    stream = lines(format)
    with working_for([FORGED]):
        LOGGER.warning("said %s", FORGED)
    written = stream.getvalue()
    assert len(written.splitlines()) == 1
    assert written.endswith("\n")
    assert written.isascii()
    assert "\x1b" not in written
    assert "key revoked" in written


def test_no_line_of_a_traceback_looks_like_a_record(
    lines: Callable[[LogFormat], io.StringIO],
) -> None:
    stream = lines("text")
    try:
        raise ValueError(FORGED)
    except ValueError:
        LOGGER.exception("it failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("it failed")
    assert all(line.startswith("    ") for line in rest)
    assert "ValueError: hello" in stream.getvalue()


def test_json_lines_hold_what_programs_look_for(
    lines: Callable[[LogFormat], io.StringIO],
) -> None:
    stream = lines("json")
    with working_for(["4f1c"]):
        LOGGER.info("%d stories", 3, extra={"feed": "rhine"})
        try:
            raise ValueError("no such thing")
        except ValueError:
            LOGGER.exception("it failed")
    told, failed = (json.loads(line) for line in stream.getvalue().splitlines())
    assert told["message"] == "3 stories"
    assert told["level"] == "INFO"
    assert told["logger"] == "tests.logs"
    assert told["request_id"] == failed["request_id"] == "4f1c"
    assert told["feed"] == "rhine"
    assert told["time"].endswith("+00:00")
    assert "ValueError: no such thing" in failed["exc_info"]


def test_configuring_again_replaces_the_handler(
    lines: Callable[[LogFormat], io.StringIO],
) -> None:
    first, second = lines("text"), lines("json")
    LOGGER.info("once")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["message"] == "once"


def test_a_batch_names_the_requests_that_are_in_it(
    lines: Callable[[LogFormat], io.StringIO],
) -> None:
    stream = lines("text")
    gathered = threading.Barrier(2)

    def read(texts: list[str]) -> list[str | None]:
        LOGGER.info("reading %d", len(texts))
        return [current_request_id()] * len(texts)

    def ask(batcher: MicroBatcher[str | None], id: str) -> str | None:
        with working_for([id]):
            gathered.wait(5)
            return batcher.submit_blocking([id])[0]

    with (
        MicroBatcher(read, max_wait_ms=1000, max_batch=2) as batcher,
        ThreadPoolExecutor(2) as pool,
    ):
        found = list(pool.map(lambda id: ask(batcher, id), ["one", "two"]))
    named = {id for told in found for id in str(told).split(",")}
    assert named == {"one", "two"}
    assert all(id in stream.getvalue() for id in ("one", "two"))


def test_many_requests_of_one_batch_are_cut_short() -> None:
    with working_for(["a", None, "a", *(f"r{number}" for number in range(20))]):
        told = current_request_id()
    assert told == "a,r0,r1,r2,r3,r4,r5,r6,…"
    assert current_request_id() is None


def test_escapes_leave_other_languages_alone() -> None:
    assert escaped("Größe 株価 \t tab") == "Größe 株価 \\t tab".replace("\\t", "\t")
    assert escaped("a\u202eb\x00") == "a\\u202eb\\x00"
