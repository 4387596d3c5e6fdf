"""The report in a real Chromium: it asks for nothing, fits a telephone, and its table sorts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from shared.evaluation.calibration import softmax
from shared.evaluation.report import ReportData, write_report
from shared.evaluation.selective import choose_threshold

pytestmark = pytest.mark.browser

CLASSES = 77


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, CLASSES, 1500)
    logits = rng.normal(0, 1.2, (1500, CLASSES))
    logits[np.arange(1500), truth] += 5.0
    rows = softmax(logits)
    path = tmp_path_factory.mktemp("report") / "report.html"
    data = ReportData(
        title="Support desk",
        card={"app": "support", "data": {"fingerprint": "ab" * 40, "train": 9000, "test": 1500}},
        labels=[f"a_long_name_of_an_intent_{number:02}" for number in range(CLASSES)],
        texts=[f"message {number}" for number in range(1500)],
        truth=truth,
        probabilities_before=rows,
        probabilities_after=rows,
        threshold=choose_threshold(
            rows.max(axis=1), rows.argmax(axis=1) == truth, target_error=0.05
        ),
    )
    write_report(path, data)
    return path


@pytest.fixture(params=[1280, 400])
def page(request: pytest.FixtureRequest, chromium: Browser, report: Path) -> Iterator[Page]:
    page = chromium.new_page(viewport={"width": request.param, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request",
        lambda asked: None if asked.url.startswith(("file:", "data:")) else said.append(asked.url),
    )
    page.goto(report.as_uri())
    yield page
    page.close()
    assert said == []


def test_nothing_stands_over_the_edge(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_table_sorts_and_filters(page: Page) -> None:
    def column(number: int) -> list[str]:
        cells: list[str] = page.evaluate(
            "number => [...document.querySelectorAll('#classes tbody tr')]"
            ".filter(row => !row.hidden).map(row => row.cells[number].dataset.value)",
            number,
        )
        return cells

    page.click("#classes th:nth-child(2) button")
    scores = [float(value) for value in column(1)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) > 5
    page.click("#classes th:nth-child(2) button")
    assert [float(value) for value in column(1)] == sorted(scores)
    page.click("#classes th:nth-child(1) button")
    assert column(0) == sorted(column(0))
    page.fill("#filter", "INTENT_07")
    assert column(0) == ["a_long_name_of_an_intent_07"]
