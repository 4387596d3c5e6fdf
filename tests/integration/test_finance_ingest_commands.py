"""The commands of feeds, posts, replay and watch, each as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apps.finance.commands.feeds import feeds
from apps.finance.commands.ingest import ingest
from apps.finance.commands.replay import replay
from apps.finance.commands.watch import watch
from tests.fakes.feed_fetcher import rss
from tests.fakes.file_server import file_server

pytestmark = pytest.mark.integration
URL = "https://ledger.example/rss"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIPTYCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIPTYCH_ALLOWED_ADDRESSES", "127.0.0.1")
    return tmp_path


def run(command: Any, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, catch_exceptions=False)


def answer(command: Any, *arguments: str) -> dict[str, Any]:
    """What ``--json`` prints on standard output: one object and nothing else."""
    result = run(command, *arguments, "--json")
    assert result.exit_code == 0, result.output
    read = json.loads(result.stdout)
    assert isinstance(read, dict)
    return read


def test_a_feed_is_added_muted_unmuted_and_removed(home: Path) -> None:
    feed = answer(feeds, "add", URL, "--name", "Ledger", "--interval", "600", "--author", "Ann")
    assert (feed["url"], feed["name"], feed["interval_seconds"]) == (URL, "Ledger", 600)
    assert answer(feeds, "mute", feed["id"])["state"] == "muted"
    assert answer(feeds, "unmute", URL)["state"] == "active"
    assert [one["id"] for one in answer(feeds, "list")["feeds"]] == [feed["id"]]
    assert "not polled yet" in run(feeds, "list").stdout
    answer(feeds, "remove", feed["id"])
    assert answer(feeds, "list") == {"feeds": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add", "ftp://ledger.example"], "error:"),
        (["add", "http://10.0.0.1/rss"], "10.0.0.1"),
        (["add", URL, "--interval", "5"], "60 to 86400"),
        (["mute", "nobody"], "there is no feed nobody"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    home: Path, arguments: list[str], message: str
) -> None:
    result = run(feeds, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""


def test_a_feed_is_checked_without_being_stored(home: Path) -> None:
    with file_server() as server:
        server.files["/rss"] = rss([("A", "Acme soars", ""), ("B", "Globex sinks", "")])
        server.files["/page"] = b"<html>no feed</html>"
        found = answer(feeds, "check", f"{server.url}/rss")
        assert (found["title"], found["entries"]) == ("Ledger", 2)
        assert found["titles"] == ["Acme soars", "Globex sinks"]
        for path in ("page", "nothing"):
            assert run(feeds, "check", f"{server.url}/{path}").exit_code == 1
    assert answer(feeds, "list") == {"feeds": []}


def test_posts_and_snapshots_come_in_without_a_model_and_a_round_polls_what_is_due(
    home: Path,
) -> None:
    posts = home / "posts.csv"
    posts.write_text("id,body,user,created_at\n1,Acme soars,ann,2026-03-01\n2,,bo,\n3,x,cy,soon\n")
    first = answer(ingest, str(posts))
    assert {key: first[key] for key in ("entries", "distinct", "rejected", "stories")} == {
        "entries": 3, "distinct": 1, "rejected": 2, "stories": 1,
    }  # fmt: skip
    assert answer(ingest, str(posts))["repeats"] == 1
    assert answer(ingest, str(posts), "--origin", "other")["distinct"] == 1
    result = run(ingest, str(posts), "--query", "SELECT 1")
    assert (result.exit_code, result.stdout) == (1, "")

    folder = home / "snapshots"
    folder.mkdir()
    (folder / "20260301T000000Z.xml").write_bytes(rss([("A", "Globex sinks", "")]))
    numbers = answer(replay, str(folder))
    assert list(numbers) == [
        "polls", "entries", "repeats", "distinct", "stories", "revisions", "rejected", "errors",
        "seconds",
    ]  # fmt: skip
    assert (numbers["polls"], numbers["distinct"]) == (1, 1)

    with file_server() as server:
        server.files["/rss"] = rss([("A", "Initech opens a plant", "")])
        answer(feeds, "add", f"{server.url}/rss")
        done = answer(watch, "--once")
    assert (done["rounds"], done["polls"], done["distinct"]) == (1, 1, 1)
    assert "polled" in run(feeds, "list").stdout
