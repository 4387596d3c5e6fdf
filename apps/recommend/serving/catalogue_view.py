"""A tenant's catalogue in memory at one moment: the items, their arrays, and what scores them.

A view never changes; what happened in the catalogue makes another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from apps.recommend.ranking.catalogue_arrays import CatalogueArrays
from models.recommendation.scoring import ItemScorer
from shared.catalogue import CatalogueItem


@dataclass(frozen=True, eq=False, slots=True)
class CatalogueView:
    """``change`` is the number of the last change of the catalogue that is in it.

    ``bundle`` is the fitted bundle behind the scorer, None where nothing is fitted yet. The rows of
    ``arrays`` are those of ``scorer``; ``items`` holds what is in the catalogue.
    """

    scorer: ItemScorer
    arrays: CatalogueArrays
    items: Mapping[str, CatalogueItem]
    change: int
    bundle: str | None
    synthetic: bool = False

    @property
    def version(self) -> str:
        """The bundle's name, "" without one."""
        return self.bundle or ""

    @classmethod
    def of(
        cls,
        scorer: ItemScorer,
        items: Mapping[str, CatalogueItem],
        change: int,
        *,
        bundle: str | None,
        synthetic: bool = False,
    ) -> CatalogueView:
        """The first view over a scorer that knows every one of the items."""
        arrays = CatalogueArrays.of(scorer.item_ids, items)
        return cls(scorer, arrays, items, change, bundle, synthetic)

    def after(
        self, changed: Sequence[CatalogueItem], deleted: Sequence[str], change: int
    ) -> CatalogueView:
        """The view with these items added or changed and those deleted.

        An item that was deleted keeps its row, listed no more: histories may still name it.
        """
        if not changed and not deleted:
            return replace(self, change=change)
        reads = [item for item in changed if self._reads_anew(item)]
        scorer = self.scorer.with_items(reads) if reads else self.scorer
        items = {**self.items, **{item.id: item for item in changed}}
        for gone in deleted:
            items.pop(gone, None)
        arrays = self.arrays.with_changes(scorer.item_ids, changed, deleted)
        return replace(self, scorer=scorer, arrays=arrays, items=items, change=change)

    def _reads_anew(self, item: CatalogueItem) -> bool:
        known = self.items.get(item.id)
        return known is None or known.whole != item.whole
