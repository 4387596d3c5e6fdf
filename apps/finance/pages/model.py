"""The version that scores, which stories it scored, and whether they are like its data."""

from __future__ import annotations

import streamlit as st

from shared.api.finance import ScoredBy
from shared.client import TriptychClient
from shared.ui.connection import api, needed
from shared.ui.drift_panel import show_drift
from shared.ui.reader import local
from shared.ui.wording import counted

APP = "finance"
LOOK_AGAIN_SECONDS = 15


def show_versions(found: ScoredBy) -> None:
    """How far stored stories are scored by the version in use."""
    own = next((one for one in found.versions if one.version == found.version), None)
    lately = sum(one.lately for one in found.versions)
    done = own.lately if own else 0
    if found.version is None:
        st.warning(
            "**No model is in use: stories are kept, and scored once there is one.**  \n"
            "Train one with `triptych train finance`.",
            icon=":material/model_training:",
        )
    elif not found.versions:
        st.caption("No story is scored yet.")
    elif found.days and done < lately:
        st.progress(
            done / lately,
            f"Scored by it: {done:,} of {counted(lately, 'story', 'stories')} of the last"
            f" {counted(round(found.days), 'day')}",
        )
        st.caption("The watcher (`triptych finance watch`) scores the others again, newest first.")
    elif found.days:
        days = counted(round(found.days), "day")
        st.success(f"All stories of the last {days} are scored by it.", icon=":material/check:")
    if found.waiting:
        st.caption(f"{counted(found.waiting, 'story waits', 'stories wait')} for a first score.")
    if found.versions:
        st.dataframe(
            [
                {
                    "": "● in use" if one.version == found.version else "",
                    "version": one.version,
                    "stories": one.stories,
                    "the newest read": local(one.newest_at),
                }
                for one in found.versions
            ],
            hide_index=True,
            height="content",
        )
    if any(one.version != found.version for one in found.versions) and found.version:
        st.caption("All others, however old: `triptych finance rescore`.")


@st.fragment(run_every=LOOK_AGAIN_SECONDS)
def standing(client: TriptychClient) -> None:
    """Looked up again every few seconds, since stories may be scored again meanwhile."""
    with needed():
        found = client.scored_by()
    if found.version:
        st.caption(f"In use: {found.version}")
    show_versions(found)


st.set_page_config(layout="wide")
client = api()

st.title("Sentiment model", anchor=False)
st.caption("What decides whether a story is good or bad for a company, and whether it still can.")
st.subheader("Which version scored the stories", anchor=False)
standing(client)
st.subheader("Drift", anchor=False)
show_drift(client, APP)
