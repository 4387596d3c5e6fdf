"""A story as a card: what it says of whom, how sure that is, why, and who published it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from html import escape

import streamlit as st

from shared.api.finance import Reason, ScoreShape, SourceShape, StoryShape
from shared.ui.sentiment import (
    Marked,
    chip_html,
    line_html,
    link_html,
    marked_html,
    sentiment_row_html,
    time_html,
)
from shared.ui.wording import counted, percent, title_of

LONGEST_TEXT = 420
MOST_SOURCES = 6


def score_html(title: str, text: str, score: ScoreShape | None) -> str:
    """A text with its companies marked, then one bar for the whole and one for each company."""
    marks = marks_of(score) if score else []
    parts = [
        '<div style="font-weight:600;font-size:1.02rem;line-height:1.45;overflow-wrap:anywhere">'
        f"{marked_html(title, marks)}</div>"
    ]
    if text:
        shown = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
        parts.append(
            '<div style="font-size:.92rem;line-height:1.5;opacity:.9;margin-top:.2rem;'
            f'overflow-wrap:anywhere">{marked_html(shown, marks, start=len(title) + 1)}</div>'
        )
    if score:
        rows = [
            sentiment_row_html("Overall", score.label, score.probabilities, strong=True),
            _reason_html(score.reason),
        ]
        for mention in sorted(score.mentions, key=lambda one: -one.relevance):
            rows.append(sentiment_row_html(mention.name, mention.label, mention.probabilities))
            rows.append(_reason_html(mention.reason))
        parts.append(f'<div style="margin:.45rem 0 .2rem 0">{"".join(rows)}</div>')
    return "".join(parts)


def story_html(story: StoryShape, zone: tzinfo, now: datetime) -> str:
    """The whole card."""
    score = story.score
    about = [time_html(story.published_at, zone, now)]
    if score is None:
        about.append("not scored yet")
    elif score.event:
        sure = f", {percent(score.event_probability)} sure" if score.event_probability else ""
        about.append(chip_html(title_of(score.event), f"what it is about{sure}"))
    if story.kind == "post":
        about.append(chip_html("Post", "written by a person, not by a publisher"))
    about.append(
        f'<span title="1 less the likeness to the most similar story before">'
        f"{percent(story.novelty)} new</span>"
    )
    if score is not None:
        about.append(
            f'<span title="which model version scored it">model {escape(made_on(score.version))}'
            "</span>"
        )
    about.append(sources_html(story.sources))
    return score_html(story.title, story.text, score) + line_html(about)


def made_on(version: str) -> str:
    """The day and the digits of a version's name, which is long: 2026-11-23 cccccccc."""
    day, _, digits = version.partition("-")
    if len(day) == 16 and day[:8].isdigit():
        return f"{day[:4]}-{day[4:6]}-{day[6:8]} {digits[:4]}"
    return version


def sources_html(sources: Sequence[SourceShape]) -> str:
    """The publishers, each with a link to its own words; one that has it twice is named once."""
    known: dict[str, SourceShape] = {}
    for source in sources:
        known.setdefault(source.publisher, source)
    names = [link_html(source.publisher, source.link) for source in known.values()]
    more = len(names) - MOST_SOURCES
    tail = f" and {more} more" if more > 0 else ""
    changed = sum(source.revisions for source in sources)
    revised = f" · {counted(changed, 'revision')}" if changed else ""
    return ", ".join(names[:MOST_SOURCES]) + tail + revised


def marks_of(score: ScoreShape) -> list[Marked]:
    """Where each company stands in the text, in the colour of what is said of it."""
    return [
        Marked(
            span.start,
            span.end,
            mention.label,
            f"{mention.name}: "
            f"{percent(getattr(mention.probabilities, mention.label))} {mention.label}",
        )
        for mention in score.mentions
        for span in mention.spans
    ]


def show_story(story: StoryShape, zone: tzinfo, now: datetime) -> None:
    """The card, on the page."""
    st.html(story_html(story, zone, now))


def _reason_html(reason: Reason | None) -> str:
    if reason is None:
        return ""
    did = "decided" if reason.effect == "pin" else "raised"
    told = f"⚖ {did} by the rule “{title_of(reason.rule)}”, which found “{reason.text}”"
    return line_html([chip_html(told, f"pattern: {reason.pattern}")])
