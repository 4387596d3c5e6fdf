"""The pages' way to the API, and what they say when it does not answer as hoped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from shared.api.calls import BUSY
from shared.client import ApiError, TriptychClient
from shared.settings import Settings
from shared.ui.wording import plain

KEY = "api_key"


@st.cache_resource(show_spinner=False, max_entries=64)
def _client_of(url: str, key: str | None) -> TriptychClient:
    return TriptychClient(url, key)


def api() -> TriptychClient:
    """The client of the API that the settings name, with the key that the reader gave, if any."""
    settings = Settings()
    return _client_of(settings.api_url, st.session_state.get(KEY) or settings.api_key)


@contextmanager
def needed() -> Iterator[None]:
    """Without what is asked for in here the page cannot go on: it shows the error and ends."""
    try:
        yield
    except ApiError as error:
        show_error(error)
        if error.unreachable or error.status in BUSY:
            st.button("Try again", icon=":material/refresh:")
        st.stop()


def show_error(error: ApiError) -> None:
    """A banner that says what is wrong and what the reader can do."""
    if error.unreachable:
        st.error(
            f"**{plain(error.message)}.**  \n{_what_to_start(error)}", icon=":material/link_off:"
        )
    elif error.status == 401:
        _ask_for_key(error)
    elif error.status == 403:
        st.error(f"**This key may not do that.**  \n{plain(error.message)}", icon=":material/lock:")
    elif error.status in BUSY:
        st.warning(
            f"**Not ready just now.**  \n{plain(error.message)}", icon=":material/hourglass:"
        )
    else:
        st.error(plain(error.message), icon=":material/error:")


def _what_to_start(error: ApiError) -> str:
    if error.problem.error == "timeout":
        return "It may be busy. Try again in a moment."
    return "Start it with `triptych serve`, or say where it is with `TRIPTYCH_API_URL`."


def _ask_for_key(error: ApiError) -> None:
    refused = bool(st.session_state.get(KEY))
    st.warning(
        f"**{'That key is not accepted.' if refused else 'This API asks for a key.'}**  \n"
        "Keys are made with `triptych keys create`. Yours stays in this browser session.",
        icon=":material/key:",
    )
    with st.form("key", border=False):
        typed = st.text_input("API key", type="password", placeholder="tk_…", width=420)
        if st.form_submit_button("Use this key", type="primary") and typed:
            st.session_state[KEY] = typed.strip()
            st.rerun()
