"""Published files over real HTTP on loopback: progress, resume, checks."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from data_connectors.downloads import RemoteFile, download
from data_connectors.public_datasets import (
    PUBLIC_DATASETS,
    PublicDataset,
    load_public_dataset,
)
from data_connectors.published_files import BANKING77_TEST
from shared.errors import ChecksumMismatch, UnreadableFile
from shared.records import Example
from tests.fakes.file_server import FileServer, file_server

pytestmark = pytest.mark.integration

CONTENT = bytes(range(256)) * 2_000


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        running.files["/data.bin"] = CONTENT
        yield running


@pytest.fixture
def client() -> Iterator[httpx2.Client]:
    with httpx2.Client(timeout=10, trust_env=False) as opened:
        yield opened


def remote(server: FileServer, content: bytes = CONTENT) -> RemoteFile:
    sha256 = hashlib.sha256(content).hexdigest()
    return RemoteFile("set/data.bin", f"{server.url}/data.bin", sha256, len(content))


class Pauses:
    """Keeps the waits that were asked for, and waits none of them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_a_file_is_fetched_once_with_progress(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    target = tmp_path / "set" / "data.bin"
    seen: list[tuple[str, int, int]] = []

    def progress(file: str, done: int, total: int, /) -> None:
        seen.append((file, done, total))

    for _ in range(2):
        assert download(remote(server), target, client=client, progress=progress) == target
    assert target.read_bytes() == CONTENT
    assert server.requests == [("/data.bin", None)]
    assert seen[-1] == ("set/data.bin", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert len(seen) > 3
    assert not list(tmp_path.rglob("*.part"))


def test_a_broken_connection_is_resumed_where_it_broke(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    server.breaks, server.breaks_after = 2, 100_000
    target = tmp_path / "data.bin"
    download(remote(server), target, client=client, pause=Pauses())
    assert target.read_bytes() == CONTENT
    starts = [start for _, start in server.requests]
    assert starts[0] is None
    assert starts[1:] == sorted(start for start in starts[1:] if start)
    assert len(starts) == 3


def test_a_later_run_goes_on_with_the_rest(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    target = tmp_path / "data.bin"
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:1_000])
    download(remote(server), target, client=client)
    assert target.read_bytes() == CONTENT
    assert server.requests == [("/data.bin", 1_000)]


def test_a_complete_part_needs_no_request(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    (tmp_path / "data.bin.part").write_bytes(CONTENT)
    download(remote(server), tmp_path / "data.bin", client=client)
    assert server.requests == []


def test_a_server_without_ranges_sends_all_again(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    server.ranges, server.breaks, server.breaks_after = False, 1, 100_000
    target = tmp_path / "data.bin"
    download(remote(server), target, client=client, pause=Pauses())
    assert target.read_bytes() == CONTENT


def test_a_short_file_on_the_server_ends_in_an_error(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    server.files["/data.bin"] = CONTENT[:-5]
    with pytest.raises(UnreadableFile, match="TRIPTYCH_DATA"):
        download(remote(server), tmp_path / "data.bin", client=client, pause=Pauses(), attempts=3)
    assert not (tmp_path / "data.bin").exists()


@pytest.mark.parametrize("change", [lambda c: b"x" + c[1:], lambda c: c + b"more"])
def test_other_bytes_than_published_are_refused_and_thrown_away(
    server: FileServer, client: httpx2.Client, tmp_path: Path, change: object
) -> None:
    server.files["/data.bin"] = change(CONTENT)  # type: ignore[operator]
    with pytest.raises(ChecksumMismatch):
        download(remote(server), tmp_path / "data.bin", client=client)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_damaged_file_in_the_cache_is_fetched_again(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    target = tmp_path / "data.bin"
    target.write_bytes(b"damaged")
    download(remote(server), target, client=client)
    assert target.read_bytes() == CONTENT


def test_passing_faults_are_tried_again_with_growing_pauses(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    server.statuses = [503, 429, 500]
    pauses = Pauses()
    download(remote(server), tmp_path / "data.bin", client=client, pause=pauses)
    assert pauses.seconds == [2.0, 4.0, 8.0]


def test_a_file_that_is_not_there_is_not_tried_again(
    server: FileServer, client: httpx2.Client, tmp_path: Path
) -> None:
    del server.files["/data.bin"]
    with pytest.raises(UnreadableFile, match="404"):
        download(remote(server), tmp_path / "data.bin", client=client, pause=Pauses())
    assert len(server.requests) == 1


def test_no_server_at_all_says_what_to_do(client: httpx2.Client, tmp_path: Path) -> None:
    pauses = Pauses()
    file = RemoteFile("set/data.bin", "http://127.0.0.1:1/data.bin", "0" * 64, 5)
    with pytest.raises(UnreadableFile, match="TRIPTYCH_DATA"):
        download(file, tmp_path / "data.bin", client=client, pause=pauses, attempts=3)
    assert len(pauses.seconds) == 2


def test_two_at_once_fetch_once(server: FileServer, tmp_path: Path) -> None:
    def fetch() -> None:
        with httpx2.Client(timeout=10, trust_env=False) as client:
            download(remote(server), tmp_path / "data.bin", client=client)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "data.bin").read_bytes() == CONTENT
    assert len(server.requests) == 1


@pytest.fixture
def small(server: FileServer) -> dict[str, PublicDataset]:
    """A catalogue with one data set, whose file the local server has."""
    server.files["/data.bin"] = b"hi\nbye\n"
    file = remote(server, b"hi\nbye\n")

    def examples(locate: object) -> Iterator[Example]:
        for text in locate(file).read_text().split():  # type: ignore[operator]
            yield Example(text, text)

    return {"small": PublicDataset("small", "two words", "CC0", "here", (file,), examples)}


def test_a_data_set_comes_from_the_folder_else_from_its_address(
    server: FileServer, client: httpx2.Client, tmp_path: Path, small: dict[str, PublicDataset]
) -> None:
    folder, cache = tmp_path / "folder", tmp_path / "cache"
    for _ in range(2):
        dataset = load_public_dataset(
            "small", folder=folder, cache=cache, client=client, catalogue=small
        )
        assert [example.text for example in dataset.examples] == ["hi", "bye"]
    assert len(server.requests) == 1

    (folder / "set").mkdir(parents=True)
    (folder / "set" / "data.bin").write_bytes(b"hi\nbye\n")
    load_public_dataset(
        "small", folder=folder, cache=tmp_path / "unused", client=client, catalogue=small
    )
    assert not (tmp_path / "unused").exists()

    (folder / "set" / "data.bin").write_bytes(b"changed")
    with pytest.raises(ChecksumMismatch, match="not the file that was published"):
        load_public_dataset("small", folder=folder, cache=cache, client=client, catalogue=small)


def test_a_real_file_arrives_whole(
    server: FileServer, client: httpx2.Client, tmp_path: Path, public_data: Path
) -> None:
    content = (public_data / BANKING77_TEST.path).read_bytes()
    server.files["/data.bin"] = content
    server.breaks, server.breaks_after = 1, 50_000
    file = RemoteFile(
        BANKING77_TEST.path, f"{server.url}/data.bin", BANKING77_TEST.sha256, BANKING77_TEST.size
    )
    target = download(file, tmp_path / "test.csv", client=client, pause=Pauses())
    assert target.read_bytes() == content
    assert BANKING77_TEST in PUBLIC_DATASETS["banking77"].files
