"""What fired and what became of it; the rules that fire; where alerts are sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from apps.finance.page_parts.alert_cards import STATES, alert_html, rule_words
from apps.finance.page_parts.rule_form import show_rule_form
from shared.api.finance_alerts import CHANNELS, AlertShape, Channel, RuleShape
from shared.client import ApiError
from shared.ui.actions import PageActions
from shared.ui.connection import api, needed, show_error
from shared.ui.reader import local, reader_name, reader_zone
from shared.ui.wording import plain

VIEWS = ("Alerts", "Rules", "Make a rule", "Where alerts go")
SNOOZES = {"1 hour": 1, "4 hours": 4, "1 day": 24, "1 week": 168}
PAGE = 20

st.set_page_config(layout="centered")
state = st.session_state
state.setdefault("alerts_view", VIEWS[0])
state.setdefault("alerts_pages", 1)
client = api()
page = PageActions("alerts", client)
zone = reader_zone()
now = datetime.now(UTC)


def note_of(alert_id: str) -> str:
    """What the reader wrote beside an alert."""
    return str(state.get(f"note-{alert_id}") or "")


def change(action: str, done: str, alert_id: str, author: str, hours: int | None = None) -> None:
    """Acknowledge, snooze or close, with the note that was written."""
    more = () if hours is None else (datetime.now(UTC) + timedelta(hours=hours),)
    page.act(action, done, alert_id, *more, author=author, note=note_of(alert_id))


def show_alert(alert: AlertShape, author: str) -> None:
    """One alert with what a person can do."""
    word, color = STATES[alert.state]
    signed = None if author else "Write your name first"
    with st.container(border=True):
        st.badge(word, color=color)  # type: ignore[arg-type]
        st.html(alert_html(alert, zone, now))
        if alert.state == "closed":
            return
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if alert.state != "acknowledged":
                st.button(
                    "Acknowledge",
                    key=f"acknowledge-{alert.id}",
                    icon=":material/visibility:",
                    type="primary",
                    disabled=not author,
                    help=signed,
                    on_click=change,
                    args=("acknowledge_alert", "Acknowledged", alert.id, author),
                )
            with st.popover("Snooze", icon=":material/snooze:"):
                for told, hours in SNOOZES.items():
                    st.button(
                        told,
                        key=f"snooze-{alert.id}-{hours}",
                        type="tertiary",
                        disabled=not author,
                        help=signed,
                        on_click=change,
                        args=("snooze_alert", f"Snoozed for {told}", alert.id, author, hours),
                    )
            st.button(
                "Close",
                key=f"close-{alert.id}",
                icon=":material/check:",
                disabled=not author,
                help=signed,
                on_click=change,
                args=("close_alert", "Closed", alert.id, author),
            )
            st.text_input(
                "Note",
                key=f"note-{alert.id}",
                placeholder="A note, kept with it",
                max_chars=2_000,
                label_visibility="collapsed",
                width=240,
            )


def more_alerts() -> None:
    """Show another page of alerts."""
    state["alerts_pages"] += 1


def show_alerts(author: str) -> None:
    """The history, newest first."""
    chosen = st.pills(
        "State", STATES, default=None, format_func=str.capitalize, label_visibility="collapsed"
    )
    shown: list[AlertShape] = []
    cursor: str | None = None
    with needed():
        for _ in range(state["alerts_pages"]):
            page = client.alerts(chosen, cursor=cursor, limit=PAGE)
            shown += page.alerts
            cursor = page.next_cursor
            if cursor is None:
                break
    if not shown:
        st.success(
            f"No alert is {chosen}." if chosen else "No rule has fired yet.",
            icon=":material/notifications_off:",
        )
    for alert in shown:
        show_alert(alert, author)
    if cursor:
        st.button("Show more", icon=":material/expand_more:", on_click=more_alerts)


def show_rule(rule: RuleShape, author: str) -> None:
    """One rule, its switch, and the way to forget it."""
    signed = None if author else "Write your name first"
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plain(rule.name)}**", width="content")
            if not rule.enabled:
                st.badge("off", color="gray")
        st.caption(plain(rule_words(rule)))
        st.caption(f"by {plain(rule.author)}, {local(rule.created_at)}")
        with st.container(horizontal=True):
            st.button(
                "Turn off" if rule.enabled else "Turn on",
                key=f"switch-{rule.id}",
                icon=":material/toggle_off:" if rule.enabled else ":material/toggle_on:",
                disabled=not author,
                help=signed,
                on_click=page.act,
                args=("switch_alert_rule", f"{rule.name}: changed", rule.id),
                kwargs={"enabled": not rule.enabled, "author": author},
            )
            with st.popover("Delete", icon=":material/delete:", type="tertiary"):
                st.caption("The rule is forgotten; its alerts stay.")
                st.button(
                    "Delete it",
                    key=f"delete-{rule.id}",
                    type="primary",
                    disabled=not author,
                    help=signed,
                    on_click=page.act,
                    args=("delete_alert_rule", f"{rule.name} is deleted", rule.id),
                    kwargs={"author": author},
                )


def show_rules(author: str) -> None:
    """All rules."""
    with needed():
        rules = client.alert_rules()
    if not rules:
        st.info("No rule yet: make one.", icon=":material/rule:")
    for rule in rules:
        show_rule(rule, author)


def show_targets(author: str) -> None:
    """Webhooks and e-mail addresses, and a form for another."""
    with needed():
        targets = client.alert_targets()
    if not targets:
        st.info("Alerts are sent nowhere yet: they stand on this page only.")
    for target in targets:
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            st.badge(target.channel, color="blue")
            st.text(target.address)
            if target.signed:
                st.badge("signed", icon=":material/key:", color="green")
            st.button(
                "Remove",
                key=f"target-{target.id}",
                icon=":material/delete:",
                type="tertiary",
                disabled=not author,
                on_click=page.act,
                args=("remove_alert_target", "Removed", target.id),
                kwargs={"author": author},
            )
    with st.form("new_target"):
        channel: Channel | None = st.segmented_control(
            "By", CHANNELS, default="webhook", required=True
        )
        address = st.text_input("Address", placeholder="https://… or desk@…", max_chars=2_000)
        secret = st.text_input(
            "Secret",
            type="password",
            max_chars=200,
            placeholder="of a webhook; a random one if left empty",
            help="signs what is sent (HMAC-SHA256), at least 16 characters; told once",
        )
        sent = st.form_submit_button("Add it", type="primary", disabled=not author)
    if not sent or channel is None:
        return
    try:
        added = client.add_alert_target(
            channel, address or "", secret=secret or None, author=author
        )
    except ApiError as error:
        show_error(error)
        return
    st.success(f"Alerts go to {plain(added.address)} too from now on.")
    if added.secret:
        st.caption("The secret that signs them. It is not shown again.")
        st.code(added.secret, language=None)


st.title("Rules and alerts", anchor=False)
st.caption(
    "A rule says when to be alarmed. An alert is what it set off: numbers and stories, sent once "
    "to where alerts go."
)
name = reader_name()
view = st.segmented_control(
    "What to see", VIEWS, key="alerts_view", label_visibility="collapsed", required=True
)
page.tell()
if view == VIEWS[1]:
    show_rules(name)
elif view == VIEWS[2]:
    show_rule_form(client, name)
elif view == VIEWS[3]:
    show_targets(name)
else:
    show_alerts(name)
