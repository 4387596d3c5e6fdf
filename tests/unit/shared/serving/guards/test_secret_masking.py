"""Secrets in a log, however they come there: none is written."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator

import pytest

from shared.serving.guards.secret_masking import Masked, mask_all_handlers, mask_secrets
from shared.serving.watching.logs import configure_logging

pytestmark = pytest.mark.unit
KEY = "tk_0123456789abcdef_Zk3-_secretpart"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"the key {KEY} was refused", "Zk3-_secretpart"),
        (f"Authorization: Bearer {KEY}", "Zk3-_secretpart"),
        ("headers {'authorization': 'Bearer abcdef.ghi'}", "abcdef"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("postgresql+psycopg://ann:hunter2@db/shop", "hunter2"),
        ("postgresql://ann:p@ss/w:rd@db:5432/shop is down", "p@ss/w:rd"),
        ("https://token-in-front@host.example/x", "token-in-front"),
        ("POST https://hooks.slack.com/services/T0/B0/abcdefgh failed", "abcdefgh"),
        ("https://discord.com/api/webhooks/12/abcdefgh", "abcdefgh"),
        ("GET https://feed.example/rss?apikey=abcdefgh&page=2", "abcdefgh"),
        ("https://feed.example/rss?page=2&access_token=abcdefgh", "abcdefgh"),
        ("Outgoing(event_id='1', address='x', secret='abcdefgh', payload={})", "abcdefgh"),
        ('{"secret": "abcdefgh"}', "abcdefgh"),
        ('{"message": "{\\"password\\": \\"abcdefgh\\"}"}', "abcdefgh"),
        ("TRIPTYCH_SMTP_PASSWORD=abcdefgh", "abcdefgh"),
        ("X-API-Key: abcdefgh", "abcdefgh"),
    ],
)
def test_a_secret_is_masked(text: str, secret: str) -> None:
    masked = mask_secrets(text)
    assert secret not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "POST /v1/support/classify 200 in 3 ms",
        "the key 0123456789abcdef was revoked",
        "https://host.example:8443/path?page=2",
        "serving on http://127.0.0.1:8000 (callers need an API key)",
        "AlertTarget(secret=None)",
        "mail to desk@example.com",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask_secrets(text) == text


def test_the_id_of_a_key_stays_so_that_it_can_be_found() -> None:
    assert mask_secrets(KEY) == "tk_0123456789abcdef_***"


@pytest.mark.parametrize("piece", ["://a", "://a:b", "tk_a_", "secret=", "Bearer ", "password "])
def test_a_long_line_takes_no_long_time(piece: str) -> None:
    began = time.perf_counter()
    mask_secrets(piece * 20_000)
    assert time.perf_counter() - began < 5


@pytest.fixture
def clean_root() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    formatters = [handler.formatter for handler in before]
    yield
    root.handlers[:] = before
    root.setLevel(level)
    for handler, formatter in zip(before, formatters, strict=True):
        handler.setFormatter(formatter)


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.usefixtures("clean_root")
def test_no_secret_in_a_line_of_the_log(format: str) -> None:
    stream = io.StringIO()
    configure_logging(format, stream=stream)  # type: ignore[arg-type]
    logger = logging.getLogger("a.library")
    logger.warning("refused %s", KEY)
    logger.warning("extra", extra={"address": "https://u:hunter2@host/"})
    try:
        raise RuntimeError(f"cannot reach postgresql://u:hunter2@db/x with {KEY}")
    except RuntimeError:
        logger.exception("failed")
    written = stream.getvalue()
    assert "Zk3-_secretpart" not in written
    assert "hunter2" not in written
    assert "tk_0123456789abcdef_***" in written
    if format == "json":
        assert [json.loads(line)["level"] for line in written.splitlines()] == [
            "WARNING",
            "WARNING",
            "ERROR",
        ]


@pytest.mark.usefixtures("clean_root")
def test_handlers_of_others_are_masked_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("another.library")
    logger.addHandler(handler)
    try:
        mask_all_handlers()
        mask_all_handlers()
        logger.error("key %s", KEY)
    finally:
        logger.removeHandler(handler)
    assert isinstance(handler.formatter, Masked)
    assert not isinstance(handler.formatter.inner, Masked)
    assert stream.getvalue() == "key tk_0123456789abcdef_***\n"
