"""Small files in the layout of the published ones, in a folder or at an address."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from data_connectors.downloads import RemoteFile
from data_connectors.recommend_datasets import (
    BEAUTY_ITEMS,
    BEAUTY_NAMES,
    BEAUTY_NUMBERS,
    BEAUTY_SEQUENCES,
    MOVIES,
    PLOTS,
    RATINGS,
    RECOMMEND_DATASETS,
    RecommendDataset,
    load_recommend_dataset,
)
from shared.errors import ChecksumMismatch, UnknownDataset
from shared.settings import Settings

pytestmark = pytest.mark.unit

FILES = {
    MOVIES: "movieId,title,genres\n"
    '7,"Long Way, The (1999)",Drama|War\n9,Quiet (2001),(no genres listed)\n',
    PLOTS: "movieId,tmdbId,title,genres,overview,overview_source\n7,1,x,y, A road. ,z\n",
    RATINGS: "userId,movieId,rating,timestamp\n1,7,4.5,86400\n2,9,0.5,172800\n",
    BEAUTY_SEQUENCES: "U1 B b\nU2 b B a\n",
    BEAUTY_NAMES: ",global_product_id,name\n0,5,Soap\n1,2, \n2,0,Balm\n",
    BEAUTY_NUMBERS: json.dumps({"b": 5, "B": 0, "a": 2}),
    BEAUTY_ITEMS: "asin,title\nB,Balm\na, \nb,Soap\n",
}


def published(url: str = "") -> Mapping[RemoteFile, RemoteFile]:
    """Each file with the address, sha256 and size that the small one has."""
    return {
        file: replace(
            file,
            url=f"{url}/{file.path}" if file.url else "",
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            size=len(text.encode()),
        )
        for file, text in FILES.items()
    }


def small(name: str, url: str = "") -> Mapping[str, RecommendDataset]:
    """The data set as it is, but for what its files are said to hold."""
    dataset, new = RECOMMEND_DATASETS[name], published(url)
    return {
        name: replace(
            dataset,
            files=tuple(new[file] for file in dataset.files),
            derived=tuple(new[file] for file in dataset.derived),
            replaces={
                new[file]: tuple(new[other] for other in others)
                for file, others in dataset.replaces.items()
            },
            read=lambda locate: dataset.read(lambda file: locate(new[file])),
        )
    }


def put(folder: Path, *files: RemoteFile) -> Settings:
    for file in files:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_text(FILES[file])
    return Settings(home=folder / "home", data=folder)


def test_movies_with_plots_and_ratings_with_times(tmp_path: Path) -> None:
    settings = put(tmp_path, MOVIES, RATINGS, PLOTS)
    name = "movielens-small"
    data = load_recommend_dataset(name, settings, catalogue=small(name))
    road, quiet = data.items
    assert (road.id, road.title, road.category) == ("7", "Long Way, The (1999)", "Drama")
    assert road.text == "Drama, War. A road."
    assert road.attributes == {"genres": ["Drama", "War"]}
    assert (quiet.text, quiet.category, quiet.attributes) == ("", None, {})
    rated = data.events[0]
    assert (rated.id, rated.user, rated.item, rated.value) == ("movielens-1-7", "1", "7", 4.5)
    assert rated.at == datetime(1970, 1, 2, tzinfo=UTC)
    assert data.timed
    assert not settings.home.exists()


def test_movies_without_plots_have_their_genres(tmp_path: Path) -> None:
    name = "movielens-small"
    data = load_recommend_dataset(name, put(tmp_path, MOVIES, RATINGS), catalogue=small(name))
    assert [item.text for item in data.items] == ["Drama, War", ""]


def test_purchases_keep_their_order_and_have_no_times(tmp_path: Path) -> None:
    name = "amazon-beauty"
    settings = put(tmp_path, BEAUTY_SEQUENCES, BEAUTY_ITEMS)
    data = load_recommend_dataset(name, settings, catalogue=small(name))
    assert [(item.id, item.title) for item in data.items] == [
        ("B", "Balm"), ("a", "a"), ("b", "Soap"),
    ]  # fmt: skip
    assert [(event.user, event.item) for event in data.events] == [
        ("U1", "B"), ("U1", "b"), ("U2", "b"), ("U2", "B"), ("U2", "a"),
    ]  # fmt: skip
    assert {(event.type, event.at) for event in data.events} == {("purchase", None)}
    assert len({event.id for event in data.events}) == 5


def test_what_no_folder_has_is_fetched_once_and_joined(tmp_path: Path) -> None:
    """The published pair of names and numbers gives the items that the derived file has."""
    name = "amazon-beauty"
    derived = load_recommend_dataset(
        name, put(tmp_path / "data", BEAUTY_SEQUENCES, BEAUTY_ITEMS), catalogue=small(name)
    )
    settings = Settings(home=tmp_path / "home", data=None)
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.url.path)
        (text,) = (text for file, text in FILES.items() if f"/{file.path}" == request.url.path)
        return httpx2.Response(200, content=iter([text.encode()]))

    catalogue = small(name, "https://files.example")
    with httpx2.Client(transport=httpx2.MockTransport(answer)) as client:
        fetched = load_recommend_dataset(name, settings, client=client, catalogue=catalogue)
        again = load_recommend_dataset(name, settings, client=client, catalogue=catalogue)
    assert sorted(asked) == sorted(
        f"/{file.path}" for file in (BEAUTY_SEQUENCES, BEAUTY_NAMES, BEAUTY_NUMBERS)
    )
    assert fetched == again == derived


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    name = "movielens-small"
    settings = put(tmp_path, MOVIES, RATINGS, PLOTS)
    (tmp_path / PLOTS.path).write_text("other")
    with pytest.raises(ChecksumMismatch, match=r"overviews\.csv"):
        load_recommend_dataset(name, settings, catalogue=small(name))


def test_an_unknown_name_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UnknownDataset, match="amazon-beauty, movielens-small"):
        load_recommend_dataset("netflix", Settings(home=tmp_path))
