"""Choose an item of the catalogue: from all of a small one, from what a search finds of a large."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from shared.api.recommend_lists import ItemSummary
from shared.client import TriptychClient
from shared.ui.connection import needed
from shared.ui.wording import counted

MOST = 200


def pick_item(
    client: TriptychClient,
    tenant: str | None,
    total: int,
    *,
    key: str,
    label: str = "Item",
    on_change: Callable[[], None] | None = None,
    chosen: ItemSummary | None = None,
) -> str | None:
    """The id of the chosen item, None where none is. ``chosen`` stands among the options whether
    the search finds it or not; its id begins as the choice. ``total`` is how many items there are.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        query = ""
        if total > MOST:
            query = st.text_input(
                "Words of its title",
                key=f"{key}-words",
                placeholder=f"among {counted(total, 'item')}",
                max_chars=120,
                width=260,
            )
        with needed():
            found = client.items(query or None, limit=MOST, tenant=tenant)
        titles = {item.id: item.title for item in found}
        if chosen is not None and chosen.id not in titles:
            titles = {chosen.id: chosen.title, **titles}
        ids = sorted(titles, key=lambda id: titles[id].casefold())
        first = chosen.id if chosen is not None and key not in st.session_state else None
        return st.selectbox(
            label,
            ids,
            index=None if first is None else ids.index(first),
            format_func=lambda id: titles.get(id, id),
            key=key,
            placeholder="Choose an item" if ids else "No item has these words",
            on_change=on_change,
            width=420,
        )
