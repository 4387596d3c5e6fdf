"""The invented companies and stories of the fake finance API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

COMPANIES: dict[str, dict[str, Any]] = {
    "norvik": {
        "name": "Norvik Energy",
        "ticker": "NVK",
        "sector": "Utilities",
        "country": "Norway",
        "aliases": ["Norvik"],
    },
    "halden": {
        "name": "Halden Bank",
        "ticker": "HLDN",
        "sector": "Banks",
        "country": "Sweden",
        "aliases": ["Halden"],
    },
    "calyx": {
        "name": "Calyx Semiconductors",
        "ticker": "CLX",
        "sector": "Technology",
        "country": "United States",
        "aliases": ["Calyx"],
    },
    "tarn": {
        "name": "Tarn Pharma",
        "ticker": "TARN",
        "sector": "Health care",
        "country": "United Kingdom",
        "aliases": ["Tarn"],
    },
    "orsa": {
        "name": "Orsa Airlines",
        "ticker": "ORS",
        "sector": "Transport",
        "country": "Spain",
        "aliases": ["Orsa"],
    },
    "brightwater": {
        "name": "Brightwater Foods",
        "ticker": "BWF",
        "sector": "Consumer goods",
        "country": "Ireland",
        "aliases": ["Brightwater"],
    },
}


@dataclass(frozen=True)
class Told:
    """A story: ``mentions`` are (company, label, its probability)."""

    hours_ago: float
    title: str
    label: str
    share: float
    mentions: tuple[tuple[str, str, float], ...] = ()
    event: str | None = None
    text: str = ""
    publishers: tuple[str, ...] = ("Harbour Wire",)
    novelty: float = 0.8
    kind: str = "news"
    ruled: tuple[str, str] | None = None
    before: str | None = None


STORIES = (
    Told(
        0.6,
        "Norvik Energy halts two North Sea platforms after a pipeline leak",
        "negative",
        0.93,
        (("norvik", "negative", 0.95),),
        "regulator",
        "The operator said that output falls by a fifth until inspectors let it restart. "
        "Norvik shares lost 7 % in Oslo.",
        ("Harbour Wire", "Ledger Daily", "The Floor"),
        0.91,
        before="Norvik Energy halts a North Sea platform after a leak",
    ),
    Told(
        1.5,
        "Calyx Semiconductors takes an order of 2.1 billion from Orsa Airlines' cargo arm, "
        "which warns of a costly year",
        "neutral",
        0.52,
        (("calyx", "positive", 0.9), ("orsa", "negative", 0.83)),
        "guidance",
        "",
        ("Ledger Daily", "Harbour Wire"),
        0.86,
    ),
    Told(
        3.1,
        "Tarn Pharma's asthma drug meets its goal in a late trial",
        "positive",
        0.95,
        (("tarn", "positive", 0.96),),
        "product",
        "The company plans to file for approval in spring.",
        ("The Floor", "North Market Post"),
        0.94,
    ),
    Told(
        4.4,
        "Supplier of Brightwater Foods files for insolvency",
        "negative",
        1.0,
        (("brightwater", "negative", 1.0),),
        "insolvency",
        "",
        ("Harbour Wire",),
        0.77,
        ruled=("insolvency_filing", "files for insolvency"),
    ),
    Told(
        6.0,
        "Halden Bank sets aside 400 million for a money laundering case",
        "negative",
        0.9,
        (("halden", "negative", 0.92),),
        "lawsuit",
        "Analysts had expected less than half of that.",
        ("Harbour Wire", "Ledger Daily", "The Floor", "North Market Post", "Old Gazette"),
        0.88,
    ),
    Told(
        9.5,
        "why is nobody talking about Norvik's maintenance backlog? been saying this for months",
        "negative",
        0.71,
        (("norvik", "negative", 0.74),),
        None,
        "",
        ("Forum posts",),
        0.69,
        "post",
    ),
    Told(
        14.0,
        "Halden Bank raises its dividend to 11 crowns a share",
        "positive",
        0.87,
        (("halden", "positive", 0.89),),
        "dividend",
        "",
        ("Ledger Daily",),
    ),
    Told(
        20.2,
        "Central bank leaves rates where they are and sees slower growth",
        "neutral",
        0.66,
        (),
        "macro",
        "",
        ("Harbour Wire", "The Floor"),
    ),
    Told(
        26.0,
        "Orsa Airlines cancels 120 flights as pilots strike over pay",
        "negative",
        0.94,
        (("orsa", "negative", 0.95),),
        None,
        "Talks go on tomorrow.",
        ("North Market Post", "Harbour Wire"),
    ),
    Told(
        33.0,
        "Calyx names a new head of finance",
        "neutral",
        0.88,
        (("calyx", "neutral", 0.9),),
        "management",
    ),
    Told(
        46.0,
        "Storm cuts power to 300,000 homes; Norvik sends repair crews",
        "negative",
        0.64,
        (("norvik", "neutral", 0.55),),
        None,
        "",
        ("Harbour Wire", "Ledger Daily", "The Floor"),
        0.9,
    ),
    Told(
        70.0,
        "Brightwater Foods buys a maker of oat drinks",
        "positive",
        0.72,
        (("brightwater", "positive", 0.78),),
        "merger",
        "",
        ("Ledger Daily",),
    ),
    Told(
        95.0,
        "Rating agency lifts Calyx Semiconductors by one notch",
        "positive",
        0.93,
        (("calyx", "positive", 0.94),),
        "rating_change",
        "",
        ("The Floor",),
    ),
    Told(
        130.0,
        "Norvik Energy's profit grows by 12 % in the third quarter",
        "positive",
        0.95,
        (("norvik", "positive", 0.96),),
        "earnings",
        "",
        ("Harbour Wire", "Ledger Daily"),
    ),
)
