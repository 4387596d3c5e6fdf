"""Score a text: overall and toward each company, the rule that decided, the words that mattered."""

from __future__ import annotations

import streamlit as st

from apps.finance.page_parts.story_cards import score_html
from shared.api.finance import ScoreShape, Sentiment
from shared.client import ApiError
from shared.ui.actions import PageActions
from shared.ui.confidence import words_that_weighed
from shared.ui.connection import api, show_error
from shared.ui.reader import reader_name
from shared.ui.sentiment import chip_html, line_html
from shared.ui.wording import percent, plain, title_of

LABELS: tuple[Sentiment, ...] = ("negative", "neutral", "positive")
MOST_EXPLAINED = 8
MOST = 64
EXAMPLE = (
    "Siemens wins a large order from Deutsche Bahn, while Alstom warns of falling profit\n"
    "The company files for Chapter 11"
)

st.set_page_config(layout="centered")
state = st.session_state
client = api()
page = PageActions("score", client)


def say_label(
    text: str, companies: dict[str, str | None], place: int, label: Sentiment, author: str
) -> None:
    """Store what a person says that the label should have been."""
    company = companies[str(state.get(f"about-{place}") or "The whole text")]
    page.act(
        "send_score_feedback",
        f"Saved as {label}",
        label,
        author=author,
        text=text,
        company=company,
    )


def show_words(score: ScoreShape) -> None:
    """Which words mattered, overall and toward each company."""
    if score.words:
        st.caption(f"Overall: words for (green) and against (red) “{score.label}”")
        words_that_weighed(score.words)
    for mention in score.mentions:
        if mention.words:
            st.caption(f"Toward {plain(mention.name)}: for and against “{mention.label}”")
            words_that_weighed(mention.words)


def show_score(place: int, text: str, score: ScoreShape, author: str) -> None:
    """One text as a card."""
    with st.container(border=True):
        title, _, rest = text.partition("\n")
        event = [chip_html(title_of(score.event), "what it is about")] if score.event else []
        sure = f"{percent(score.event_probability)} sure" if score.event_probability else ""
        linked = "" if score.mentions else "no company was found in it"
        st.html(score_html(title, rest, score) + line_html([*event, sure, linked]))
        show_words(score)
        with st.popover("Wrong label?", icon=":material/edit:", type="tertiary"):
            companies: dict[str, str | None] = {"The whole text": None}
            for mention in score.mentions:
                span = mention.spans[0]
                companies[mention.name] = text[span.start : span.end]
            st.selectbox("About", list(companies), key=f"about-{place}")
            for label in LABELS:
                st.button(
                    title_of(label),
                    key=f"right-{place}-{label}",
                    disabled=not author,
                    help=None if author else "Write your name first",
                    on_click=say_label,
                    args=(text, companies, place, label, author),
                )


st.title("Score a text", anchor=False)
st.caption("Nothing that is scored here is kept, unless you say what a label should have been.")
with st.form("texts"):
    typed = st.text_area(
        "Texts, one a line", value=EXAMPLE, height=130, help=f"At most {MOST}, each on its own"
    )
    names = st.text_input(
        "Companies to look for",
        placeholder="Acme, Globex",
        help="beside those of the gazetteer and the watch list; commas between them",
    )
    explain = st.checkbox(
        "Which words mattered",
        value=True,
        help=f"takes a second or so a text; for at most {MOST_EXPLAINED} texts",
    )
    sent = st.form_submit_button("Score", type="primary", icon=":material/analytics:")
if sent:
    texts = [line.strip() for line in (typed or "").splitlines() if line.strip()]
    companies = [name.strip() for name in (names or "").split(",") if name.strip()]
    state.pop("scored", None)
    if not texts:
        st.error("Write a text first.", icon=":material/error:")
    else:
        try:
            with st.spinner("Reading…"):
                found = client.score_texts(texts, companies=companies, explain=explain)
            state["scored"] = (texts, found)
        except ApiError as error:
            show_error(error)
page.tell()
if known := state.get("scored"):
    texts, found = known
    author = reader_name()
    for place, (text, score) in enumerate(zip(texts, found.scores, strict=True)):
        show_score(place, text, score, author)
    st.caption(f"By model {found.version}")
