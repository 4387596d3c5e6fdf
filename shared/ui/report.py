"""A version's report inside a page."""

from __future__ import annotations

import base64

import streamlit as st


def embed_report(page: str, *, file_name: str, height: int = 900) -> None:
    """Show a self-contained HTML report, and offer it as a file.

    It goes in as a ``data:`` address: such a frame has an origin of its own, so nothing in the
    report, which quotes customers, can reach the page around it.
    """
    address = "data:text/html;charset=utf-8;base64," + base64.b64encode(page.encode()).decode()
    st.iframe(address, height=height)
    st.download_button(
        "Download the report",
        page,
        file_name=file_name,
        mime="text/html",
        icon=":material/download:",
        on_click="ignore",
    )
