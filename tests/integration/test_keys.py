"""Keys on both databases: made, used, refused, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, select

from shared.errors import Conflict, NotAuthenticated, NotFound, SettingsError
from shared.serving.guards.auth import LOCAL, Authenticator
from shared.serving.guards.keys import any_key, create_key, list_keys, revoke_key, rotate_key
from shared.storage.engine import reading
from shared.storage.tables import api_keys, audit_log

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def make(engine: Engine, *scopes: str) -> tuple[str, str]:
    made = create_key(engine, name="shop", scopes=scopes or ("use",), actor="ann", now=NOW)
    return made.id, made.secret


def test_a_key_opens_and_its_secret_is_stored_nowhere(engine: Engine) -> None:
    id, secret = make(engine, "review", "use")
    principal = Authenticator(engine, True).authenticate(secret)
    assert (principal.name, principal.key_id) == ("shop", id)
    assert principal.scopes == {"use", "review"}
    with reading(engine) as connection:
        row = connection.execute(select(api_keys)).one()
    assert secret.startswith(f"tk_{id}_")
    assert all(secret.split("_", 2)[2] not in str(value) for value in row)


def test_a_key_opens_one_tenant(engine: Engine) -> None:
    made = create_key(engine, name="b", scopes=["use"], actor="ann", now=NOW, tenant="shop-b")
    _, plain = make(engine)
    check = Authenticator(engine, True).authenticate
    assert made.tenant == check(made.secret).tenant == "shop-b"
    assert check(plain).tenant == LOCAL.tenant == "default"
    assert {key.name: key.tenant for key in list_keys(engine)} == {"b": "shop-b", "shop": "default"}
    with pytest.raises(SettingsError, match="lower-case"):
        create_key(engine, name="c", scopes=["use"], actor="ann", now=NOW, tenant="Shop B")


def test_scopes(engine: Engine) -> None:
    _, weak = make(engine, "use")
    _, strong = make(engine, "admin")
    check = Authenticator(engine, True).authenticate
    assert [check(weak).may(scope) for scope in ("use", "review", "admin")] == [True, False, False]
    assert all(check(strong).may(scope) for scope in ("use", "review", "admin"))


def test_what_is_no_valid_key_is_refused_with_one_message(engine: Engine) -> None:
    id, secret = make(engine)
    other = make(engine)[1].split("_", 2)[2]
    wrong = [
        "nonsense",
        "tk_",
        "tk__",
        f"tk_{id}_",
        f"tk_{id}_{other}",
        f"tk_{'0' * 16}_{secret.split('_', 2)[2]}",
        secret + "x",
        secret[:-1],
        secret.replace("tk_", "xx_"),
        f"tk_{'a' * 10_000}_b",
        "tk_\x00\x00\x00\x00\x00\x00\x00\x00_b",
        "tk_ünïcödé_ß",
    ]
    messages = set()
    for key in wrong:
        with pytest.raises(NotAuthenticated) as caught:
            Authenticator(engine, True).authenticate(key)
        messages.add(caught.value.message)
    assert len(messages) == 1
    for nothing in (None, ""):
        with pytest.raises(NotAuthenticated, match="keys create"):
            Authenticator(engine, True).authenticate(nothing)


def test_a_revoked_key_is_refused_at_once(engine: Engine) -> None:
    id, secret = make(engine)
    authenticator = Authenticator(engine, True)
    authenticator.authenticate(secret)
    assert any_key(engine)
    assert revoke_key(engine, id, actor="ann", now=NOW).revoked_at == NOW
    assert not any_key(engine)
    with pytest.raises(NotAuthenticated):
        authenticator.authenticate(secret)
    later = NOW + timedelta(days=1)
    assert revoke_key(engine, id, actor="ann", now=later).revoked_at == NOW
    with pytest.raises(NotFound):
        revoke_key(engine, "0" * 16, actor="ann", now=NOW)


def test_use_is_noted_at_most_once_a_minute(engine: Engine) -> None:
    _, secret = make(engine)
    clock = Clock()
    authenticator = Authenticator(engine, True, clock=clock)
    seen = []
    for seconds in (0, 30, 61):
        clock.now = NOW + timedelta(seconds=seconds)
        authenticator.authenticate(secret)
        seen.append(list_keys(engine)[0].last_used_at)
    assert seen == [NOW, NOW, NOW + timedelta(seconds=61)]


def test_making_and_revoking_stand_in_the_audit_log(engine: Engine) -> None:
    id, _ = make(engine)
    for _ in range(2):
        revoke_key(engine, id, actor="ben", now=NOW)
    with reading(engine) as connection:
        rows = connection.execute(select(audit_log).order_by(audit_log.c.id)).all()
    assert [(row.actor, row.action, row.details["key"]) for row in rows] == [
        ("ann", "key created", id),
        ("ben", "key revoked", id),
    ]


@pytest.mark.parametrize(
    ("name", "scopes"), [(" ", ["use"]), ("x" * 121, ["use"]), ("shop", []), ("shop", ["root"])]
)
def test_a_key_needs_a_name_and_known_scopes(engine: Engine, name: str, scopes: list[str]) -> None:
    with pytest.raises(SettingsError):
        create_key(engine, name=name, scopes=scopes, actor="ann", now=NOW)
    assert list_keys(engine) == []


def test_without_authentication_everybody_is_local() -> None:
    authenticator = Authenticator(None, False)
    assert authenticator.authenticate(None) is LOCAL
    assert authenticator.authenticate("tk_stale_key") is LOCAL
    with pytest.raises(ValueError, match="database"):
        Authenticator(None, True)


def test_a_key_ends_by_itself(engine: Engine) -> None:
    made = create_key(
        engine, name="a", scopes=["use"], actor="ann", now=NOW, expires_in=timedelta(days=90)
    )
    clock = Clock()
    check = Authenticator(engine, True, clock=clock).authenticate
    clock.now = NOW + timedelta(days=90) - timedelta(microseconds=1)
    assert check(made.secret).name == "a"
    clock.now = NOW + timedelta(days=90)
    with pytest.raises(NotAuthenticated) as ended:
        check(made.secret)
    with pytest.raises(NotAuthenticated) as unknown:
        check(f"tk_{'0' * 16}_x")
    assert ended.value.message == unknown.value.message
    assert any_key(engine), "a server must not open because nobody renewed its key"
    with pytest.raises(SettingsError):
        create_key(engine, name="b", scopes=["use"], actor="a", now=NOW, expires_in=timedelta(0))


def test_a_rotated_key_opens_until_the_overlap_ends(engine: Engine) -> None:
    old = create_key(
        engine, name="shop", scopes=["use"], actor="ann", now=NOW, tenant="b", rate_limit="9/day"
    )
    ended, new = rotate_key(engine, old.id, overlap=timedelta(hours=24), actor="ben", now=NOW)
    assert (new.name, new.scopes, new.tenant, new.rate_limit) == ("shop", ("use",), "b", "9/day")
    assert (ended.rotated_to, ended.expires_at) == (new.id, NOW + timedelta(hours=24))
    clock = Clock()
    check = Authenticator(engine, True, clock=clock).authenticate
    assert {check(old.secret).key_id, check(new.secret).key_id} == {old.id, new.id}
    clock.now = NOW + timedelta(hours=24)
    with pytest.raises(NotAuthenticated):
        check(old.secret)
    assert check(new.secret).rate_limit == "9/day"
    with pytest.raises(Conflict, match="already"):
        rotate_key(engine, old.id, overlap=timedelta(0), actor="ben", now=NOW)
    revoke_key(engine, new.id, actor="ben", now=NOW)
    with pytest.raises(Conflict, match="revoked"):
        rotate_key(engine, new.id, overlap=timedelta(0), actor="ben", now=NOW)
    with pytest.raises(NotFound):
        rotate_key(engine, "0" * 16, overlap=timedelta(0), actor="ben", now=NOW)
    with reading(engine) as connection:
        rows = connection.execute(select(audit_log).where(audit_log.c.action == "key rotated"))
        (line,) = rows.all()
    assert (line.actor, line.details["key"], line.details["new_key"]) == ("ben", old.id, new.id)
    assert old.secret not in str(line.details)


def test_rotation_never_lengthens_a_life(engine: Engine) -> None:
    life = timedelta(days=1)
    old = create_key(engine, name="a", scopes=["use"], actor="ann", now=NOW, expires_in=life)
    later = NOW + timedelta(hours=23)
    ended, new = rotate_key(engine, old.id, overlap=timedelta(days=30), actor="ann", now=later)
    assert ended.expires_at == NOW + life
    assert new.expires_at == later + life
    with pytest.raises(SettingsError):
        rotate_key(engine, new.id, overlap=timedelta(-1), actor="ann", now=later)
