"""Feeds: which ones come through, which do not and why, and when each is asked next."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

import streamlit as st

from shared.api.finance import FeedShape
from shared.client import ApiError
from shared.ui.actions import PageActions
from shared.ui.connection import api, needed, show_error
from shared.ui.reader import reader_name, reader_zone
from shared.ui.sentiment import line_html, link_html, time_html
from shared.ui.wording import ago, counted, plain, shortened

MOST = 40

st.set_page_config(layout="wide")
state = st.session_state
client = api()
page = PageActions("feeds", client)
zone = reader_zone()
now = datetime.now(UTC)


def every(seconds: int) -> str:
    """How long there is between two polls."""
    for length, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length and seconds % length == 0:
            number = seconds // length
            return f"every {unit}" if number == 1 else f"every {counted(number, unit)}"
    return f"every {counted(seconds, 'second')}"


def health_of(feed: FeedShape) -> tuple[str, str, str]:
    """In a word, with an icon and a colour."""
    if feed.state == "muted":
        return "muted", ":material/notifications_off:", "gray"
    if feed.failures:
        return f"failed {counted(feed.failures, 'time')}", ":material/error:", "red"
    if feed.last_success_at is None:
        return "not asked yet", ":material/hourglass:", "orange"
    return "well", ":material/check_circle:", "green"


def facts_html(feed: FeedShape) -> str:
    """Address, last success, next run, and what went wrong."""
    if feed.last_success_at:
        success = time_html(feed.last_success_at, zone, now)
        since = f"last success {success}, {ago(feed.last_success_at, now)}"
    else:
        since = "no success yet"
    if feed.state == "muted":
        following = "not polled"
    elif feed.update_after is None or feed.update_after <= now:
        following = "next run: as soon as the watcher comes by"
    else:
        waits = "backs off until" if feed.failures else "next run"
        following = f"{waits} {time_html(feed.update_after, zone, now)}"
    parts = [
        line_html([link_html(shortened(feed.url, 70), feed.url)]),
        line_html([since, following, every(feed.interval_seconds)]),
    ]
    wrong = feed.notice if feed.state == "muted" else feed.last_error
    if wrong:
        parts.append(
            '<div style="font-size:.85rem;line-height:1.5;color:#be3c28;overflow-wrap:anywhere">'
            f"{escape(wrong)}</div>"
        )
    return "".join(parts)


def show_feed(feed: FeedShape, author: str) -> None:
    """One feed with its buttons."""
    word, icon, color = health_of(feed)
    signed = None if author else "Write your name first"
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(feed.name)}**", width="content")
            st.badge(word, icon=icon, color=color)  # type: ignore[arg-type]
        st.html(facts_html(feed))
        muted = feed.state == "muted"
        with st.container(horizontal=True):
            st.button(
                "Poll again" if muted else "Mute",
                key=f"mute-{feed.id}",
                icon=":material/play_arrow:" if muted else ":material/notifications_off:",
                disabled=not author,
                help=signed,
                on_click=page.act,
                args=(
                    "unmute_feed" if muted else "mute_feed",
                    f"{feed.name} is {'polled again' if muted else 'muted'}",
                    feed.id,
                ),
                kwargs={"author": author},
            )
            with st.popover("Remove", icon=":material/delete:", type="tertiary"):
                st.caption("The feed is forgotten; its stories stay.")
                st.button(
                    "Remove it",
                    key=f"remove-{feed.id}",
                    type="primary",
                    disabled=not author,
                    help=signed,
                    on_click=page.act,
                    args=("remove_feed", f"{feed.name} is removed", feed.id),
                    kwargs={"author": author},
                )


def show_form(author: str) -> None:
    """Add a feed."""
    with st.expander("Add a feed", icon=":material/add:"), st.form("new_feed", border=False):
        url = st.text_input("Address", placeholder="https://…", max_chars=2_000)
        with st.container(horizontal=True):
            name = st.text_input("Name", placeholder="its host's name", max_chars=120, width=260)
            minutes = st.number_input("Minutes between polls", 1, 10_080, value=15, width=200)
        sent = st.form_submit_button(
            "Add it",
            type="primary",
            disabled=not author,
            help=None if author else "Write your name first",
        )
        if not sent:
            return
        try:
            added = client.add_feed(
                url or "", name=name or None, interval_seconds=int(minutes) * 60, author=author
            )
        except ApiError as error:
            show_error(error)
            return
        page.say(f"{added.name} is polled from now on")
        st.rerun()


st.title("Feed health", anchor=False)
st.caption("Where stories come from, and how the last look at each address went.")
author = reader_name()
page.tell()
with needed():
    feeds = client.feeds()
failing = [feed for feed in feeds if feed.state == "active" and feed.failures]
muted = [feed for feed in feeds if feed.state == "muted"]
with st.container(horizontal=True):
    for title, value in (
        ("Feeds", len(feeds)),
        ("Well", len(feeds) - len(failing) - len(muted)),
        ("Failing", len(failing)),
        ("Muted", len(muted)),
    ):
        st.metric(title, f"{value:,}", border=True, width=130)
show_form(author)
if not feeds:
    st.info(
        "No feed yet. Add one above, or with `triptych finance feeds add`; "
        "`triptych finance watch` polls them.",
        icon=":material/rss_feed:",
    )
order = {"active": 0, "muted": 1}
listed = sorted(feeds, key=lambda feed: (order[feed.state], -feed.failures, feed.name.casefold()))
shown = listed if state.get("feeds_all") else listed[:MOST]
left, right = st.columns(2, gap="medium")
for place, feed in enumerate(shown):
    with left if place % 2 == 0 else right:
        show_feed(feed, author)
if len(listed) > len(shown):
    st.toggle(f"Show all {len(listed)}", key="feeds_all")
