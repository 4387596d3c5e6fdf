"""What is like an item, by behaviour and text, and what fits a text."""

from __future__ import annotations

import streamlit as st

from apps.recommend.page_parts.catalogue_head import show_head, tenant_of_reader
from apps.recommend.page_parts.item_cards import item_html, scored_html
from apps.recommend.page_parts.item_picker import pick_item
from shared.api.recommend_lists import ItemSummary, ScoredItem, StatusShape
from shared.client import ApiError
from shared.ui.connection import api, needed, show_error
from shared.ui.wording import plain

BY = ("Like an item", "Fits a text")
K = 12

st.set_page_config(layout="wide")
state = st.session_state
state.setdefault("neighbours_by", BY[0])
client = api()
tenant = tenant_of_reader()


def go_to(item: str) -> None:
    """Make it the item whose neighbours are shown."""
    st.query_params["item"] = item
    state["neighbours_by"] = BY[0]
    state["neighbours-item"] = item


def go_to_chosen() -> None:
    """The same for the item that was picked."""
    if chosen := state.get("neighbours-item"):
        st.query_params["item"] = chosen


def known_item() -> ItemSummary | None:
    """The item that the address names, if it is in the catalogue."""
    wanted = st.query_params.get("item")
    if not wanted:
        return None
    try:
        item = client.item(wanted, tenant=tenant)
    except ApiError as error:
        show_error(error)
        return None
    return ItemSummary(
        id=item.id,
        title=item.title,
        text=item.text,
        category=item.category,
        price=item.price,
        available=item.available,
        attributes=dict(item.attributes),
    )


def show_scored(entries: list[ScoredItem]) -> None:
    """Items with their scores, each leading to its own neighbours."""
    if not entries:
        st.caption("There is none.")
        return
    greatest = max(entry.score for entry in entries)
    half = (len(entries) + 1) // 2
    left, right = st.columns(2, gap="medium")
    for place, entry in enumerate(entries):
        with left if place < half else right, st.container(border=True):
            st.html(scored_html(entry.item, entry.score, place + 1, greatest))
            st.button(
                "Its neighbours",
                key=f"to-{entry.item.id}",
                icon=":material/hub:",
                type="tertiary",
                on_click=go_to,
                args=(entry.item.id,),
            )


def show_neighbours(status: StatusShape) -> None:
    """An item, and those nearest to it."""
    chosen = known_item()
    id = pick_item(
        client,
        tenant,
        status.items,
        key="neighbours-item",
        on_change=go_to_chosen,
        chosen=chosen,
    )
    if id is None:
        st.info("Choose an item to see what is like it.", icon=":material/hub:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        same = st.checkbox("Only of its category")
        available = st.checkbox("Only what is available", value=True)
    category = chosen.category if same and chosen is not None else None
    with needed():
        found = client.similar_items(
            id, k=K, category=category, available_only=available, tenant=tenant
        )
    with st.container(border=True):
        st.html(item_html(found.item))
        if facts := [f"{name}: {_told(value)}" for name, value in found.item.attributes.items()]:
            st.caption(plain(" · ".join(facts)))
    st.subheader("Nearest to it", anchor=False)
    st.caption("By what people take together, and by what the texts say.")
    show_scored(found.entries)


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def show_fits() -> None:
    """The items that fit a text by what it means."""
    with st.form("text", border=False):
        text = st.text_input(
            "Text",
            placeholder="something warm for a long walk in the rain",
            max_chars=1_000,
            key="neighbours_text",
        )
        st.form_submit_button("Find", type="primary", icon=":material/search:")
    if not (text or "").strip():
        st.info("Write what you look for: it need not be the words of a title.")
        return
    with needed():
        found = client.items_for_text(text, k=K, tenant=tenant)
    show_scored(found.entries)


status = show_head(
    "Item neighbours",
    client,
    tenant,
    purpose="What goes with an item, or fits a text, and why.",
)
by = st.segmented_control(
    "Find", BY, required=True, key="neighbours_by", label_visibility="collapsed"
)
if by == BY[1]:
    show_fits()
else:
    show_neighbours(status)
