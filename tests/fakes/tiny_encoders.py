"""Tiny random encoders of every family, saved as folders: real architectures, no download."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

WORDS = [
    *(
        "where is my order parcel late lost track the a please refund money back want return card "
        "pay payment failed invoice need help cancel it now size colour shop open hours hi thanks"
    ).split()
]
CHINESE = list("我的订单在哪里退款想要发票取消")

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 66,
}
FAMILIES = ("bert", "roberta", "distilbert", "mpnet", "deberta", "deberta-v2", "modernbert")


def tiny_encoder(
    folder: Path, family: str = "bert", words: Sequence[str] = WORDS, seed: int = 0
) -> Path:
    """Save a random encoder of the family with a word-level tokenizer; the folder is returned."""
    from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: number for number, word in enumerate([*special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=64,
    ).save_pretrained(folder)  # fmt: skip
    values = {**SMALL, "vocab_size": len(vocabulary), "pad_token_id": 0}
    if family == "distilbert":
        values = {
            "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "vocab_size": len(vocabulary),
            "max_position_embeddings": 66, "pad_token_id": 0,
        }  # fmt: skip
    if family == "modernbert":
        values |= {
            "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3,
            "local_attention": 16,
        }  # fmt: skip
    config = AutoConfig.for_model(family, **values)
    AutoModel.from_config(config).save_pretrained(folder)
    return folder
