"""The form that makes an alert rule: its kind, whom it looks at, and its numbers."""

from __future__ import annotations

from typing import Any

import streamlit as st

from apps.finance.page_parts.alert_cards import KINDS
from shared.api.finance import EVENTS, CompanyShape
from shared.api.finance_alerts import RuleKind
from shared.client import ApiError, TriptychClient
from shared.ui.connection import needed, show_error
from shared.ui.wording import plain, title_of

SCOPES = ("All stories", "Each watched company", "One company", "One sector")


def show_rule_form(client: TriptychClient, author: str) -> None:
    """Ask for a rule and make it. Its fields follow the kind, so they stand in no form."""
    with needed():
        companies = client.companies(limit=1_000)
    kind: RuleKind = st.radio("When", list(KINDS), format_func=lambda kind: KINDS[kind])
    scope = _ask_scope(companies)
    parameters = _ask_numbers(kind)
    with st.container(horizontal=True):
        hours = st.number_input(
            "Then silent for (hours)", 0.0, 672.0, value=1.0 if kind == "event" else 6.0, width=200
        )
        quiet = st.text_input(
            "Quiet hours",
            placeholder="22:00-07:00",
            max_chars=11,
            width=200,
            help="in your time zone: alerts are raised then too, and sent afterwards",
        )
    parameters["cooldown_hours"] = hours
    name = st.text_input("Name", max_chars=120, placeholder=KINDS[kind])
    pressed = st.button(
        "Make the rule",
        type="primary",
        icon=":material/add_alert:",
        disabled=not author or scope is None,
        help=None if author else "Write your name first",
    )
    if not pressed or scope is None:
        return
    if quiet:
        start, _, end = (part.strip() for part in quiet.partition("-"))
        zone = st.context.timezone or "UTC"
        parameters["quiet_hours"] = {"start": start, "end": end, "zone": zone}
    try:
        rule = client.create_alert_rule(name or KINDS[kind], kind, scope, parameters, author=author)
    except ApiError as error:
        show_error(error)
        return
    st.success(f"“{plain(rule.name)}” holds from now on.", icon=":material/check_circle:")


def _ask_scope(companies: list[CompanyShape]) -> str | None:
    chosen = st.selectbox("About", SCOPES, width=300)
    if chosen == SCOPES[0]:
        return "all"
    if chosen == SCOPES[1]:
        return "company:*"
    if chosen == SCOPES[2]:
        names = {company.id: company.name for company in companies}
        company = st.selectbox("Which", list(names), format_func=lambda id: names[id], width=300)
        return f"company:{company}" if company else None
    sectors = sorted({company.sector for company in companies if company.sector})
    sector = st.selectbox("Which", sectors, width=300)
    return f"sector:{sector}" if sector else None


def _ask_numbers(kind: RuleKind) -> dict[str, Any]:
    with st.container(horizontal=True):
        if kind == "threshold":
            side = st.selectbox("Goes", ("below", "above"), width=130)
            level = st.number_input("Level", -1.0, 1.0, value=-0.4, step=0.05, width=160)
            return {"direction": side, "level": level}
        if kind == "fall":
            points = st.number_input("By at least", 0.05, 2.0, value=0.4, step=0.05, width=160)
            return {"points": points, "within_hours": _hours(24, 336)}
        if kind == "burst":
            least = st.number_input("At least so many", 1, 1_000, value=5, width=160)
            times = st.number_input(
                "And so unusual (z)",
                0.5,
                20.0,
                value=3.0,
                step=0.5,
                width=180,
                help="standard deviations above the same hours of past weeks",
            )
            return {"min_stories": least, "min_z": times, "within_hours": _hours(3, 48)}
        events = st.multiselect("Events", EVENTS, default=["insolvency"], format_func=title_of)
        sure = st.number_input("At least so sure", 0.0, 1.0, value=0.5, step=0.05, width=160)
        bad = st.checkbox("Only when it is negative")
        return {"events": list(events), "min_probability": sure, "only_negative": bad}


def _hours(value: int, most: int) -> int:
    return int(st.number_input("Within (hours)", 1, most, value=value, width=160))
