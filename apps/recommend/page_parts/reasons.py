"""Why an item is in a list, in words and as a bar. Pure; what ends in ``_html`` escapes its input.

The shares are the API's: of the score's positive part, what each item of the history gave and what
popularity gave. They sum to 1, so a bar of them is full.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from shared.api.recommend_lists import MissingShape, ReasonsShape, Source
from shared.ui.wording import counted, percent, title_of

MOST_TOLD = 3
LEAST_SHARE = 0.005

_DEEDS = {
    "view": "viewed {}",
    "click": "clicked on {}",
    "cart": "put {} in the cart",
    "purchase": "bought {}",
    "rating": "rated {}",
    "dislike": "disliked {}",
}
SOURCES: dict[Source, tuple[str, str]] = {
    "behaviour": ("by behaviour", "found by what people take together"),
    "text": ("by text", "found by what its title and text say"),
    "popular": ("popular", "found by how many take it these days"),
    "exploration": ("new, tried out", "a new item, in its place by the exploration share"),
}
"""A word for where an entry comes from, and what it means."""

_MISSING = {
    "include": "not on the list of what may be shown",
    "exclude": "left out by name",
    "category": "of other categories",
    "price": "of another price, or of none",
    "unavailable": "not available",
    "attributes": "with other attributes",
    "bought": "bought already",
    "seen": "seen already",
    "category_cap": "more than may be of one category",
}

_EVENT, _POPULAR, _OTHER = "15, 118, 110", "214, 158, 46", "128, 140, 138"
_SHADES = (0.95, 0.65, 0.4)


@dataclass(frozen=True, slots=True)
class ReasonPart:
    """A sentence, its share in [0, 1] (None where it has none), and its colour as CSS."""

    told: str
    share: float | None
    color: str

    @property
    def sentence(self) -> str:
        """As it reads on its own: "because you viewed X (42 %)"."""
        return self.told if self.share is None else f"{self.told} ({percent(self.share)})"


def deed(type: str, title: str) -> str:
    """What a user did with an item: "bought X"."""
    return _DEEDS.get(type, f"did “{type}” with {{}}").format(title)


def reason_parts(reasons: ReasonsShape) -> list[ReasonPart]:
    """The greatest few events, all others in one, then popularity, and a new item's nearest."""
    parts = [
        ReasonPart(
            f"because you {deed(because.type, because.title or because.item)}",
            because.share,
            f"rgba({_EVENT},{_SHADES[place]})",
        )
        for place, because in enumerate(reasons.because[:MOST_TOLD])
    ]
    others = reasons.other + sum(because.share for because in reasons.because[MOST_TOLD:])
    if others >= LEAST_SHARE:
        parts.append(ReasonPart("because of other things you did", others, f"rgba({_OTHER},.7)"))
    if reasons.popular >= LEAST_SHARE:
        parts.append(ReasonPart("because many take it", reasons.popular, f"rgba({_POPULAR},.9)"))
    if reasons.nearest:
        near = reasons.nearest.title or reasons.nearest.item
        parts.append(ReasonPart(f"new; its text is nearest to {near}", None, "transparent"))
    return parts


def missing_words(missing: MissingShape) -> str:
    """Why a list has no more entries, in words: "12 items are bought already"."""
    if missing.reason == "catalogue_size":
        return f"The catalogue has {counted(missing.items, 'item')} too few."
    why = _MISSING.get(missing.reason, title_of(missing.reason).lower())
    return f"{counted(missing.items, 'item')} {'is' if missing.items == 1 else 'are'} {why}."


def reasons_html(reasons: ReasonsShape) -> str:
    """A bar of the shares, and a sentence for each in its colour."""
    parts = reason_parts(reasons)
    if not parts:
        return ""
    shares = [part for part in parts if part.share is not None]
    name = escape("; ".join(part.sentence for part in shares))
    bar = "".join(
        f'<div style="width:{(part.share or 0) * 100:.1f}%;background:{part.color}"></div>'
        for part in shares
    )
    lines = "".join(
        '<div style="display:flex;gap:.45rem;align-items:baseline">'
        '<span aria-hidden="true" style="flex:0 0 .6rem;height:.6rem;border-radius:50%;'
        f'background:{part.color}"></span><span style="overflow-wrap:anywhere">'
        f"{escape(part.sentence).replace(' %', '&nbsp;%')}</span></div>"
        for part in parts
    )
    drawn = (
        f'<div role="img" aria-label="{name}" style="display:flex;height:.4rem;gap:1px;'
        f'border-radius:.2rem;overflow:hidden;margin:.5rem 0 .35rem 0">{bar}</div>'
        if shares
        else ""
    )
    return f'{drawn}<div style="font-size:.85rem;line-height:1.5;opacity:.9">{lines}</div>'
