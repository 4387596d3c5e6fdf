"""Prompts around embeddings: places, padding, gaps, files, and every family."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder import TextEncoder
from models.encoder_store import load_encoder, save_encoder
from models.masked_language import MaskedLanguageHead, new_head, pretrained_head
from models.prompt import CONFIGURATION, Cloze, SoftPrompt
from shared.errors import EncoderError
from tests.fakes.tiny_encoders import FAMILIES, tiny_encoder

pytestmark = pytest.mark.unit

TEXTS = ["where is my parcel", "refund the money please", "hi", ""]
BEHIND = "{text} refund {mask} card"
BEFORE = "refund {mask} card {text}"


def prompted(folder: Path, template: str | None, tokens: int = 3) -> TextEncoder:
    encoder = load_encoder(folder)
    torch.manual_seed(0)
    if template is None:
        wide = encoder.backbone.get_input_embeddings().weight.shape[1]
        encoder.attach(SoftPrompt(torch.randn(tokens, wide)))
    else:
        encoder.attach(
            Cloze.of(template, encoder.tokenizer, encoder.name, new_head(encoder.backbone))
        )
    return encoder.eval()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("template", [BEHIND, BEFORE, None])
def test_a_text_has_one_vector_whatever_it_is_batched_with(
    family: str, template: str | None, tmp_path: Path
) -> None:
    encoder = prompted(tiny_encoder(tmp_path, family), template)
    together = encoder.embed(TEXTS)
    alone = np.concatenate([encoder.embed([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 1e-4, "the text is read"


@pytest.mark.parametrize("template", [BEHIND, BEFORE])
def test_a_cloze_is_the_sentence_with_the_gap(template: str, tmp_path: Path) -> None:
    """The same as writing the template out and looking at the mask token."""
    encoder = prompted(tiny_encoder(tmp_path), template)
    assert isinstance(encoder.prompt, Cloze)
    for text in TEXTS:
        whole = template.replace("{text}", text).replace("{mask}", "[MASK]")
        ids = torch.tensor([encoder.tokenizer(whole)["input_ids"]])
        with torch.no_grad():
            hidden = encoder.backbone(input_ids=ids).last_hidden_state
            gap = hidden[0, ids[0].tolist().index(encoder.tokenizer.mask_token_id)]
            wanted = torch.nn.functional.normalize(encoder.prompt.head(gap), dim=-1)
        np.testing.assert_allclose(encoder.embed([text])[0], wanted.numpy(), atol=1e-5)


def test_a_soft_prompt_of_words_reads_as_these_words_do(tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path)
    encoder = load_encoder(folder)
    ids = encoder.tokenizer("refund card", add_special_tokens=False)["input_ids"]
    words = encoder.backbone.get_input_embeddings().weight[ids]
    encoder.attach(SoftPrompt(words))
    encoder.eval()
    whole = torch.tensor([encoder.tokenizer("refund card where is my parcel")["input_ids"]])
    with torch.no_grad():
        hidden = encoder.backbone(input_ids=whole).last_hidden_state[0]
        kept = torch.cat([hidden[:1], hidden[1 + len(ids) :]]).mean(dim=0)
    found = encoder.embed(["where is my parcel"])[0]
    wanted = torch.nn.functional.normalize(kept, dim=-1).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("template", [BEHIND, BEFORE, None])
def test_saving_and_loading_keeps_the_prompt(template: str | None, tmp_path: Path) -> None:
    encoder = prompted(tiny_encoder(tmp_path / "plain"), template)
    save_encoder(encoder, tmp_path / "kept")
    again = load_encoder(tmp_path / "kept")
    assert type(again.prompt) is type(encoder.prompt)
    assert (again.max_length, again.dimensions) == (encoder.max_length, encoder.dimensions)
    np.testing.assert_array_equal(again.embed(TEXTS), encoder.embed(TEXTS))


def test_a_broken_prompt_says_where(tmp_path: Path) -> None:
    save_encoder(prompted(tiny_encoder(tmp_path / "plain"), BEHIND), tmp_path / "kept")
    (tmp_path / "kept" / CONFIGURATION).write_text(json.dumps({"kind": "cloze"}))
    with pytest.raises(EncoderError, match="kept"):
        load_encoder(tmp_path / "kept")


@pytest.mark.parametrize("template", [BEHIND, None])
def test_long_texts_leave_room_for_the_prompt(template: str | None, tmp_path: Path) -> None:
    encoder = prompted(tiny_encoder(tmp_path, "roberta"), template)
    places = encoder.backbone.config.max_position_embeddings - 2
    assert encoder.prompt is not None
    assert encoder.max_length == places - encoder.prompt.length
    assert np.isfinite(encoder.embed(["parcel " * 1_000])).all()


def test_a_prompt_longer_than_the_encoder_reads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no room"):
        prompted(tiny_encoder(tmp_path), None, tokens=200)


def test_a_tokenizer_without_a_gap_is_refused(tmp_path: Path) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path))
    encoder.tokenizer.mask_token = None
    with pytest.raises(EncoderError, match="mask token"):
        Cloze.of(BEHIND, encoder.tokenizer, encoder.name, MaskedLanguageHead(4, 4))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_in_an_encoders_files_is_used(family: str, tmp_path: Path) -> None:
    """Its words for a gap are those of the family's own masked-language model."""
    from transformers import AutoConfig, AutoModelForMaskedLM

    folder = tiny_encoder(tmp_path, family)
    assert pretrained_head(folder) is None, "the files of a plain encoder hold none"
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(AutoConfig.from_pretrained(folder)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    found = pretrained_head(folder)
    assert found is not None
    encoder = load_encoder(folder).eval()
    ids = torch.tensor([[2, 7, 4, 9, 3]])
    caught: list[torch.Tensor] = []
    decoder = model.get_output_embeddings()
    handle = decoder.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    with torch.no_grad():
        model(input_ids=ids)
        hidden = encoder.backbone(input_ids=ids).last_hidden_state
        np.testing.assert_allclose(found.head(hidden).numpy(), caught[0].numpy(), atol=1e-5)
    handle.remove()
