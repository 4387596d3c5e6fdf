"""The support desk's part of the navigation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from shared.ui.navigation import pages_of

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

_PAGES = Path(__file__).parent / "pages"
_ENTRIES = (
    ("chat", "Chat", ":material/chat:"),
    ("handover", "Waiting chats", ":material/support_agent:"),
    ("review", "Review queue", ":material/rate_review:"),
    ("model_report", "Model", ":material/monitoring:"),
    ("data_check", "Data check", ":material/stethoscope:"),
)
WHAT_IT_IS = (
    "Answers what it is sure of, asks back when two intents are close, and hands over to a person "
    "when it is not sure. What people correct, it learns."
)
WHERE_DRIFT_IS = "see the page Model, under Drift"


def pages() -> list[StreamlitPage]:
    """The desk's pages in the order of the menu."""
    return pages_of("support", _PAGES, _ENTRIES)
