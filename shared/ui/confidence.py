"""How sure the model is: bars, words that weighed in, and a badge of the action.

The functions that end in ``_html`` are pure and escape what they are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st

from shared.api.support import Action, IntentScore, TokenShape
from shared.ui.wording import percent, title_of

_ACTIONS: dict[Action, tuple[str, str, str]] = {
    "answer": ("answered", ":material/check_circle:", "green"),
    "clarify": ("asked back", ":material/help:", "orange"),
    "handoff": ("handed over", ":material/support_agent:", "violet"),
}
_FOR, _AGAINST = "15, 118, 110", "190, 60, 40"


def action_badge(action: Action) -> None:
    """What was done with a message, as a coloured word."""
    word, icon, color = _ACTIONS[action]
    st.badge(word, icon=icon, color=color)  # type: ignore[arg-type]


def action_word(action: Action) -> str:
    """What was done with a message, in a word or two."""
    return _ACTIONS[action][0]


def confidence_meter(share: float) -> None:
    """A short bar of a share in [0, 1], to stand within a line."""
    st.html(meter_html(share), width="content")


def intent_bars(scores: Sequence[IntentScore], most: int = 3) -> None:
    """The most probable intents as bars, best first."""
    st.html(bars_html(scores[:most]))


def words_that_weighed(tokens: Sequence[TokenShape]) -> None:
    """The message, each word shaded by how much it spoke for (green) or against (red)."""
    st.html(words_html(tokens))


def bars_html(scores: Sequence[IntentScore]) -> str:
    """One labelled bar a score."""
    rows = []
    for place, score in enumerate(scores):
        label = escape(title_of(score.intent))
        width = max(0.0, min(1.0, score.probability)) * 100
        strength = 1.0 if place == 0 else 0.55
        rows.append(
            f'<div role="meter" aria-label="{label}" aria-valuemin="0" aria-valuemax="100" '
            f'aria-valuenow="{width:.0f}" style="margin:0 0 .45rem 0;max-width:30rem">'
            '<div style="display:flex;justify-content:space-between;gap:1rem;font-size:.85rem;'
            f'line-height:1.3"><span>{label}</span>'
            f'<span style="font-variant-numeric:tabular-nums">{percent(score.probability)}</span>'
            '</div><div style="height:.4rem;border-radius:.2rem;overflow:hidden;'
            'background:rgba(128,140,138,.25)"><div style="height:100%;border-radius:.2rem;'
            f'width:{width:.1f}%;background:rgba({_FOR},{strength})"></div></div></div>'
        )
    return "".join(rows)


def meter_html(share: float) -> str:
    """One bar without a label."""
    width = max(0.0, min(1.0, share)) * 100
    return (
        f'<div role="meter" aria-label="confidence" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{width:.0f}" style="width:4.5rem;height:.4rem;border-radius:.2rem;'
        'overflow:hidden;background:rgba(128,140,138,.3)"><div style="height:100%;'
        f'width:{width:.1f}%;background:rgb({_FOR})"></div></div>'
    )


def words_html(tokens: Sequence[TokenShape]) -> str:
    """The words in their order; the strongest has the full shade."""
    strongest = max((abs(token.weight) for token in tokens), default=0.0) or 1.0
    words = []
    for token in tokens:
        shade = abs(token.weight) / strongest * 0.55
        color = _FOR if token.weight >= 0 else _AGAINST
        words.append(
            f'<span title="{token.weight:+.3f}" style="background:rgba({color},{shade:.2f});'
            'border-radius:.25rem;padding:.1rem .25rem;margin-right:.15rem;display:inline-block">'
            f"{escape(token.token)}</span>"
        )
    return f'<div style="line-height:1.9">{"".join(words)}</div>'
