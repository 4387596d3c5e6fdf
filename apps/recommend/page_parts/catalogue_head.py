"""What every page of the recommender begins with: whose catalogue it is, and what it rests on."""

from __future__ import annotations

import streamlit as st

from shared.api.recommend_lists import StatusShape
from shared.client import TriptychClient
from shared.ui.connection import needed
from shared.ui.wording import counted, plain

TENANT = "recommend_tenant"


def tenant_of_reader() -> str | None:
    """The team's world that the address names with ``?tenant=``, kept through the session.

    None leaves it to the API: with keys the key says it, without keys it is the default one.
    """
    if named := st.query_params.get("tenant"):
        st.session_state[TENANT] = named
    kept = st.session_state.get(TENANT)
    return str(kept) if kept else None


def show_head(
    title: str, client: TriptychClient, tenant: str | None, *, purpose: str
) -> StatusShape:
    """Title, what the page is for, how much there is, whether it is made up; ends an empty page."""
    st.title(title, anchor=False)
    st.markdown(purpose)
    with needed():
        status = client.recommend_status(tenant=tenant)
    whose = "" if status.tenant == "default" else f"{plain(status.tenant)} · "
    bundle = f"bundle {status.bundle}" if status.bundle else "no bundle in use"
    size = f"{counted(status.items, 'item')} · {counted(status.events, 'event')}"
    st.caption(f"{whose}{size} · {bundle}")
    if not status.items:
        st.info(
            "**The catalogue is empty.**  \n"
            "Load one with `triptych recommend load-items FILE`, and what happened in it with "
            "`triptych recommend load-events FILE`.",
            icon=":material/inventory_2:",
        )
        st.stop()
    if status.synthetic:
        synthetic_notice()
    return status


def synthetic_notice() -> None:
    """That no person did any of this."""
    st.warning(
        "**Synthetic behaviour.** A generator made up the users and events here; no person did "
        "any of it.",
        icon=":material/smart_toy:",
    )
