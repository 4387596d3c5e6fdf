"""Sliders and filters of a list, as the settings that the API takes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shared.api.recommend_lists import Hide, StatusShape

HIDDEN: dict[Hide, str] = {
    "bought": "What was bought",
    "seen": "All that was seen",
    "none": "Nothing",
}
SEED = 0
"""New items are tried in one order, so that a list does not change while it is looked at."""


def ask_sliders() -> dict[str, Any]:
    """Diversity, exploration and damping, each from 0 to 1."""
    with st.container(horizontal=True):
        diversity = _share("Diversity", "0 is by score alone; more sets unlike items side by side")
        exploration = _share("Exploration", "share of the list that is kept for new items")
        damping = _share("Damping", "how much what everyone takes is held down")
    return {
        "diversity": diversity,
        "exploration": exploration,
        "damping": damping,
        "seed": SEED,
    }


def ask_filters(status: StatusShape) -> dict[str, Any]:
    """How long the list is, and which items it may hold."""
    names = [one.category for one in status.categories if one.category is not None]
    with st.expander("Filters and length", icon=":material/filter_alt:"):
        only = st.multiselect("Only these categories", names, placeholder="All")
        without = st.multiselect("None of these", names, placeholder="None left out")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            low = st.number_input(
                "Price from", min_value=0.0, value=None, placeholder="any", width=140
            )
            high = st.number_input("to", min_value=0.0, value=None, placeholder="any", width=140)
            hide = st.selectbox(
                "Leave out", list(HIDDEN), format_func=lambda hide: HIDDEN[hide], width=190
            )
            cap = st.number_input(
                "At most of a category", 1, 200, value=None, placeholder="any number", width=170
            )
            k = st.number_input("Items in the list", 1, 100, value=10, width=140)
        available = st.checkbox("Only what is available", value=True)
    if low is not None and high is not None and low > high:
        st.error(f"No price is from {low:,.2f} to {high:,.2f}.", icon=":material/error:")
        st.stop()
    return {
        "k": int(k),
        "category_cap": None if cap is None else int(cap),
        "filters": {
            "categories": only,
            "exclude_categories": without,
            "min_price": low,
            "max_price": high,
            "available_only": available,
            "hide": hide,
        },
    }


def _share(title: str, meaning: str) -> float:
    return st.slider(title, 0.0, 1.0, 0.0, 0.05, help=meaning, width=172)
