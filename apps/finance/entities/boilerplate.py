"""Where a page speaks of itself: share bars and "follow us" lines, which name no news."""

from __future__ import annotations

import re

_PLATFORM = (
    r"(?:the )?(?:facebook|twitter|x|instagram|linkedin|whatsapp|youtube|telegram|reddit|pinterest"
    r"|snapchat|tiktok|threads|tumblr|messenger|e-?mail|google(?: (?:play|news|podcasts|discover))?"
    r"|apple (?:podcasts|music|news|store)|app store|play store|spotify|amazon music|stitcher|meta"
    r"|alexa|amazon alexa)\b"
)
_LIST = rf"{_PLATFORM}(?:(?:\s*[,/|&]\s*|\s+)(?:(?:and|or|on|via)\s+)?{_PLATFORM})*"
_VERBS = (
    "share|follow|like|join|find|subscribe|watch|listen|connect|tweet|post|pin|save|log in|sign in"
    "|sign up|download|chat|comment|visit|send|stream|get|read|add|contact|message|catch|ask"
)
_FILLING = (
    r"us|our|this|the|me|it|now|here|more|latest|official|article|story|page|post|podcasts?|app"
    r"|news|updates|alerts|channel|group|chat|conversation|discussion|button|link|live|up|in|out|to"
    r"|and|free|all|for|with|from|videos?"
)
_INVITATION = re.compile(
    rf"(?:(?:^|[.!?|:•·\n])\s{{0,9}}|\band\s+)(?P<part>(?:{_VERBS})\s+(?:(?:{_FILLING})\s+){{0,7}}?"
    rf"(?:to|on|via|with|at|from|using|through)\s+{_LIST})",
    re.IGNORECASE,
)
_BAR = re.compile(
    rf"(?P<part>{_PLATFORM}(?:[ \t]*\|[ \t]*{_PLATFORM}|[ \t]+{_PLATFORM}){{2,}})", re.IGNORECASE
)
_PLACE = re.compile(
    r"\b(?P<part>(?:available|posted|shared|streaming|live) (?:now )?(?:on|via|in|from) (?:the )?"
    r"(?:google play(?: store)?|app store|apple podcasts|spotify|youtube)\b)",
    re.IGNORECASE,
)
_SIGNS = re.compile(
    "facebook|twitter|linkedin|whatsapp|google|apple|spotify|pinterest|reddit|meta|snapchat|amazon"
    "|youtube|instagram|telegram|tiktok",
    re.IGNORECASE,
)


def boilerplate(text: str) -> list[tuple[int, int]]:
    """The (start, end) of each part of a text that invites to share, follow, like or download."""
    if not _SIGNS.search(text):
        return []
    return [
        found.span("part")
        for pattern in (_INVITATION, _BAR, _PLACE)
        for found in pattern.finditer(text)
    ]
