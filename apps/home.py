"""The entry of the pages: ``streamlit run apps/home.py``. Each app adds its own pages.

Streamlit puts this file's folder first on ``sys.path``; no module below ``apps/`` may therefore be
named like one of the packages beside it (``shared``, ``models``, ``data_connectors``).
"""

from __future__ import annotations

import streamlit as st

from apps.finance import page as finance
from apps.recommend import page as recommend
from apps.support import page as support
from shared.client import ApiError
from shared.ui.connection import api, show_error
from shared.ui.wording import plain


def start() -> None:
    """What there is, and whether the API is ready for it."""
    st.set_page_config(layout="centered")
    st.title("Triptych")
    st.markdown("One fine-tuning core, and the applications that stand on it.")
    client = api()
    versions: dict[str, str | None] = {}
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
