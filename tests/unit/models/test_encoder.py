"""Encoders of every family load, embed in order, train and refuse what is unsafe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder_files import check_weights
from models.encoder_store import load_encoder, save_encoder
from models.text_classifier import ClassificationHead, TextClassifier
from shared.errors import EncoderError
from shared.finetuning.dropout import ByteDropout
from shared.finetuning.hardware import choose_hardware
from shared.finetuning.loop import LabelledTokens, train
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from tests.fakes.tiny_encoders import CHINESE, FAMILIES, WORDS, tiny_encoder

pytestmark = pytest.mark.unit

TEXTS = ["where is my parcel", "refund", "I want my money back now please", "card payment failed"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_loads_and_trains(family: str, tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path, family), max_length=16)
    before = encoder.embed(TEXTS)
    head = ClassificationHead(torch.randn(2, encoder.dimensions), torch.zeros(2), 5.0, cosine=True)
    classifier = TextClassifier(encoder, head)
    training = LabelledTokens(encoder.tokenise(TEXTS), np.array([0, 1, 1, 0]))
    recipe = make_recipe(
        epochs=30, batch_size=2, learning_rate=3e-3, dropout=0.1, attention_dropout=0.1
    )
    report = SilentProgress()
    encoder.set_dropout(recipe.dropout, recipe.attention_dropout)
    train(
        classifier, training, None, classes=2, recipe=recipe,
        hardware=choose_hardware("cpu", "fp32"), report=report,
    )  # fmt: skip
    losses = [event["loss"] for event in report.events if event["event"] == "step"]
    assert np.mean(losses[-6:]) < 0.6 * np.mean(losses[:6])
    assert not np.allclose(encoder.embed(TEXTS), before)


def test_a_chinese_encoder_reads_chinese(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path, "bert", CHINESE))
    lengths = encoder.tokenise(["我的订单在哪里", "退款"]).lengths
    assert lengths.tolist() == [9, 4], "one token a character, and the two markers"
    first, second = encoder.embed(["我的订单在哪里", "退款"])
    assert not np.allclose(first, second)


def test_a_vector_does_not_depend_on_its_batch_mates(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path))
    together = encoder.embed(TEXTS)
    alone = np.concatenate([encoder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_saving_and_loading_changes_no_vector(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "a"), max_length=8)
    encoder.pooling = "first"
    save_encoder(encoder, tmp_path / "b")
    again = load_encoder(tmp_path / "b", max_length=8)
    assert again.pooling == "first"
    np.testing.assert_array_equal(encoder.embed(TEXTS), again.embed(TEXTS))


def test_long_texts_are_cut_with_the_end_marker_kept(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path), max_length=6)
    tokens = encoder.tokenise(["where is my order where is my order"])
    assert tokens.lengths.tolist() == [6]
    assert tokens.ids[-1] == encoder.tokenizer.sep_token_id


def test_roberta_positions_never_overflow(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path, "roberta"), max_length=500)
    assert encoder.max_length == 64
    assert encoder.embed(["parcel " * 300]).shape == (1, 32)


def test_no_texts_give_no_vectors(tmp_path: Path) -> None:
    assert load_encoder(tiny_encoder(tmp_path)).embed([]).shape == (0, 32)


def test_dropout_reaches_hidden_states_and_attention(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path))
    encoder.set_dropout(0.25, 0.5)
    rates = {p.p for p in encoder.backbone.modules() if isinstance(p, ByteDropout)}
    assert rates == {0.25, 0.5}
    assert not any(isinstance(p, torch.nn.Dropout) for p in encoder.backbone.modules())


def test_weights_of_another_hash_are_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(EncoderError, match="not trusted"):
        check_weights(tmp_path / "model.safetensors", "0" * 64)


def test_a_pickled_encoder_is_refused(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="no safetensors file"):
        load_encoder(folder)


def test_code_of_a_repository_is_refused(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "modeling_evil.Evil"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(EncoderError, match="auto_map"):
        load_encoder(folder)


def test_an_unknown_encoder_says_what_to_do() -> None:
    with pytest.raises(EncoderError, match="cannot be loaded"):
        load_encoder("nobody/has-this-model")


def test_words_of_the_fake_tokenizer_are_known(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path, words=WORDS))
    assert encoder.tokenizer.unk_token_id not in encoder.tokenise(["where is my order"]).ids


def test_a_marked_text_is_pooled_over_what_is_marked(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path / "tiny", words=(*WORDS, "[", "]"))
    plain, marked = load_encoder(folder), load_encoder(folder)
    marked.pool_marked_spans()
    text, other = "[ refund ] parcel invoice", "refund parcel [ invoice ]"
    assert not np.allclose(marked.embed([text]), plain.embed([text]), atol=1e-3)
    assert not np.allclose(marked.embed([text]), marked.embed([other]), atol=1e-3)
    assert np.allclose(marked.embed(["refund card"]), plain.embed(["refund card"]), atol=1e-6)


def test_marked_pooling_is_saved_with_the_encoder(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "tiny", words=(*WORDS, "[", "]")))
    encoder.pool_marked_spans()
    save_encoder(encoder, tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    texts = ["[ refund ] parcel", "parcel and [ card ]", "no mark"]
    assert np.allclose(encoder.embed(texts), again.embed(texts), atol=1e-6)
    assert again.marks == encoder.marks


def test_a_vocabulary_without_brackets_cannot_mark(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path / "tiny"))
    with pytest.raises(EncoderError, match="square brackets"):
        encoder.pool_marked_spans()
