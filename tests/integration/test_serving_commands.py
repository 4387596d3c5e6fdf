"""``triptych keys``, ``serve`` and ``ui`` as far as they go without a server."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apps.cli import main
from apps.commands.serving import keys_required, listen, ui_command, ui_environment
from shared.errors import SettingsError
from shared.serving.guards.auth import Authenticator
from shared.serving.guards.keys import create_key
from shared.settings import Settings
from shared.storage.engine import open_database

pytestmark = pytest.mark.integration


def run(home: Path, *arguments: str) -> Result:
    return CliRunner(env={"TRIPTYCH_HOME": str(home)}).invoke(main, arguments)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_key_is_shown_once_and_works(tmp_path: Path) -> None:
    made = run(tmp_path, "keys", "create", "--name", "shop", "--scope", "review", "--scope", "use")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip()
    engine = open_database(Settings(home=tmp_path).database)
    principal = Authenticator(engine, True).authenticate(secret)
    engine.dispose()
    assert (principal.name, principal.scopes) == ("shop", {"use", "review"})
    listed = run(tmp_path, "keys", "list")
    assert "shop" in listed.stdout
    assert "use,review" in listed.stdout
    assert secret.split("_", 2)[2] not in listed.output


def test_a_key_of_a_tenant_opens_its_catalogue(tmp_path: Path) -> None:
    made = run(tmp_path, "keys", "create", "--name", "toys", "--tenant", "toys-7")
    assert "It opens the catalogue of 'toys-7', and no other." in made.stderr
    engine = open_database(Settings(home=tmp_path).database)
    principal = Authenticator(engine, True).authenticate(made.stdout.strip())
    engine.dispose()
    assert principal.tenant == "toys-7"
    (_, line) = run(tmp_path, "keys", "list").stdout.splitlines()
    assert line.split()[1:3] == ["toys", "toys-7"]
    refused = run(tmp_path, "keys", "create", "--name", "toys", "--tenant", "Toys!")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "lower-case" in refused.stderr


def test_json_output_is_one_object(tmp_path: Path) -> None:
    made = json.loads(run(tmp_path, "keys", "create", "--name", "shop", "--json").stdout)
    assert set(made) == {"id", "name", "scopes", "tenant", "expires_at", "rate_limit", "key"}
    assert (made["scopes"], made["tenant"]) == (["use"], "default")
    (listed,) = json.loads(run(tmp_path, "keys", "list", "--json").stdout)["keys"]
    assert (listed["id"], listed["revoked_at"], listed["last_used_at"]) == (made["id"], None, None)
    assert "digest" not in listed
    revoked = json.loads(run(tmp_path, "keys", "revoke", made["id"], "--json").stdout)
    assert datetime.fromisoformat(revoked["revoked_at"]).tzinfo is not None
    assert "revoked" in run(tmp_path, "keys", "list").stdout


def test_what_is_wrong_is_said_in_one_line(tmp_path: Path) -> None:
    unknown = run(tmp_path, "keys", "revoke", "0" * 16)
    assert unknown.exit_code == 1
    assert unknown.stderr.startswith("error: there is no key")
    assert run(tmp_path, "keys", "create", "--name", " ").exit_code == 1
    assert run(tmp_path, "keys", "create", "--name", "x", "--scope", "root").exit_code == 2
    assert "keys create" in run(tmp_path, "keys", "list").stderr


def test_a_taken_port_is_refused(tmp_path: Path, taken_port: int) -> None:
    for command in ("serve", "ui"):
        refused = run(tmp_path, command, "--port", str(taken_port))
        assert refused.exit_code == 1
        assert f"port {taken_port} on 127.0.0.1 is taken" in refused.stderr
        assert "--port" in refused.stderr


def test_a_host_that_is_not_here_is_refused() -> None:
    for host in ("203.0.113.7", "no.such.host.invalid", "x" * 300):
        with pytest.raises(SettingsError):
            listen(host, 0)


def test_an_open_server_on_the_network_is_refused(tmp_path: Path) -> None:
    for arguments in (("--host", "0.0.0.0"), ("--host", "0.0.0.0", "--no-auth")):
        refused = run(tmp_path, "serve", "--port", "0", *arguments)
        assert refused.exit_code == 1
        assert "other" in refused.stderr


def test_when_keys_are_required(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert keys_required(settings, "127.0.0.1", no_auth=False) is False
    engine = open_database(settings.database)
    create_key(engine, name="a", scopes=["use"], actor="t", now=datetime(2026, 1, 1, tzinfo=UTC))
    engine.dispose()
    assert keys_required(settings, "127.0.0.1", no_auth=False) is True
    assert keys_required(settings, "0.0.0.0", no_auth=False) is True
    assert keys_required(settings, "localhost", no_auth=True) is False
    with pytest.raises(SettingsError, match="--no-auth"):
        keys_required(settings, "0.0.0.0", no_auth=True)


def test_the_pages_run_headless_without_telemetry_and_know_the_api(tmp_path: Path) -> None:
    command = ui_command(8599)
    assert command[1:4] == ["-m", "streamlit", "run"]
    assert command[4].endswith("home.py")
    pairs = dict(zip(command[5::2], command[6::2], strict=True))
    assert pairs["--server.headless"] == "true"
    assert pairs["--browser.gatherUsageStats"] == "false"
    assert pairs["--server.address"] == "127.0.0.1"
    assert pairs["--server.port"] == "8599"
    settings = Settings(home=tmp_path, api_url="http://a", api_key="tk_1_2")
    assert ui_environment(settings, None, {"PATH": "/bin"}) == {
        "PATH": "/bin",
        "TRIPTYCH_API_URL": "http://a",
        "TRIPTYCH_API_KEY": "tk_1_2",
    }
    assert ui_environment(settings, "http://b", {})["TRIPTYCH_API_URL"] == "http://b"


def test_a_key_is_rotated_and_the_log_tells_it(tmp_path: Path) -> None:
    life = ("--expires", "90d", "--rate-limit", "600/minute")
    made = json.loads(run(tmp_path, "keys", "create", "--name", "shop", *life, "--json").stdout)
    assert made["rate_limit"] == "600/minute"
    days = (datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)).total_seconds() / 86_400
    assert 89.9 < days < 90
    rotated = run(tmp_path, "keys", "rotate", made["id"], "--overlap", "24h")
    assert rotated.exit_code == 0, rotated.output
    assert rotated.stdout.startswith("tk_")
    assert f"follows {made['id']} (shop)" in rotated.stderr
    listed = run(tmp_path, "keys", "list").stdout
    assert ", then " in listed
    assert run(tmp_path, "keys", "rotate", made["id"]).exit_code == 1
    told = run(tmp_path, "audit")
    assert "key rotated" in told.stdout
    assert "at the command line" in told.stdout
    assert rotated.stdout.strip() not in told.output
    entries = json.loads(run(tmp_path, "audit", "--action", "created", "--json").stdout)["entries"]
    assert [entry["details"]["key"] for entry in entries] == [made["id"]]
    assert run(tmp_path, "audit", "--since", "2999-01-01").stdout == ""
    assert run(tmp_path, "audit", "--since", "soon").exit_code == 1
    assert run(tmp_path, "keys", "create", "--name", "x", "--expires", "soon").exit_code == 1
    assert run(tmp_path, "keys", "create", "--name", "x", "--rate-limit", "often").exit_code == 1


def test_a_name_cannot_steer_the_terminal_that_reads_the_log(tmp_path: Path) -> None:
    run(tmp_path, "keys", "create", "--name", "shop\x1b[2J\nroot  key created")
    told = run(tmp_path, "audit").stdout
    assert "\x1b" not in told
    assert len(told.splitlines()) == 1
