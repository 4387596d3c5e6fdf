"""The person in front of the page: their time zone, the present moment, and their name."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from shared.ui.wording import clock_time


def reader_zone() -> tzinfo:
    """The time zone of the reader's browser; UTC where it does not say."""
    name = st.context.timezone
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def local(moment: datetime) -> str:
    """The moment as the reader's own clock shows it."""
    return clock_time(moment, reader_zone(), datetime.now(UTC))


def reader_name() -> str:
    """A field for the reader's name, kept through the session: what is done is signed with it."""
    with st.container(width=260):
        typed = st.text_input(
            "Your name",
            key="reader_name",
            max_chars=120,
            placeholder="signs what you do",
            persist_state="session",
        )
        name = (typed or "").strip()
        if not name:
            st.caption("Buttons that change something wait for it.")
    return name
