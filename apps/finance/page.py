"""The finance monitor's part of the navigation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.ui.navigation import pages_of

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

_PAGES = Path(__file__).parent / "pages"
_ENTRIES = (
    ("today", "Today", ":material/today:"),
    ("company", "Company", ":material/domain:"),
    ("feed_health", "Feed health", ":material/rss_feed:"),
    ("rules_and_alerts", "Rules and alerts", ":material/notifications:"),
    ("score", "Score a text", ":material/text_fields:"),
    ("model", "Sentiment model", ":material/monitoring:"),
)
WHAT_IT_IS = (
    "Reads feeds and tells every story once: who it is about, whether it is good or bad for them, "
    "how the mood moves, and what to be alarmed about."
)
WHERE_DRIFT_IS = "see the page Sentiment model"


def pages() -> list[StreamlitPage]:
    """The monitor's pages in the order of the menu."""
    return pages_of("finance", _PAGES, _ENTRIES)
