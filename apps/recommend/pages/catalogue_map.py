"""The catalogue in two dimensions: items whose texts are alike stand near one another."""

from __future__ import annotations

from html import escape

import streamlit as st

from apps.recommend.page_parts.catalogue_head import show_head, tenant_of_reader
from apps.recommend.page_parts.map_chart import legend_of, map_chart, map_frame
from shared.ui.connection import api, needed
from shared.ui.sentiment import line_html
from shared.ui.wording import plain

st.set_page_config(layout="wide")
client = api()
tenant = tenant_of_reader()


def show_legend(legend: list[tuple[str, str, int]]) -> None:
    """The colours below the drawing, where they wrap on a narrow screen."""
    parts = [
        '<span style="white-space:nowrap"><span aria-hidden="true" style="display:inline-block;'
        f"width:.65rem;height:.65rem;border-radius:50%;background:{color};margin-right:.35rem"
        f'"></span>{escape(name)} ({count:,})</span>'
        for name, color, count in legend
    ]
    st.html(line_html(parts))


status = show_head(
    "Catalogue map",
    client,
    tenant,
    purpose="All items by their texts: what lies near reads alike.",
)
with needed():
    found = client.catalogue_map(tenant=tenant)
if len(found.points) < 3:
    st.info("A map needs three items.", icon=":material/scatter_plot:")
    st.stop()
frame = map_frame(found.points)
chosen = st.multiselect(
    "Categories",
    list(frame["category"].value_counts().index),
    placeholder="All, or those that you choose, drawn nearer",
)
event = st.altair_chart(
    map_chart(frame, chosen),
    alt=f"{len(found.points)} items in the plane, coloured by category",
    on_select="rerun",
    selection_mode="item",
    key="catalogue_map",
)
show_legend(legend_of(frame, chosen))
st.caption(
    "The two principal components of the items' text vectors: near means alike in text, and far "
    "may still mean alike in what is not drawn."
    + (
        f" {len(found.points):,} of {found.items:,} items are drawn."
        if found.items > len(found.points)
        else ""
    )
)
picked = [row["id"] for row in event.selection.get("item", []) if "id" in row]
titles = dict(zip(frame["id"], frame["title"], strict=True))
with st.container(horizontal=True):
    for id in picked[:5]:
        st.page_link(
            "recommend/pages/item_neighbours.py",
            label=f"Neighbours of {plain(titles.get(id, id))}",
            icon=":material/hub:",
            query_params={"item": id},
        )
if not picked:
    st.caption("Click a point for a way to its neighbours.")
