"""Who may do what: API keys in ``Authorization: Bearer tk_...`` or ``X-API-Key: tk_...``.

A route asks for a scope:

    @router.post("/classify", dependencies=[Depends(require("use"))])
    def takeover(principal: Annotated[Principal, Depends(require("review"))]): ...
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import Engine, Row, select, update
from sqlalchemy.exc import DBAPIError

from shared.errors import NotAllowed, NotAuthenticated
from shared.serving.guards.keys import Scope, digest, split_key
from shared.serving.guards.rate_limits import Allowance, RateLimits
from shared.storage.audit import act_as
from shared.storage.engine import reading
from shared.storage.tables import api_keys
from shared.tenants import DEFAULT_TENANT

LOGGER = logging.getLogger(__name__)
_NO_DIGEST = digest("")
_REMEMBER_USE_EVERY = timedelta(minutes=1)

_bearer = HTTPBearer(auto_error=False, description="Authorization: Bearer tk_...")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="X-API-Key: tk_...")


def utc_now() -> datetime:
    """The present time, aware and in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, and for which tenant. Without authentication everybody is ``local`` and may do
    everything."""

    name: str
    scopes: frozenset[str]
    key_id: str | None = None
    tenant: str = DEFAULT_TENANT
    rate_limit: str | None = None

    def may(self, scope: Scope) -> bool:
        """Whether ``scope`` is granted; ``admin`` implies all."""
        return scope in self.scopes or "admin" in self.scopes


LOCAL = Principal("local", frozenset({"admin"}))


class Authenticator:
    """Checks keys against the database. ``required=False`` lets everybody in, as LOCAL."""

    def __init__(
        self,
        engine: Engine | None,
        required: bool,
        *,
        clock: Callable[[], datetime] = utc_now,
        limits: RateLimits | None = None,
    ) -> None:
        if required and engine is None:
            raise ValueError("checking keys needs a database")
        self.engine = engine
        self.required = required
        self.limits = limits or RateLimits()
        self._clock = clock

    def authenticate(self, key: str | None) -> Principal:
        """Who holds ``key``. Raises NotAuthenticated; the message never says what was wrong."""
        if not self.required:
            return LOCAL
        assert self.engine is not None
        if not key:
            raise NotAuthenticated(
                "this needs an API key: send `Authorization: Bearer tk_...`; "
                "`triptych keys create` makes one"
            )
        parts = split_key(key)
        row = self._find(parts[0]) if parts else None
        stored = row.digest if row is not None else _NO_DIGEST
        fits = hmac.compare_digest(digest(parts[1] if parts else ""), stored)
        ended = row is not None and row.expires_at is not None and row.expires_at <= self._clock()
        if row is None or not fits or row.revoked_at is not None or ended:
            raise NotAuthenticated(
                "the API key is not valid: it is unknown, has ended or was revoked"
            )
        self._remember_use(row.id, row.last_used_at)
        return Principal(row.name, frozenset(row.scopes), row.id, row.tenant, row.rate_limit)

    def admit(self, key: str | None, address: str) -> tuple[Principal, Allowance | None]:
        """Who holds ``key``, which came from ``address``, and how often they may still ask.

        Raises NotAuthenticated, and TooManyRequests for a key that asks too often or an address
        that sent too many wrong ones.
        """
        if not self.required:
            return LOCAL, None
        if key:
            self.limits.may_try(address, key)
        try:
            principal = self.authenticate(key)
        except NotAuthenticated:
            if key:
                self.limits.tried(address, key, right=False)
            raise
        assert key is not None
        assert principal.key_id is not None
        self.limits.tried(address, key, right=True)
        return principal, self.limits.spend(principal.key_id, principal.rate_limit)

    def _find(self, id: str) -> Row[tuple[object, ...]] | None:
        if not (len(id) == 16 and id.isascii() and id.isalnum()):
            return None
        assert self.engine is not None
        with reading(self.engine) as connection:
            return connection.execute(select(api_keys).where(api_keys.c.id == id)).one_or_none()

    def _remember_use(self, id: str, last: datetime | None) -> None:
        """Note the time of use, at most once a minute. A busy database fails no request."""
        now = self._clock()
        if last is not None and now - last < _REMEMBER_USE_EVERY:
            return
        assert self.engine is not None
        try:
            with self.engine.begin() as connection:
                connection.execute(
                    update(api_keys).where(api_keys.c.id == id).values(last_used_at=now)
                )
        except DBAPIError:
            LOGGER.warning("the use of key %s could not be noted", id, exc_info=True)


def require(scope: Scope) -> Callable[..., Principal]:
    """A dependency that lets holders of ``scope`` pass and gives the Principal.

    Raises NotAuthenticated (401), NotAllowed (403) and TooManyRequests (429).
    """

    def check(
        request: Request,
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
        header: Annotated[str | None, Depends(_header)],
    ) -> Principal:
        authenticator = request.app.state.authenticator
        assert isinstance(authenticator, Authenticator)
        key = bearer.credentials if bearer else header
        address = request.client.host if request.client else ""
        principal, allowance = authenticator.admit(key, address)
        if allowance is not None:
            request.state.rate_limit_headers = allowance.headers()
        act_as(principal.key_id, principal.name)
        if not principal.may(scope):
            raise NotAllowed(
                f"the key {principal.name!r} lacks the scope {scope!r}: make one that has it "
                f"with `triptych keys create --scope {scope}`",
                scope=scope,
            )
        return principal

    return check
