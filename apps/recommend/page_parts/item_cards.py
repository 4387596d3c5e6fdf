"""Items as cards and a history as a strip. Pure: what goes in is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from html import escape

from apps.recommend.page_parts.reasons import SOURCES, reasons_html
from shared.api.recommend import HistoryEntry
from shared.api.recommend_lists import EntryShape, ItemSummary
from shared.ui.sentiment import chip_html, line_html, time_html
from shared.ui.wording import counted, shortened

LONGEST_TEXT = 170
DEEDS = {
    "view": "viewed",
    "click": "clicked",
    "cart": "in the cart",
    "purchase": "bought",
    "rating": "rated",
    "dislike": "disliked",
}


def price_of(price: float | None) -> str:
    """The price with two decimals, in the catalogue's currency; nothing where there is none."""
    return "" if price is None else f"{price:,.2f}"


def item_html(item: ItemSummary, *, place: int | None = None, more: Sequence[str] = ()) -> str:
    """Title, a part of the text, and facts; ``more`` are further facts as HTML."""
    before = f'<span style="opacity:.55;margin-right:.4rem">{place}</span>' if place else ""
    text = (
        '<div style="font-size:.88rem;line-height:1.45;opacity:.85;margin:.1rem 0 .3rem 0;'
        f'overflow-wrap:anywhere">{escape(shortened(item.text, LONGEST_TEXT))}</div>'
        if item.text.strip()
        else ""
    )
    facts = [
        chip_html(item.category) if item.category else "",
        escape(price_of(item.price)),
        "" if item.available else chip_html("not available"),
        *more,
    ]
    return (
        '<div style="font-weight:600;font-size:1.02rem;line-height:1.4;overflow-wrap:anywhere">'
        f"{before}{escape(item.title)}</div>{text}{line_html(facts)}"
    )


def entry_html(entry: EntryShape, place: int) -> str:
    """An entry of a list: the item, where it comes from, and why."""
    word, meaning = SOURCES[entry.source]
    why = reasons_html(entry.reasons) if entry.reasons else ""
    return item_html(entry.item, place=place, more=[chip_html(word, meaning)]) + why


def scored_html(item: ItemSummary, score: float, place: int, greatest: float) -> str:
    """An item with a bar of its score, as long as its share of the greatest one."""
    width = max(0.0, min(1.0, score / greatest)) * 100 if greatest > 0 else 0.0
    return item_html(item, place=place) + (
        '<div style="display:flex;align-items:center;gap:.6rem;font-size:.85rem;margin-top:.3rem">'
        f'<div role="meter" aria-label="score of {escape(item.title)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{width:.0f}" style="flex:1;height:.4rem;'
        'border-radius:.2rem;overflow:hidden;background:rgba(128,140,138,.25)">'
        f'<div style="height:100%;width:{width:.1f}%;background:rgb(15,118,110)"></div></div>'
        f'<span style="font-variant-numeric:tabular-nums">{score:.3f}</span></div>'
    )


def history_html(history: Sequence[HistoryEntry], zone: tzinfo, now: datetime) -> str:
    """What a user did as a strip of small cards, newest first, that scrolls sideways."""
    cards = "".join(
        '<div role="listitem" style="flex:0 0 11rem;border:1px solid rgba(128,140,138,.35);'
        'border-radius:.5rem;padding:.45rem .6rem;font-size:.82rem;line-height:1.4">'
        f'<div style="opacity:.75">{_deed(entry)} · {time_html(entry.at, zone, now)}</div>'
        '<div style="font-weight:600;display:-webkit-box;-webkit-line-clamp:2;'
        '-webkit-box-orient:vertical;overflow:hidden" '
        f'title="{escape(entry.title or entry.item)}">{escape(entry.title or entry.item)}</div>'
        f"{_gone(entry)}</div>"
        for entry in history
    )
    return (
        f'<div role="list" tabindex="0" aria-label="{counted(len(history), "event")}, '
        'newest first" style="display:flex;gap:.5rem;overflow-x:auto;padding-bottom:.4rem">'
        f"{cards}</div>"
    )


def _deed(entry: HistoryEntry) -> str:
    word = escape(DEEDS.get(entry.type, entry.type))
    if entry.strength < 0:
        return f'<span style="color:#be3c28">{word}</span>'
    return f'<span style="font-weight:600">{word}</span>' if entry.type == "purchase" else word


def _gone(entry: HistoryEntry) -> str:
    return "" if entry.title else '<div style="opacity:.75">not in the catalogue</div>'
