"""What a reader's click does, and how the page says afterwards what came of it.

Streamlit runs a callback before it draws the page: what was done or went wrong is kept until then.
"""

from __future__ import annotations

import streamlit as st

from shared.client import ApiError, TriptychClient
from shared.ui.connection import show_error
from shared.ui.wording import plain


class PageActions:
    """Calls of one page to the API. ``page`` keeps its outcomes apart from other pages'."""

    def __init__(self, page: str, client: TriptychClient) -> None:
        self._done, self._error = f"{page}_done", f"{page}_error"
        self._client = client

    def act(self, action: str, done: str | None, /, *args: object, **kwargs: object) -> None:
        """Call a method of the client; ``done`` is said where it succeeds."""
        try:
            getattr(self._client, action)(*args, **kwargs)
        except ApiError as error:
            st.session_state[self._error] = error
        else:
            if done is not None:
                self.say(done)

    def say(self, done: str) -> None:
        """Say this the next time the page is drawn."""
        st.session_state[self._done] = done

    def tell(self) -> None:
        """Say what was done or went wrong since the page was drawn last."""
        if problem := st.session_state.pop(self._error, None):
            show_error(problem)
        if done := st.session_state.pop(self._done, None):
            st.toast(plain(done), icon=":material/check:")
