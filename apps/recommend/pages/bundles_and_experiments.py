"""What serves, the way forth and back, tests of lists against each other, and drift."""

from __future__ import annotations

import streamlit as st

from apps.recommend.page_parts.bundle_controls import show_bundles
from apps.recommend.page_parts.catalogue_head import show_head, tenant_of_reader
from apps.recommend.page_parts.experiment_controls import show_experiments
from shared.ui.actions import PageActions
from shared.ui.connection import api
from shared.ui.drift_panel import show_drift
from shared.ui.reader import reader_name

VIEWS = ("Bundles", "Experiments", "Drift")

st.set_page_config(layout="centered")
st.session_state.setdefault("bundles_view", VIEWS[0])
client = api()
page = PageActions("bundles", client)
tenant = tenant_of_reader()

show_head(
    "Bundles and experiments",
    client,
    tenant,
    purpose="A bundle is what was fitted, and makes the lists: put one in use, go back, or try one"
    " kind of list against another.",
)
author = reader_name()
view = st.segmented_control(
    "What to see",
    VIEWS,
    key="bundles_view",
    label_visibility="collapsed",
    required=True,
)
page.tell()
if view == VIEWS[1]:
    show_experiments(client, page, tenant, author)
elif view == VIEWS[2]:
    show_drift(client, "recommend", tenant=tenant)
else:
    show_bundles(client, page, tenant, author)
