"""What people read of a fit."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from apps.recommend.training_table import print_training

pytestmark = pytest.mark.unit

NUMBERS = {
    "recall@10": 0.1234, "ndcg@10": 0.0567, "coverage@10": 0.4, "novelty@10": 9.5,
    "diversity@10": 0.7, "users": 4321,
}  # fmt: skip
SUMMARY: dict[str, Any] = {
    "app": "recommend",
    "version": "20260301T120000Z-abcdef01",
    "method": "sequence_linear",
    "encoder": "mini",
    "seed": 3,
    "protocol": "leave-one-out, test",
    "data": {"name": "shop", "items": 1200, "users": 4321, "events": 98765, "synthetic": False},
    "metrics": NUMBERS,
    "ablations": {"all": NUMBERS, "text": {**NUMBERS, "ndcg@10": 0.0111}},
    "blend": {"decay": 0.8, "text": 0.25},
    "seconds": {"train": 12.34},
}


def printed(**changes: Any) -> str:
    target = io.StringIO()
    print_training({**SUMMARY, **changes}, Console(file=target, width=160))
    return target.getvalue()


def test_numbers_stand_in_their_rows() -> None:
    lines = printed().splitlines()
    whole = next(line for line in lines if "leave-one-out" in line)
    assert [whole.find(text) > 0 for text in ("0.1234", "0.0567", "4,321")] == [True] * 3
    texts = next(line for line in lines if "texts alone" in line)
    assert "0.0111" in texts
    assert not any("popularity alone" in line for line in lines)


def test_what_it_was_fitted_on() -> None:
    text = printed()
    assert "1,200 items, 98,765 events of 4,321 users" in text
    assert "decay 0.8" in text
    assert "train 12.3" in text
    assert "generated" not in text
    assert "in use" not in text


def test_generated_behaviour_is_called_so() -> None:
    assert "generated behaviour" in printed(data={**SUMMARY["data"], "synthetic": True})


def test_lists_whose_target_descends_have_a_row() -> None:
    assert "of these descending" in printed(metrics={**NUMBERS, "descending": NUMBERS})


@pytest.mark.parametrize(("promoted", "told"), [(True, "in use: why"), (False, "not in use: why")])
def test_whether_it_is_in_use(promoted: bool, told: str) -> None:
    lines = printed(promotion={"promoted": promoted, "reason": "why"}).splitlines()
    assert told in lines


def test_what_was_not_measured_has_no_numbers() -> None:
    assert "leave-one-out" not in printed(metrics={}, ablations={})
