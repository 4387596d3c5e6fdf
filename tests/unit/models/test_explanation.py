"""Words of the text, their weights complete, and no disturbance of other threads."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel, BertTokenizerFast

from models.explanation import explain, merge_pieces
from shared.errors import NotFound

pytestmark = pytest.mark.unit

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["where", "is", "my", "par", "##cel", "late", "re", "##fund", "?", "包", "裹"]
PIECES = SPECIAL + WORDS


class TinyPredictor:
    """A random two-layer BERT with a linear head on the mean of its states."""

    labels = ("refund", "track")

    def __init__(self, folder: Path) -> None:
        (folder / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
        torch.manual_seed(3)
        config = BertConfig(
            vocab_size=len(PIECES),
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            max_position_embeddings=32,
            initializer_range=0.5,
        )
        backbone = BertModel(config).eval()
        tokenizer = BertTokenizerFast(str(folder / "vocab.txt"))
        self.encoder = SimpleNamespace(
            backbone=backbone, tokenizer=tokenizer, max_length=12, read=str
        )
        self.head = nn.Linear(16, 2)
        for module in (backbone, self.head):
            module.requires_grad_(False)  # as a loaded version is

    def logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.encoder.backbone(input_ids, attention_mask).last_hidden_state
        weights = attention_mask.unsqueeze(-1)
        return self.head((states * weights).sum(1) / weights.sum(1))


@pytest.fixture
def predictor(tmp_path: Path) -> TinyPredictor:
    return TinyPredictor(tmp_path)


def test_pieces_become_the_words_that_were_written(predictor: TinyPredictor) -> None:
    words = [one.token for one in explain(predictor, "Where is my Parcel? 包裹", "track", steps=4)]
    assert words == ["Where", "is", "my", "Parcel", "?", "包", "裹"]


@pytest.mark.parametrize("label", ["refund", "track"])
def test_weights_sum_to_what_the_words_do_to_the_logit(
    predictor: TinyPredictor, label: str
) -> None:
    text = "where is my parcel late refund"
    total = sum(one.weight for one in explain(predictor, text, label, steps=200))
    encoded = predictor.encoder.tokenizer(text, return_tensors="pt")
    masked = encoded["input_ids"].clone()
    masked[0, 1:-1] = PIECES.index("[MASK]")
    with torch.no_grad():
        there = predictor.logits(encoded["input_ids"], encoded["attention_mask"])
        gone = predictor.logits(masked, encoded["attention_mask"])
    difference = float((there - gone)[0, predictor.labels.index(label)])
    assert abs(difference) > 0.05
    assert total == pytest.approx(difference, rel=0.02)


def test_the_word_that_a_class_reads_weighs_most(predictor: TinyPredictor) -> None:
    mean = predictor.encoder.backbone
    predictor.logits = lambda input_ids, attention_mask: torch.stack(  # type: ignore[method-assign]
        [
            -mean.get_input_embeddings()(input_ids)[:, :, 0].sum(1),
            mean.get_input_embeddings()(input_ids)[:, :, 0].sum(1),
        ],
        dim=1,
    )
    with torch.no_grad():
        table = mean.get_input_embeddings().weight
        table[:, 0] = 0.0
        table[PIECES.index("##cel"), 0] = 5.0
        table[PIECES.index("late"), 0] = -2.0
    weights = {one.token: one.weight for one in explain(predictor, "my parcel is late", "track")}
    assert weights == pytest.approx({"my": 0.0, "parcel": 5.0, "is": 0.0, "late": -2.0})


def test_words_behind_the_longest_input_are_left_out(predictor: TinyPredictor) -> None:
    words = explain(predictor, "where " * 30, "track", steps=2)
    assert len(words) == predictor.encoder.max_length - 2


def test_an_unknown_class_is_refused(predictor: TinyPredictor) -> None:
    with pytest.raises(NotFound, match="weather"):
        explain(predictor, "where", "weather")


def test_a_text_of_symbols_alone_has_an_explanation(predictor: TinyPredictor) -> None:
    assert [one.token for one in explain(predictor, "🙂 ...", "track", steps=2)] == list("🙂...")


def test_predictions_of_other_threads_stay_what_they_are(predictor: TinyPredictor) -> None:
    encoded = predictor.encoder.tokenizer("my parcel is late", return_tensors="pt")

    def predict() -> torch.Tensor:
        with torch.no_grad():
            return predictor.logits(encoded["input_ids"], encoded["attention_mask"])

    expected, seen, done = predict(), [], threading.Event()

    def keep_predicting() -> None:
        while not done.is_set():
            seen.append(predict())

    thread = threading.Thread(target=keep_predicting)
    thread.start()
    try:
        for _ in range(5):
            explain(predictor, "where is my refund ?", "refund", steps=64)
    finally:
        done.set()
        thread.join()
    assert len(seen) > 10
    assert all(torch.allclose(one, expected, atol=1e-5) for one in seen)


def test_no_hook_is_left_behind(predictor: TinyPredictor) -> None:
    explain(predictor, "where is my refund", "refund", steps=2)
    assert not predictor.encoder.backbone.get_input_embeddings()._forward_hooks


def test_pieces_with_a_leading_space_count_for_the_word_behind_it() -> None:
    merged = merge_pieces("don't go", [(0, 0), (0, 3), (3, 5), (5, 8), (0, 0)], [9, 1, 2, 4, 9])
    assert [(one.token, one.weight) for one in merged] == [("don't", 3), ("go", 4)]


def test_vowel_signs_belong_to_their_word() -> None:
    text = "मेरा पार्सल"
    merged = merge_pieces(text, [(0, 4), (5, 8), (8, 11)], [1, 2, 3])
    assert [(one.token, one.weight) for one in merged] == [("मेरा", 1), ("पार्सल", 5)]
