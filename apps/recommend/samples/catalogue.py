"""The catalogue that ships with the recommender, and what tends to follow what in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from data_connectors.item_files import read_items
from shared.catalogue import CatalogueItem
from shared.errors import UnreadableFile

FOLDER = Path(__file__).parent
CATALOGUE = FOLDER / "catalogue.jsonl"
FOLLOW_UPS = FOLDER / "follow_ups.json"


def sample_items() -> tuple[CatalogueItem, ...]:
    """The 414 items of twelve categories, all written for this project.

    Attributes of each: ``kind`` (camera, memory card), ``themes`` (hiking, baking), and where it
    makes sense ``colour`` and ``material``.
    """
    items = []
    for outcome in read_items(CATALOGUE):
        if not isinstance(outcome, CatalogueItem):
            raise UnreadableFile(f"{CATALOGUE}, line {outcome.line}: {outcome.reason}")
        items.append(outcome)
    return tuple(items)


def follow_ups() -> Mapping[str, tuple[str, ...]]:
    """Kinds of items by the kind that people look at or buy before them."""
    stored = json.loads(FOLLOW_UPS.read_text(encoding="utf-8"))
    return {kind: tuple(followers) for kind, followers in stored.items()}
