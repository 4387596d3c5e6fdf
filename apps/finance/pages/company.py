"""One company: its index, and its stories with what is said of it and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from apps.finance.page_parts.index_charts import index_chart
from apps.finance.page_parts.story_cards import show_story
from shared.api.finance import EVENTS, CompanyShape, Sentiment, StoryShape
from shared.client import ApiError
from shared.ui.actions import PageActions
from shared.ui.confidence import words_that_weighed
from shared.ui.connection import api, needed, show_error
from shared.ui.reader import reader_name, reader_zone
from shared.ui.wording import plain, title_of

LABELS: tuple[Sentiment, ...] = ("negative", "neutral", "positive")
RANGES = {"7 days": 7, "10 days": 10, "30 days": 30, "90 days": 90}
PAGE = 10

st.set_page_config(layout="wide")
state = st.session_state
state.setdefault("company_pages", 1)
client = api()
page = PageActions("company", client)
zone = reader_zone()
now = datetime.now(UTC)


def choose() -> CompanyShape:
    """The company of the address, or the one that the reader chooses."""
    with needed():
        known = {company.id: company for company in client.companies(limit=1_000)}
    if not known:
        st.info("No company is known yet.")
        st.stop()
    wanted = st.query_params.get("company")
    if wanted and wanted not in known:
        try:
            known[wanted] = client.company(wanted)
        except ApiError as error:
            show_error(error)
    ids = list(known)
    chosen = st.selectbox(
        "Company",
        ids,
        index=ids.index(wanted) if wanted in known else 0,
        format_func=lambda id: f"{'★ ' if known[id].watched else ''}{known[id].name}",
        help="★: on the watch list",
        width=420,
    )
    if chosen != wanted:
        st.query_params["company"] = chosen
        state["company_pages"] = 1
    return known[chosen]


def say_label(story_id: str, company_id: str, author: str, label: Sentiment) -> None:
    """Store what a person says that the label should have been."""
    page.act(
        "send_score_feedback",
        f"Saved as {label}",
        label,
        author=author,
        story_id=story_id,
        company=company_id,
    )


def show_head(company: CompanyShape, author: str) -> None:
    """Who it is, and the button of the watch list."""
    facts = [company.ticker, company.sector, company.country]
    with st.container(horizontal=True, vertical_alignment="center"):
        for fact in facts:
            if fact:
                st.badge(plain(fact), color="gray")
        st.button(
            "Unwatch" if company.watched else "Watch",
            icon=":material/star:" if company.watched else ":material/star_border:",
            disabled=not author,
            help=None if author else "Write your name first",
            on_click=page.act,
            args=("unwatch_company" if company.watched else "watch_company", None, company.id),
            kwargs={"author": author},
        )


def show_index(company: CompanyShape) -> None:
    """The company's index over the chosen range."""
    chosen = st.segmented_control(
        "Range", RANGES, default="10 days", label_visibility="collapsed", required=True
    )
    since = now - timedelta(days=RANGES[chosen or "10 days"])
    subject = f"company:{company.id}"
    with needed():
        hours = client.sentiment_index(subject, step="hour", since=since, until=now)
        days = client.sentiment_index(subject, step="day", since=since, until=now)
    if any(point.value is not None for point in hours.points):
        st.altair_chart(
            index_chart(hours, days, zone, height=260),
            alt=f"The index of {company.name} by the hour, above its stories of each day",
        )
    else:
        st.info("No scored story mentions it in this time.", icon=":material/show_chart:")


def show_words(story: StoryShape, company: CompanyShape) -> None:
    """The story's words, shaded by how much they spoke for what is said of the company."""
    try:
        with st.spinner("Looking into the model…"):
            found = client.explain_story(story.id, company.id)
    except ApiError as error:
        show_error(error)
        return
    st.caption(f"Words for (green) and against (red) “{found.label}”")
    words_that_weighed(found.words)


def show_revisions(story: StoryShape) -> None:
    """What its sources said before."""
    try:
        before = client.story(story.id).revisions
    except ApiError as error:
        show_error(error)
        return
    for one in before:
        st.caption(f"{plain(one.publisher)} said before: “{plain(one.title)}”")


def show_item(story: StoryShape, company: CompanyShape, author: str) -> None:
    """One story, its explanation on demand, and what a person can say of its label."""
    with st.container(border=True):
        show_story(story, zone, now)
        if story.score is None:
            return
        revised = any(source.revisions for source in story.sources)
        with st.container(horizontal=True, vertical_alignment="center"):
            why = st.toggle("Words that mattered", key=f"why-{story.id}-{company.id}")
            before = revised and st.toggle("Earlier words", key=f"before-{story.id}")
            with st.popover("Wrong label?", icon=":material/edit:", type="tertiary"):
                st.caption(f"Toward {plain(company.name)} it is")
                for label in LABELS:
                    st.button(
                        title_of(label),
                        key=f"label-{story.id}-{label}",
                        disabled=not author,
                        help=None if author else "Write your name first",
                        on_click=say_label,
                        args=(story.id, company.id, author, label),
                    )
        if before:
            show_revisions(story)
        if why:
            show_words(story, company)


def more_pages() -> None:
    """Show another page of stories."""
    state["company_pages"] += 1


def show_stories(company: CompanyShape, author: str) -> None:
    """The newest stories about it that fit the filters."""
    st.subheader("Stories", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox(
            "Label", LABELS, index=None, format_func=title_of, placeholder="Any", width=150
        )
        event = st.selectbox(
            "Event", EVENTS, index=None, format_func=title_of, placeholder="Any", width=180
        )
        text = st.text_input("With these words", placeholder="Any", max_chars=120, width=240)
    shown: list[StoryShape] = []
    cursor: str | None = None
    with needed():
        for _ in range(state["company_pages"]):
            page = client.stories(
                company=company.id, label=label, event=event, text=text, cursor=cursor, limit=PAGE
            )
            shown += page.stories
            cursor = page.next_cursor
            if cursor is None:
                break
    if not shown:
        st.caption("No such story.")
    for story in shown:
        show_item(story, company, author)
    if cursor:
        st.button("Show more", icon=":material/expand_more:", on_click=more_pages)


st.title("Company", anchor=False)
st.caption(
    "What the news says of one company: its index from -1 (bad) to +1 (good), and the stories."
)
with st.container(horizontal=True, vertical_alignment="top"):
    company = choose()
    name = reader_name()
page.tell()
show_head(company, name)
show_index(company)
show_stories(company, name)
