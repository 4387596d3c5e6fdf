"""Signed webhooks: what is sent, what an answer means, and how a receiver checks."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from shared.monitoring.delivery import NotSent, Outgoing, Sent
from shared.monitoring.webhook import WebhookSender, body_of, sign, verify

pytestmark = pytest.mark.unit

NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
SECRET = "a secret of the desk"
PAYLOAD = {"b": 1.5, "a": "Größe \U0001f4c9", "list": [1, None]}


def outgoing(secret: str | None = SECRET, address: str = "https://desk.example/hook") -> Outgoing:
    return Outgoing("e" * 32, address, secret, PAYLOAD, NOON)


class Receiver:
    """Answers with ``response`` and keeps the requests."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.requests.append(request)
        return self.response


def send(response: httpx2.Response, message: Outgoing) -> tuple[Sent | NotSent, Receiver]:
    receiver = Receiver(response)
    with httpx2.Client(transport=httpx2.MockTransport(receiver)) as client:
        return WebhookSender(client).send(message), receiver


def test_a_request_carries_the_event_its_key_and_a_signature() -> None:
    outcome, receiver = send(httpx2.Response(204), outgoing())
    assert outcome == Sent()
    (request,) = receiver.requests
    assert request.method == "POST"
    assert request.content == body_of(PAYLOAD)
    assert request.headers["Triptych-Event-Id"] == request.headers["Idempotency-Key"] == "e" * 32
    seconds = str(int(NOON.timestamp()))
    digest = hmac.new(SECRET.encode(), f"{seconds}.".encode() + request.content, hashlib.sha256)
    assert request.headers["Triptych-Signature"] == f"t={seconds},v1={digest.hexdigest()}"


def test_without_a_secret_there_is_no_signature() -> None:
    _, receiver = send(httpx2.Response(200), outgoing(secret=None))
    assert "Triptych-Signature" not in receiver.requests[0].headers


def test_the_body_is_the_same_bytes_whatever_the_order_of_its_parts() -> None:
    assert body_of(PAYLOAD) == body_of(dict(reversed(PAYLOAD.items())))
    assert "Größe" in body_of(PAYLOAD).decode()


def test_a_redirect_is_not_followed() -> None:
    away = httpx2.Response(307, headers={"Location": "http://169.254.169.254/"})
    outcome, receiver = send(away, outgoing())
    assert outcome == NotSent("it answered 307, a redirect, which is not followed")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 500, 502])
def test_errors_are_tried_again(status: int) -> None:
    assert send(httpx2.Response(status), outgoing())[0] == NotSent(f"it answered {status}")


def test_gone_is_final() -> None:
    assert send(httpx2.Response(410), outgoing())[0] == NotSent("it answered 410", final=True)


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("120", 120.0),
        ("Wed, 18 Mar 2026 12:05:00 GMT", 300.0),
        ("Wed, 18 Mar 2026 11:05:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("٣", None),
    ],
)
def test_a_busy_receiver_says_when(header: str, wait: float | None) -> None:
    for status in (429, 503):
        headers = [(b"Retry-After", header.encode())]
        outcome, _ = send(httpx2.Response(status, headers=headers), outgoing())
        assert outcome == NotSent(f"it answered {status}", retry_after=wait)


def test_a_network_that_fails_is_an_outcome() -> None:
    def fail(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectTimeout("too slow")

    with httpx2.Client(transport=httpx2.MockTransport(fail)) as client:
        assert WebhookSender(client).send(outgoing()) == NotSent("ConnectTimeout: too slow")


def test_a_receiver_knows_a_true_signature() -> None:
    body = body_of(PAYLOAD)
    signature = sign(body, SECRET, NOON)
    assert verify(body, signature, SECRET, NOON)
    assert verify(body, signature, SECRET, NOON + timedelta(seconds=299))
    assert not verify(body, signature, SECRET, NOON + timedelta(seconds=301))
    assert not verify(body, signature, SECRET, NOON - timedelta(seconds=301))
    assert not verify(body + b" ", signature, SECRET, NOON)
    assert not verify(body, signature, "another secret", NOON)
    later = f"t={int(NOON.timestamp()) + 1}," + signature.partition(",")[2]
    assert not verify(body, later, SECRET, NOON)


@pytest.mark.parametrize(
    "signature", ["", "t=,v1=", "t=1", "v1=00", "t=x,v1=00", "t=٣,v1=00", "t=1,v1=é", "=,=,="]
)
def test_a_signature_that_is_none_is_no_error(signature: str) -> None:
    assert verify(b"{}", signature, SECRET, NOON) is False
