from __future__ import annotations

import time

import pytest

from apps.finance.entities.boilerplate import boilerplate

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "text",
    [
        "Share to Facebook",
        "Share this article on Facebook",
        "follow us on Twitter, Facebook and LinkedIn",
        "Log in with Google",
        "Download the app from Google Play",
        "Subscribe to our channel on YouTube",
        "Listen to our podcast on Spotify or Apple Podcasts",
        "Facebook Twitter LinkedIn Email",
        "Facebook | Twitter | Reddit",
        "Join our discussion on Reddit",
    ],
)
def test_an_invitation_is_boilerplate_wherever_it_stands(text: str) -> None:
    assert boilerplate(text) == [(0, len(text))]
    assert boilerplate(f"Oil falls.\n{text}.") == [(11, 11 + len(text))]


@pytest.mark.parametrize(
    "text",
    [
        "Share buyback at Google delights investors",
        "Investors like what they see at Google",
        "Facebook, Twitter, Google face new EU rules",
        "Apple and Spotify fight on",
        "Users spend less time on Facebook",
        "Oil falls",
    ],
)
def test_news_about_a_platform_is_none(text: str) -> None:
    assert boilerplate(text) == []


def test_long_runs_of_spaces_and_verbs_cost_little() -> None:
    started = time.process_time()
    for text in ("facebook" + "\n" * 20_000, "facebook. share" + " " * 20_000, "share us " * 5_000):
        boilerplate(f"{text} facebook x")
    assert time.process_time() - started < 2.0
