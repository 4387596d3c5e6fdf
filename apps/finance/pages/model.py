"""The version that scores, and whether what comes is still like what it was made of."""

from __future__ import annotations

import streamlit as st

from shared.ui.connection import api
from shared.ui.drift_panel import show_drift

APP = "finance"

st.set_page_config(layout="wide")
client = api()

st.title("Sentiment model", anchor=False)
st.subheader("Drift", anchor=False)
show_drift(client, APP)
