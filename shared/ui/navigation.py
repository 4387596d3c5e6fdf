"""An app's part of the menu."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage


def pages_of(
    app: str, folder: Path, entries: Iterable[tuple[str, str, str]]
) -> list[StreamlitPage]:
    """The pages of an app in the order of the menu.

    Addresses begin with the app's name, so that two apps may have pages of one name.
    """
    import streamlit as st

    return [
        st.Page(folder / f"{name}.py", title=title, icon=icon, url_path=f"{app}_{name}")
        for name, title, icon in entries
    ]
