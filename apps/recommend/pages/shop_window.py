"""What a user or a visit is shown now, why, and how it changes with what they do next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from apps.recommend.page_parts.catalogue_head import show_head, tenant_of_reader
from apps.recommend.page_parts.item_cards import entry_html, history_html
from apps.recommend.page_parts.item_picker import pick_item
from apps.recommend.page_parts.list_settings import ask_filters, ask_sliders
from apps.recommend.page_parts.reasons import missing_words
from shared.api.recommend_lists import EntryShape, ListShape, StatusShape
from shared.catalogue import EventType
from shared.client import ApiError
from shared.ui.actions import PageActions
from shared.ui.connection import api, needed, show_error
from shared.ui.reader import reader_zone
from shared.ui.wording import counted, plain

WHO = ("A user", "A visit")
MOST_USERS = 200
LISTED = 200
"""Events of a user that a list is made of, the newest: the API tells no more of them."""
DEEDS: tuple[tuple[EventType, str, str, str], ...] = (
    ("view", "View", ":material/visibility:", "viewed"),
    ("cart", "To the cart", ":material/add_shopping_cart:", "is in the cart"),
    ("purchase", "Buy", ":material/shopping_bag:", "is bought"),
    ("dislike", "Not for me", ":material/thumb_down:", "is disliked"),
)

st.set_page_config(layout="wide")
state = st.session_state
state.setdefault("visit", [])
client = api()
page = PageActions("shop", client)
tenant = tenant_of_reader()
zone = reader_zone()
now = datetime.now(UTC)


def choose_user() -> str:
    """One of the users with the most events, or any id that is typed."""
    with needed():
        users = client.recommend_users(limit=MOST_USERS, tenant=tenant)
    events = {user.id: user.events for user in users}
    wanted = st.query_params.get("user")
    ids = list(events) if not wanted or wanted in events else [wanted, *events]
    chosen = st.selectbox(
        "User",
        ids,
        index=ids.index(wanted) if wanted else 0 if ids else None,
        format_func=lambda id: f"{id} · {counted(events[id], 'event')}" if id in events else id,
        accept_new_options=True,
        placeholder="Type an id",
        help="those with the most events; any other id can be typed, a new one too",
        width=320,
    )
    if not chosen:
        st.info("Type the id of a user, known or new.", icon=":material/person_search:")
        st.stop()
    if chosen != wanted:
        st.query_params["user"] = chosen
    return chosen


def act(user: str, shown: ListShape, entry: EntryShape, type: EventType, done: str) -> None:
    """Store what the user does with an entry; looking or taking is a click on the list."""
    title = entry.item.title
    page.act("send_event", f"{title} {done}", user, entry.item.id, type, tenant=tenant)
    if type != "dislike" and shown.request_id is not None:
        page.act("send_click", None, shown.request_id, entry.item.id, tenant=tenant)


def forget(user: str) -> None:
    """Remove all that is known of the user, and draw the page anew with the receipt."""
    try:
        state["forgotten"] = client.forget_user(user, tenant=tenant)
    except ApiError as error:
        show_error(error)
        return
    st.rerun()


def look_at() -> None:
    """Add the chosen item to the visit."""
    if state.get("visit-item"):
        state["visit"] = [*state["visit"], state["visit-item"]]
        state["visit-item"] = None


def start_again() -> None:
    """Forget the visit."""
    state["visit"] = []


def show_history(user: str) -> None:
    """What the user did, and the way to have it forgotten."""
    with needed():
        known = client.recommend_user(user, tenant=tenant)
    if not known.history:
        st.caption("Nothing is known of this user: the list is what is popular, and new.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        events = counted(known.events, "event")
        shown = f"{events}, newest first" if known.events < LISTED else f"the newest {events}"
        st.caption(
            f"{shown} · bought {counted(len(known.bought), 'item')}",
            width="content",
        )
        with st.popover("Forget this user", icon=":material/person_remove:", type="tertiary"):
            st.caption("Removes all events, impressions and clicks at once. It cannot be undone.")
            if st.button("Forget now", type="primary"):
                forget(user)
    st.html(history_html(known.history[:40], zone, now))


def show_receipt() -> None:
    """What was removed of a user who was forgotten, once."""
    if receipt := state.pop("forgotten", None):
        removed = ", ".join(counted(n, kind.rstrip("s")) for kind, n in receipt.removed.items())
        st.success(
            f"**Forgotten.** Removed: {plain(removed)}.  \nReceipt {plain(receipt.id)}",
            icon=":material/receipt_long:",
        )


def choose_visit(status: StatusShape) -> dict[str, Any]:
    """A visit whose events are stored, or what is looked at in one that is stored nowhere."""
    pick_item(
        client, tenant, status.items, key="visit-item", label="Look at an item", on_change=look_at
    )
    stored = st.text_input(
        "Or the id of a visit",
        placeholder="as its events name it",
        max_chars=120,
        help="the field session of the events that were sent",
        width=420,
    )
    if stored and stored.strip():
        return {"session": stored.strip()}
    if not state["visit"]:
        st.info("Look at an item: the list follows what the visit looks at.")
        st.stop()
    titles = []
    for id in state["visit"]:
        try:
            titles.append(client.item(id, tenant=tenant).title)
        except ApiError:
            titles.append(id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown("Viewed: " + " → ".join(plain(title) for title in titles), width="content")
        st.button("Start again", icon=":material/refresh:", type="tertiary", on_click=start_again)
    return {"items": state["visit"]}


def show_missing(shown: ListShape, k: int) -> None:
    """Why the list is shorter than asked."""
    if len(shown.entries) >= k:
        return
    reasons = "".join(f"  \n{plain(missing_words(missing))}" for missing in shown.missing)
    st.info(
        f"**{len(shown.entries)} of {k}: no more items may be shown.**{reasons}",
        icon=":material/filter_alt:",
    )


def show_entry(shown: ListShape, entry: EntryShape, place: int, actor: str | None) -> None:
    """One entry with its reasons, and what the user can do with it."""
    with st.container(border=True):
        st.html(entry_html(entry, place))
        if actor is None:
            return
        with st.container(horizontal=True, gap="small"):
            for type, label, icon, done in DEEDS:
                st.button(
                    label,
                    key=f"{type}-{entry.item.id}",
                    icon=icon,
                    type="tertiary",
                    on_click=act,
                    args=(actor, shown, entry, type, done),
                )


def show_list(shown: ListShape, k: int, actor: str | None) -> None:
    """The list in two columns that become one on a narrow screen, in the order of the places."""
    if shown.bundle is None:
        st.info(
            "Nothing is fitted yet: the list goes by text and popularity. "
            "Fit a bundle on the page Bundles and experiments.",
            icon=":material/model_training:",
        )
    show_missing(shown, k)
    half = (len(shown.entries) + 1) // 2
    left, right = st.columns(2, gap="medium")
    for place, entry in enumerate(shown.entries):
        with left if place < half else right:
            show_entry(shown, entry, place + 1, actor)
    facts = [f"from {counted(shown.events, 'event')}"]
    if shown.experiment:
        facts.append(f"experiment {plain(shown.experiment)}, arm {plain(shown.arm or '–')}")
    st.caption(" · ".join(facts))


status = show_head(
    "Shop window",
    client,
    tenant,
    purpose="What a shop would show somebody, with the reason for each item.",
)
page.tell()
show_receipt()
who = st.segmented_control("For", WHO, default=WHO[0], required=True)
actor: str | None = None
if who == WHO[1]:
    visit = choose_visit(status)
    user = None
else:
    user = choose_user()
    show_history(user)
settings = {**ask_sliders(), **ask_filters(status)}
if user is not None and st.toggle(
    "Act as this user",
    help="Buttons below each item then store an event, and the next list follows it. "
    "Lists count as shown while this is on.",
):
    actor = user
st.subheader("The list", anchor=False)
with needed():
    if user is None:
        found = client.list_for_session(tenant=tenant, record=False, **visit, **settings)
    else:
        found = client.list_for_user(user, tenant=tenant, record=actor is not None, **settings)
show_list(found, settings["k"], actor)
