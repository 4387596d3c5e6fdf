"""Public data sets of items and of what users did with them, read as they were published.

``docs/data.md`` says what is known of each, and how the addresses were checked.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2

from data_connectors.downloads import Progress, RemoteFile, check, locate_files, no_progress
from shared.catalogue import MAX_TITLE, BehaviourData, BehaviourEvent, CatalogueItem
from shared.errors import UnknownDataset
from shared.settings import Settings

_GITHUB = "https://raw.githubusercontent.com"
_MOVIES = (
    f"{_GITHUB}/priscillanzula/Recommendation_System_movies/"
    "29e52394ede2658c0e4d12b378879afea1f4cee4/ml-latest-small"
)
_BEAUTY = (
    f"{_GITHUB}/dh-r/LLM-Sequential-Recommendation/6464b39064f369b251580c63edbf635de0934101/beauty"
)

MOVIES = RemoteFile(
    "movielens_latest_small/movies.csv",
    f"{_MOVIES}/movies.csv",
    "5a5f32dd9bb3797b8e728a1b98958789d2b13f294a69fdfbc5727f8a9611aa07",
    494_431,
)
RATINGS = RemoteFile(
    "movielens_latest_small/ratings.csv",
    f"{_MOVIES}/ratings.csv",
    "aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646",
    2_483_723,
)
PLOTS = RemoteFile(
    "movielens_latest_small/overviews.csv",
    "",
    "2fbfb578d86840e39fb8b9766d27beb7de5116fb656e6368890a4f603e5865d7",
    2_389_247,
)
"""Plots joined by TMDB id. It was derived and has no address: only a data folder brings it."""

BEAUTY_SEQUENCES = RemoteFile(
    "amazon_beauty_2014/user_sequence.txt",
    f"{_GITHUB}/zhaodong-liu/GRAM/2c168a4cc12e70c464502149392943e091006835/rec_datasets/Beauty/"
    "user_sequence.txt",
    "47197cbee7bdc1896926e10d96b807dce0aecb9a1f0c2ccc887c21090237c9b7",
    2_513_357,
)
BEAUTY_NAMES = RemoteFile(
    "amazon_beauty_2014/products_lookup.csv",
    f"{_BEAUTY}/products_lookup.csv",
    "65133eca0615999df67fc5b26a93a7da762e53e613a083fd6b9e37174896d128",
    961_053,
)
BEAUTY_NUMBERS = RemoteFile(
    "amazon_beauty_2014/item_id_to_int.json",
    f"{_BEAUTY}/item_id_to_int.json",
    "3d1a1d362c7daeddf616057fae8fa24af9d70902fdaf4631852231a9953afa50",
    243_011,
)
BEAUTY_ITEMS = RemoteFile(
    "amazon_beauty_2014/items.csv",
    "",
    "9ca60e3b3cbfb0ed4c257070f83d91f09ea649a19259aeb15cd8433de022832e",
    983_261,
)
"""Ids with their titles, derived from the two files above; a data folder may bring it."""

Outcomes = Iterator[CatalogueItem | BehaviourEvent]
Locate = Callable[[RemoteFile], Path]
"""Where a file lies. Raises KeyError for a derived file that is not there."""


@dataclass(frozen=True, slots=True)
class RecommendDataset:
    """A public data set: its files, its licence, where it is described, and how to read it.

    ``files`` are needed; of ``derived`` files, which have no address, each is read where the data
    folder has it. Where a derived file ``replaces`` others, they are not needed beside it.
    """

    name: str
    summary: str
    licence: str
    described_in: str
    files: tuple[RemoteFile, ...]
    read: Callable[[Locate], Outcomes]
    derived: tuple[RemoteFile, ...] = ()
    replaces: Mapping[RemoteFile, tuple[RemoteFile, ...]] = field(
        default_factory=lambda: MappingProxyType({})
    )


def load_recommend_dataset(
    name: str,
    settings: Settings,
    *,
    progress: Progress = no_progress,
    client: httpx2.Client | None = None,
    catalogue: Mapping[str, RecommendDataset] | None = None,
) -> BehaviourData:
    """A public data set: items in the source's order, each user's events in theirs.

    Its files are read in ``settings.data`` when all are there, else fetched once into
    ``settings.home / "datasets"``. Either way their sha256 must be the published one.

    Raises UnknownDataset, ChecksumMismatch, and UnreadableFile when a file cannot be fetched.
    """
    catalogue = RECOMMEND_DATASETS if catalogue is None else catalogue
    if name not in catalogue:
        known = ", ".join(sorted(catalogue))
        raise UnknownDataset(f"there is no public data set {name!r}; there are {known}", name=name)
    dataset = catalogue[name]
    derived = {
        file: check(settings.data / file.path, file)
        for file in dataset.derived
        if settings.data is not None and (settings.data / file.path).is_file()
    }
    needless = {file for there in derived for file in dataset.replaces.get(there, ())}
    paths = derived | locate_files(
        [file for file in dataset.files if file not in needless],
        folder=settings.data,
        cache=settings.home / "datasets",
        progress=progress,
        client=client,
    )
    items: list[CatalogueItem] = []
    events: list[BehaviourEvent] = []
    for outcome in dataset.read(paths.__getitem__):
        if isinstance(outcome, CatalogueItem):
            items.append(outcome)
        else:
            events.append(outcome)
    return BehaviourData(name, tuple(items), tuple(events))


def _table(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _movielens(locate: Locate) -> Outcomes:
    """Movies with genres and plot as their text, and ratings with their times.

    The genres stand alone where no plot is known, or where the file of plots is not there.
    """
    try:
        plots = {row["movieId"]: row["overview"].strip() for row in _table(locate(PLOTS))}
    except KeyError:
        plots = {}
    for row in _table(locate(MOVIES)):
        genres = [name for name in row["genres"].split("|") if not name.startswith("(no genres")]
        parts = (", ".join(genres), plots.get(row["movieId"], ""))
        attributes: dict[str, Any] = {"genres": genres} if genres else {}
        yield CatalogueItem(
            id=row["movieId"],
            title=row["title"].strip(),
            text=". ".join(part for part in parts if part),
            category=genres[0] if genres else None,
            attributes=MappingProxyType(attributes),
        )
    for row in _table(locate(RATINGS)):
        yield BehaviourEvent(
            id=f"movielens-{row['userId']}-{row['movieId']}",
            user=row["userId"],
            item=row["movieId"],
            type="rating",
            at=datetime.fromtimestamp(int(row["timestamp"]), UTC),
            value=float(row["rating"]),
        )


def _beauty(locate: Locate) -> Outcomes:
    """Products with their titles, and purchases in the order of the file, without times.

    A product without a title is called by its id, so that no sequence loses a step.
    """
    for asin, title in _beauty_items(locate):
        yield CatalogueItem(id=asin, title=title.strip()[:MAX_TITLE].strip() or asin)
    lines = locate(BEAUTY_SEQUENCES).read_text(encoding="utf-8").splitlines()
    for line in lines:
        user, *products = line.split()
        for place, product in enumerate(products):
            yield BehaviourEvent(f"beauty-{user}-{place}", user, product, "purchase", None)


def _beauty_items(locate: Locate) -> Iterator[tuple[str, str]]:
    """Id and title of each product, in the order of ids."""
    try:
        items = locate(BEAUTY_ITEMS)
    except KeyError:
        rows = _table(locate(BEAUTY_NAMES))
        names = {row["global_product_id"]: row["name"] for row in rows}
        numbers = json.loads(locate(BEAUTY_NUMBERS).read_text(encoding="utf-8"))
        for asin in sorted(numbers):
            yield asin, names[str(numbers[asin])]
        return
    for row in _table(items):
        yield row["asin"], row["title"]


RECOMMEND_DATASETS: Mapping[str, RecommendDataset] = MappingProxyType(
    {
        dataset.name: dataset
        for dataset in (
            RecommendDataset(
                "movielens-small",
                "100,836 ratings of 9,742 movies by 610 users, with times",
                "GroupLens research terms, non-commercial; plots: TMDB, non-commercial",
                "Harper and Konstan 2015, doi:10.1145/2827872",
                (MOVIES, RATINGS),
                _movielens,
                (PLOTS,),
            ),
            RecommendDataset(
                "amazon-beauty",
                "198,502 purchases of 12,101 products by 22,363 users, in order, without times",
                "not verified; taken for research use",
                "McAuley et al. 2015, arXiv:1506.04757",
                (BEAUTY_SEQUENCES, BEAUTY_NAMES, BEAUTY_NUMBERS),
                _beauty,
                (BEAUTY_ITEMS,),
                MappingProxyType({BEAUTY_ITEMS: (BEAUTY_NAMES, BEAUTY_NUMBERS)}),
            ),
        )
    }
)
