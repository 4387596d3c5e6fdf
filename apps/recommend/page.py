"""The recommender's part of the navigation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.ui.navigation import pages_of

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

_PAGES = Path(__file__).parent / "pages"
_ENTRIES = (
    ("shop_window", "Shop window", ":material/storefront:"),
    ("item_neighbours", "Item neighbours", ":material/hub:"),
    ("catalogue_map", "Catalogue map", ":material/scatter_plot:"),
    ("offline_report", "Offline report", ":material/analytics:"),
    ("bundles_and_experiments", "Bundles and experiments", ":material/science:"),
)
WHAT_IT_IS = (
    "Recommends from a catalogue and what people do in it: for a user, an item, a visit or a "
    "text, fresh within a second of an event, with reasons."
)
WHERE_DRIFT_IS = "see the page Bundles and experiments, under Drift"


def pages() -> list[StreamlitPage]:
    """The recommender's pages in the order of the menu."""
    return pages_of("recommend", _PAGES, _ENTRIES)
