"""Names, shares, times and plain texts as a page shows them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ui.wording import ago, clock_time, counted, percent, plain, shortened, title_of

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 24, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("order_status", "Order status"),
        ("out_of_scope", "Out of scope"),
        ("Refund_not_showing-up", "Refund not showing up"),
        ("pin", "Pin"),
        ("", ""),
    ],
)
def test_an_intent_reads_like_words(name: str, title: str) -> None:
    assert title_of(name) == title


@pytest.mark.parametrize(
    ("share", "digits", "shown"),
    [(0.975, 0, "98 %"), (0.975, 1, "97.5 %"), (0.0, 0, "0 %"), (None, 2, "–")],
)
def test_a_share_reads_as_a_percentage(share, digits, shown) -> None:
    assert percent(share, digits) == shown


def test_nouns_agree_with_their_number() -> None:
    assert [counted(number, "chat") for number in (0, 1, 1200)] == [
        "0 chats",
        "1 chat",
        "1,200 chats",
    ]
    assert counted(2, "message waits", "messages wait") == "2 messages wait"


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=3, minutes=59), "3 hours ago"),
        (timedelta(days=2), "2 days ago"),
    ],
)
def test_how_long_ago(past: timedelta, words: str) -> None:
    assert ago(NOW - past, NOW) == words


def test_the_reader_s_own_midnight_decides_what_today_is() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # half past midnight on the 25th there
    assert clock_time(NOW, UTC, NOW) == "23:30"
    assert clock_time(NOW - timedelta(hours=1), berlin, NOW) == "yesterday 23:30"
    assert clock_time(NOW - timedelta(days=3), berlin, NOW) == "22 Nov, 00:30"
    assert clock_time(NOW - timedelta(days=400), UTC, NOW) == "20 Oct 2025, 23:30"


def test_a_long_text_is_cut_at_a_word() -> None:
    assert shortened("where is\n my parcel", 20) == "where is my parcel"
    assert shortened("where is my parcel", 12) == "where is…"
    assert shortened("x" * 30, 10) == "x" * 9 + "…"


def test_markup_becomes_letters() -> None:
    assert plain("**a** [b](c) $d$ :red[e]") == r"\*\*a\*\* \[b\]\(c\) \$d\$ \:red\[e\]"
    assert plain("1. one\n2. two") == r"1\. one 2\. two"


@given(st.text(alphabet="ab *_[]()<>#$:!`\\|~-+.{}\n", max_size=40))
def test_every_sign_of_markup_is_escaped_and_nothing_is_lost(text: str) -> None:
    shown = plain(text)
    letters = []
    rest = iter(shown)
    for sign in rest:
        if sign == "\\":
            sign = next(rest)
        else:
            assert sign in "ab ", f"{sign!r} stands unescaped in {shown!r}"
        letters.append(sign)
    assert "".join(letters).split() == text.split()
