"""Today at a glance: the mood with its volume, who moved, the newest bad news, open alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

import streamlit as st

from apps.finance.page_parts.alert_cards import alert_html
from apps.finance.page_parts.index_charts import index_chart, movers_chart
from apps.finance.page_parts.story_cards import show_story
from shared.api.finance import IndexSeries
from shared.api.finance_alerts import Overview
from shared.ui.connection import api, needed
from shared.ui.reader import local, reader_zone
from shared.ui.wording import counted, percent

DeltaColor = Literal["normal", "inverse", "off"]

DAYS = 10
LOOK_AGAIN_SECONDS = 60

st.set_page_config(layout="wide")
client = api()
zone = reader_zone()


def mood_then_and_now(series: IndexSeries) -> tuple[float | None, float | None]:
    """The index a day ago and at the end."""
    known = [point for point in series.points if point.value is not None]
    if not known:
        return None, None
    day_before = known[-1].at - timedelta(days=1)
    before = [point.value for point in known if point.at <= day_before]
    return (before[-1] if before else None), known[-1].value


def show_numbers(overview: Overview) -> None:
    """The five numbers to know first."""
    before, now = mood_then_and_now(overview.hourly)
    share = overview.negative_today / overview.stories_today if overview.stories_today else None
    feeds = overview.feeds
    shown: tuple[tuple[str, str, str | None, DeltaColor, str | None], ...] = (
        (
            "Mood",
            "–" if now is None else f"{now:+.2f}",
            None if now is None or before is None else f"{now - before:+.2f} in a day",
            "normal",
            "the index of all stories, from -1 (bad) to +1 (good)",
        ),
        ("Stories", f"{overview.stories_today:,}", "in 24 hours", "off", None),
        (
            "Negative",
            f"{overview.negative_today:,}",
            "none" if share is None else f"{percent(share)} of them",
            "off",
            None,
        ),
        ("Alerts", f"{len(overview.open_alerts):,}", "open", "off", None),
        (
            "Feeds",
            f"{feeds.active:,}",
            f"{feeds.failing} failing" if feeds.failing else "none failing",
            "inverse" if feeds.failing else "off",
            None,
        ),
    )
    with st.container(horizontal=True):
        for title, value, delta, color, meaning in shown:
            st.metric(
                title,
                value,
                delta,
                delta_color=color,
                delta_arrow="auto" if color == "normal" else "off",
                help=meaning,
                border=True,
                width=156,
            )


def show_movers(overview: Overview) -> None:
    """Watched companies whose index moved since yesterday."""
    st.subheader("Movers since yesterday", anchor=False)
    if not (overview.up or overview.down):
        st.caption("No company's index moved.")
        return
    st.altair_chart(
        movers_chart(overview.up, overview.down),
        alt="Where the index of each company came from and where it stands",
    )
    with st.container(horizontal=True, gap="xsmall"):
        for mover in [*overview.down, *overview.up]:
            st.page_link(
                "finance/pages/company.py",
                label=mover.name,
                icon=":material/trending_up:" if mover.change > 0 else ":material/trending_down:",
                query_params={"company": mover.company_id},
            )


def show_alerts(overview: Overview) -> None:
    """What is open, newest first."""
    st.subheader("Open alerts", anchor=False)
    if not overview.open_alerts:
        st.success("No alert is open.", icon=":material/notifications_off:")
    for alert in overview.open_alerts[:5]:
        with st.container(border=True):
            st.html(alert_html(alert, zone, overview.at))
    st.page_link("finance/pages/rules_and_alerts.py", label="All alerts", icon=":material/list:")


def show_negative(overview: Overview) -> None:
    """The newest stories that are bad overall."""
    st.subheader("Newest negative stories", anchor=False)
    if not overview.negative_stories:
        st.caption("None in these days.")
    for story in overview.negative_stories:
        with st.container(border=True):
            show_story(story, zone, overview.at)


st.title("Today", anchor=False)


@st.fragment(run_every=LOOK_AGAIN_SECONDS)
def glance() -> None:
    """All of it, looked up again every minute."""
    with needed():
        overview = client.overview(DAYS)
    model = f"model {overview.version}" if overview.version else "no model in use"
    st.caption(f"As of {local(overview.at)} · {model}")
    if overview.version is None:
        st.warning(
            "**No model is in use: stories are kept, and scored once there is one.**  \n"
            "Train one with `triptych train finance`.",
            icon=":material/model_training:",
        )
    show_numbers(overview)
    st.subheader(f"Mood of {counted(DAYS, 'day')}", anchor=False)
    if any(point.volume for point in overview.hourly.points):
        st.altair_chart(
            index_chart(overview.hourly, overview.daily, zone),
            alt="The sentiment index by the hour, above the number of stories of each day",
        )
    else:
        st.info(
            "No scored story yet. Add feeds on the page Feed health, and let "
            "`triptych finance watch` run.",
            icon=":material/rss_feed:",
        )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_negative(overview)
    with right:
        show_alerts(overview)
        show_movers(overview)


glance()
