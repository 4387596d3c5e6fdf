"""Signed webhooks: an alert as JSON by POST, which its receiver can check and know again.

    Triptych-Event-Id, Idempotency-Key    the event, the same on every attempt
    Triptych-Signature                    t=<seconds since 1970>,v1=<HMAC-SHA256 in hexadecimal>

The signature is over ``<seconds>.<body>`` with the target's secret (HMAC: RFC 2104). The time in
it is that of the attempt, so that an old request cannot be played again. Any answer of 200 to 299
means that it arrived. Redirects are not followed: they would carry the alert elsewhere. Where a
trace is taken, ``traceparent`` goes along (W3C Trace Context).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from shared.errors import AddressRefused
from shared.monitoring.delivery import NotSent, Outgoing, Sent
from shared.serving.watching.telemetry import outgoing_headers

SIGNATURE_HEADER = "Triptych-Signature"
EVENT_HEADER = "Triptych-Event-Id"
TOLERANCE_SECONDS = 300.0


class WebhookSender:
    """Posts events with a client that checks addresses (``shared.web.client.guarded_client``)."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def send(self, message: Outgoing) -> Sent | NotSent:
        """Post once. An answer of 410 (Gone) is final; of an answer only the head is read."""
        body = body_of(message.payload)
        headers = {
            "Content-Type": "application/json",
            EVENT_HEADER: message.event_id,
            "Idempotency-Key": message.event_id,
        }
        headers |= outgoing_headers()
        if message.secret:
            headers[SIGNATURE_HEADER] = sign(body, message.secret, message.sent_at)
        try:
            with self._client.stream(
                "POST",
                message.address,
                content=body,
                headers=headers,
                follow_redirects=False,
            ) as response:
                return _outcome(response, message.sent_at)
        except AddressRefused as error:
            return NotSent(error.message)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return NotSent(f"{type(error).__name__}: {error}")


def body_of(payload: Mapping[str, Any]) -> bytes:
    """The payload as it is sent and signed: JSON in UTF-8, the same bytes on each attempt."""
    return json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sign(body: bytes, secret: str, at: datetime) -> str:
    """The signature header of a body sent at a time."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={_digest(body, secret, str(seconds))}"


def verify(
    body: bytes,
    signature: str,
    secret: str,
    now: datetime,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> bool:
    """For receivers: whether the header fits the body, and is not older (or newer) than allowed."""
    parts = dict(part.strip().partition("=")[::2] for part in signature.split(","))
    seconds, given = parts.get("t", ""), parts.get("v1", "")
    if not (seconds.isascii() and seconds.isdigit() and len(seconds) < 16 and given.isascii()):
        return False
    if abs(now.timestamp() - int(seconds)) > tolerance_seconds:
        return False
    return hmac.compare_digest(_digest(body, secret, seconds), given)


def _digest(body: bytes, secret: str, seconds: str) -> str:
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


def _outcome(response: httpx2.Response, now: datetime) -> Sent | NotSent:
    status = response.status_code
    if 200 <= status < 300:
        return Sent()
    if 300 <= status < 400:
        return NotSent(f"it answered {status}, a redirect, which is not followed")
    wish = _seconds(response.headers.get("Retry-After"), now) if status in (429, 503) else None
    return NotSent(f"it answered {status}", retry_after=wish, final=status == 410)


def _seconds(retry_after: str | None, now: datetime) -> float | None:
    """Retry-After (RFC 9110, 10.2.3) in seconds, from a number or a date; None for neither."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
