"""The report: one file, nothing from outside, nothing unescaped, and the numbers that are due."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.evaluation.calibration import softmax
from shared.evaluation.report import ReportData, quote, render_report, wording, write_report
from shared.evaluation.selective import choose_threshold

pytestmark = pytest.mark.unit

NASTY = "<script>alert('x')</script> & \"quoted\""


def make(classes: int, n: int, *, out_of_scope: int = 0, seed: int = 0) -> ReportData:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    logits = rng.normal(0, 1.2, (n, classes))
    logits[np.arange(n), truth] += 4.5
    after = softmax(logits, 0.8)
    outside = softmax(rng.normal(0, 1.2, (out_of_scope, classes)), 0.8).max(axis=1)
    confidence = np.concatenate([after.max(axis=1), outside])
    correct = np.concatenate([after.argmax(axis=1) == truth, np.zeros(out_of_scope, bool)])
    return ReportData(
        title="Support desk",
        card={
            "app": "support",
            "version": "20260304T120000Z-0a1b2c3d",
            "created_at": "2026-03-04T12:00:00.123456+00:00",
            "method": "full",
            "encoder": "all-MiniLM-L6-v2",
            "data": {"name": "banking77", "train": 9002, "validation": 500, "gate": 501, "test": n},
            "metrics": {"accuracy": 0.94, "intervals": {"accuracy": [0.93, 0.95]}, "scope": None},
            "limits": ["English only."],
        },
        labels=[f"intent_{number:03}" for number in range(classes)],
        texts=[f"message number {number} about my order" for number in range(n)],
        truth=truth,
        probabilities_before=softmax(logits),
        probabilities_after=after,
        confidence=confidence,
        correct=correct,
        in_scope_scores=confidence,
        out_of_scope_texts=[f"stray {number}" for number in range(out_of_scope)],
        curves=[
            {"step": step, "epoch": step / 100, "loss": 3 / step}
            | ({"validation_accuracy": 0.9} if step % 100 == 0 else {})
            for step in range(1, 401)
        ],
        threshold=choose_threshold(confidence, correct, target_error=0.05),
    )


class Outline(HTMLParser):
    """What a browser would build: tags in balance, addresses, texts."""

    VOID = frozenset({"meta", "link", "input", "br", "wbr", "hr", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"href", "src", "action", "data"} and value is not None:
                self.addresses.append(value)
            if name == "id" and value is not None:
                assert value not in self.ids, f"two elements are called {value}"
                self.ids.add(value)
            assert not name.startswith("on")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def large() -> str:
    return render_report(make(77, 3000, out_of_scope=300))


def test_it_is_one_file_that_asks_for_nothing(large: str) -> None:
    found = outline(large)
    assert all(address == "data:," or address.startswith("#") for address in found.addresses)
    assert {address[1:] for address in found.addresses if address.startswith("#")} <= found.ids
    style = large[large.index("<style>") : large.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert found.tags.count("script") == 1
    assert not {"iframe", "img", "object", "form"} & set(found.tags)


def test_its_own_policy_allows_its_script_and_no_other(large: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", large, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', large)
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_three_thousand_texts_fit_in_less_than_two_megabytes(large: str, tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", make(26, 3000))
    assert len(large.encode()) < 2_000_000
    assert 20_000 < (tmp_path / "report.html").stat().st_size < 1_000_000


def test_the_numbers_are_those_of_the_arrays(large: str) -> None:
    data = make(77, 3000, out_of_scope=300)
    words = outline(large).text
    share = float((data.probabilities_after.argmax(axis=1) == data.truth).mean())
    assert f"{100 * share:.1f} % accuracy" in words
    assert "3,000 test texts of 77 classes" in words
    assert "300 texts that belong to no class" in words
    assert "train 9,002" in words
    assert "20260304T120000Z-0a1b2c3d" in words
    assert "created 2026-03-04 12:00 UTC" in words
    assert data.confidence is not None
    assert data.correct is not None
    assert data.threshold is not None
    answered = data.confidence >= data.threshold.threshold
    assert data.threshold.certified
    assert f"it answers {100 * answered.mean():.0f} by itself" in words
    assert f"{100 * (~data.correct[answered]).mean():.2f} % of the answers wrong" in words


def test_every_class_has_its_row(large: str) -> None:
    table = large[large.index('id="classes"') : large.index("</table>")]
    for number in range(77):
        assert f'data-value="intent_{number:03}"' in table


def test_the_surest_errors_come_first() -> None:
    data = make(5, 300)
    errors = np.flatnonzero(data.probabilities_after.argmax(axis=1) != data.truth)
    order = errors[np.argsort(-data.probabilities_after[errors].max(axis=1))]
    page = render_report(data)
    places = [page.index(f">{data.texts[row]}</q>") for row in order[:5]]
    assert places == sorted(places)
    assert data.texts[int(np.flatnonzero(np.asarray(data.correct))[0])] + "</q>" not in page


def test_nothing_that_comes_from_data_is_markup() -> None:
    data = make(4, 60, out_of_scope=5)
    page = render_report(
        replace(
            data,
            title=NASTY,
            labels=[f"{NASTY}{number}" for number in range(4)],
            texts=[NASTY] * 60,
            out_of_scope_texts=[NASTY] * 5,
            notes=[NASTY],
            chosen_on=NASTY,
            card={**data.card, "method": NASTY, "reason": NASTY, "limits": [NASTY], NASTY: NASTY}
            | {"data": {"name": NASTY, NASTY: {NASTY: NASTY}}},
        )
    )
    found = outline(page)
    assert found.tags.count("script") == 1
    assert "alert(" not in "".join(re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    assert NASTY in found.text
    assert "<script>alert" not in page


def test_personal_data_is_masked_and_long_texts_are_cut() -> None:
    assert "[email]" in quote("write to ann.smith@example.org please")
    assert len(quote("a" * 9000)) == 400
    data = make(3, 60)
    page = render_report(replace(data, texts=["I am ann.smith@example.org"] * 60))
    assert "ann.smith" not in page


@pytest.mark.parametrize(("classes", "n"), [(2, 1), (2, 40), (26, 200), (150, 400)])
def test_any_number_of_classes_and_texts(classes: int, n: int) -> None:
    found = outline(render_report(make(classes, n, out_of_scope=n % 7)))
    assert f"{classes} classes" in found.text


def test_little_data_makes_a_plain_report() -> None:
    data = make(3, 50)
    page = render_report(
        replace(
            data,
            card={},
            confidence=None,
            correct=None,
            in_scope_scores=None,
            curves=[],
            threshold=None,
        )
    )
    words = outline(page).text
    assert "there are no learning curves" in words
    assert "Of 100 messages" not in words
    assert 'id="scope"' not in page


def test_texts_of_unknown_classes_are_left_out_with_a_note() -> None:
    data = make(3, 60, out_of_scope=4)
    truth = data.truth.copy()
    truth[[0, 1, 2]] = -1
    words = outline(render_report(replace(data, truth=truth))).text
    assert "Left out here: 3 texts" in words
    assert "57 test texts of 3 classes" in words
    assert "4 texts that belong to no class" in words


def test_a_perfect_model_has_no_errors_to_show() -> None:
    truth = np.arange(3).repeat(20)
    rows = np.eye(3)[truth]
    data = make(3, 60)
    page = render_report(
        replace(
            data,
            truth=truth,
            probabilities_before=rows,
            probabilities_after=rows,
            confidence=None,
            correct=None,
            in_scope_scores=None,
            threshold=choose_threshold(rows.max(axis=1), np.ones(60, bool), target_error=0.05),
        )
    )
    assert "every text got its class" in outline(page).text


def test_an_uncertified_threshold_is_said_plainly() -> None:
    data = make(3, 60)
    nothing = choose_threshold(np.ones(20), np.zeros(20, bool), target_error=0.02)
    assert (
        "No threshold could be shown"
        in outline(render_report(replace(data, threshold=nothing))).text
    )


def test_rows_that_do_not_match_are_refused() -> None:
    data = make(3, 60)
    with pytest.raises(ValueError, match="truth has 59 rows, not 60"):
        replace(data, truth=data.truth[:-1])
    with pytest.raises(ValueError, match="confidence has 60 rows, not 61"):
        replace(data, out_of_scope_texts=["x"])
    with pytest.raises(ValueError, match="at least one text"):
        replace(data, texts=[])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "none"),
        (True, "yes"),
        (0.00025, "0.00025"),
        (0.123456, "0.1235"),
        (22_713_216, "22,713,216"),
        (2026, "2026"),
        ([1, 0.5, "a"], "1, 0.5, a"),
    ],
)
def test_values_are_written_for_people(value: Any, words: str) -> None:
    assert wording(value) == words
