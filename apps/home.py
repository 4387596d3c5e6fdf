"""The entry of the pages: ``streamlit run apps/home.py``. Each app adds its own pages.

Streamlit puts this file's folder first on ``sys.path``; no module below ``apps/`` may therefore be
named like one of the packages beside it (``shared``, ``models``, ``data_connectors``).
"""

from __future__ import annotations

import streamlit as st

from apps.finance import page as finance
from apps.recommend import page as recommend
from apps.support import page as support
from shared.client import ApiError, TriptychClient
from shared.ui.connection import api, show_error
from shared.ui.wording import plain


def apps_that_drift(client: TriptychClient) -> set[str]:
    """The apps whose last comparison told drift; none where the API tells a key alone."""
    try:
        last = [(one.app, one.checks[-1:]) for one in client.drift(checks=1).apps]
    except ApiError:
        return set()
    return {app for app, checks in last if checks and checks[0].verdict == "drift"}


def start() -> None:
    """What there is, and whether the API is ready for it."""
    st.set_page_config(layout="centered")
    st.title("Triptych")
    st.markdown("One fine-tuning core, and the applications that stand on it.")
    client = api()
    versions: dict[str, str | None] = {}
    drifting: set[str] = set()
    try:
        health = client.ready()
        versions = health.versions
        if health.status != "ready":
            st.warning(
                f"**The API is there, but no model is ready yet.**  \n{plain(health.status)}  \n"
                "If no model was ever trained: `triptych train support --data sample:support`, or "
                "`triptych demo`.",
                icon=":material/hourglass:",
            )
        else:
            st.success(f"The API at {plain(client.url)} is ready.", icon=":material/check_circle:")
            drifting = apps_that_drift(client)
    except ApiError as error:
        show_error(error)
    for app, title, page in (
        ("support", "Support desk", support),
        ("finance", "Finance monitor", finance),
        ("recommend", "Recommender", recommend),
    ):
        with st.container(border=True):
            st.subheader(title, anchor=False)
            st.markdown(page.WHAT_IT_IS)
            version = versions.get(app)
            st.caption(f"Model in use: {version}" if version else "No model in use.")
            if app in drifting:
                st.warning(
                    f"What comes is not like what this model was made of: {page.WHERE_DRIFT_IS}.",
                    icon=":material/trending_up:",
                )
            with st.container(horizontal=True):
                for entry in page.pages():
                    st.page_link(entry)


def main() -> None:
    """Draw the navigation and run the page that was chosen."""
    home = st.Page(start, title="Start", icon=":material/home:", default=True)
    st.navigation(
        {
            "": [home],
            "Support desk": support.pages(),
            "Finance monitor": finance.pages(),
            "Recommender": recommend.pages(),
        }
    ).run()


if __name__ == "__main__":
    main()
