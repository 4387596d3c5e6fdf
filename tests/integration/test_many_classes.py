"""Ten thousand classes: every method trains on them or says why not, in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from shared.errors import TriptychError
from shared.finetuning.methods import METHODS, Method
from shared.records import Example, Splits
from tests.fakes.method_laboratory import Laboratory, attempted, make_laboratory, predicts
from tests.fakes.tiny_encoders import tiny_encoder

pytestmark = pytest.mark.integration

HUNDRED = [f"{a}{b}" for a in "bcdfgklmpr" for b in ("alo", "emi", "iso", "ota", "uru", "ane",
           "elu", "iro", "ofa", "uki")]  # fmt: skip


@pytest.fixture(scope="module")
def ten_thousand(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Splits]:
    """As many classes, each named by its one example, and an encoder that knows the words."""
    folder = tiny_encoder(tmp_path_factory.mktemp("many"), words=HUNDRED)
    train = [Example(f"{a} {b}", f"{a} {b}", "train") for a in HUNDRED for b in HUNDRED]
    held = [Example(f"{a} {a} {b}", f"{a} {b}") for a, b in pairwise(HUNDRED)]
    some = tuple(replace(e, split="validation") for e in held[:50])
    return str(folder), Splits(tuple(train), some, (), tuple(held[50:]))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return make_laboratory(tmp_path_factory.mktemp("laboratory"))


@pytest.mark.parametrize("method", list(METHODS))
def test_ten_thousand_classes_are_trained_on_or_refused(
    method: Method, laboratory: Laboratory, ten_thousand: tuple[str, Splits]
) -> None:
    encoder, splits = ten_thousand
    outcome = attempted(
        lambda: laboratory.fit(method, splits, encoder=encoder, epochs=0.1, batch_size=500)
    )
    if isinstance(outcome, TriptychError):
        assert "classes" in outcome.message
    else:
        assert len(outcome.predictor.labels) >= 10_000
        predicts(outcome.predictor, [example.text for example in splits.test])
