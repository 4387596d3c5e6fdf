"""Whole encoders in their files: any of Hugging Face's folders or names, and the packaged MiniLM.

The default is all-MiniLM-L6-v2 out of an installed package; it is trusted by the sha256 of its
weights, which equals that of the upstream revision, and not by who uploaded the package. Weights
must be safetensors, and code of a repository is never run.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.encoder import Pooling, TextEncoder, positions_of
from models.encoder_files import DEFAULT_ENCODER, source_of
from models.fewer_heads import load_with_fewer_heads
from models.prompt import load_prompt, save_prompt
from shared.errors import EncoderError

_IMPORTING = threading.Lock()
MARKED_SPANS = "triptych_marked_spans"
"""The key in the pooling's configuration that says that marked spans are pooled."""


def load_plain(name_or_folder: str | Path | None, *, max_length: int) -> TextEncoder:
    """The packaged MiniLM (None or its name), a local folder, or a Hugging Face name.

    EncoderError says what could not be found, trusted or understood.
    """
    with _IMPORTING:  # two first imports at once find it half made: apps start in threads
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

    logging.disable_progress_bar()
    source = source_of(name_or_folder)
    name = DEFAULT_ENCODER if name_or_folder is None else str(name_or_folder)
    if isinstance(source, Path) or Path(str(source)).is_dir():
        _refuse_unsafe(Path(str(source)))
    try:
        tokenizer = AutoTokenizer.from_pretrained(  # nosec B615
            str(source), trust_remote_code=False
        )
        backbone = _with_fewer_heads(Path(str(source))) or AutoModel.from_pretrained(  # nosec B615
            str(source),
            trust_remote_code=False,
            use_safetensors=True,
            attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
            dtype=torch.float32,
        )
    except (OSError, ValueError, KeyError) as error:
        message = (
            f"the encoder {name!r} cannot be loaded: {str(error).splitlines()[0]} "
            "Give a folder with config.json, model.safetensors and a tokenizer, or a "
            "Hugging Face name that this machine can reach."
        )
        raise EncoderError(message, encoder=name) from error
    if getattr(backbone.config, "is_encoder_decoder", False):
        raise EncoderError(f"{name!r} is an encoder-decoder: an encoder is needed", encoder=name)
    if tokenizer.pad_token_id is None:
        raise EncoderError(f"the tokenizer of {name!r} has no padding token", encoder=name)
    limit = max(4, min(max_length, positions_of(backbone.config) or max_length))
    config = _read_pooling(Path(str(source)))
    pooling: Pooling = "first" if config.get("pooling_mode_cls_token") else "mean"
    encoder = TextEncoder(name, backbone, tokenizer, limit, pooling)
    if config.get(MARKED_SPANS):
        encoder.pool_marked_spans()
    if (prompt := load_prompt(Path(str(source)), tokenizer, name)) is not None:
        encoder.attach(prompt)
    encoder.find_spelling(Path(str(source)))
    return encoder


def save_plain(encoder: TextEncoder, folder: Path) -> None:
    """Write weights (safetensors), configuration, tokenizer and pooling."""
    encoder.backbone.save_pretrained(folder, safe_serialization=True)  # type: ignore[operator]
    encoder.tokenizer.save_pretrained(folder)
    if encoder.prompt is not None:
        save_prompt(encoder.prompt, folder)
    pooling = {
        "pooling_mode_cls_token": encoder.pooling == "first",
        MARKED_SPANS: encoder.marks is not None,
    }
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), encoding="utf-8")


def _with_fewer_heads(folder: Path) -> nn.Module | None:
    """The backbone of a pruned encoder's folder; None for all others."""
    if not (folder / "config.json").is_file():
        return None
    return load_with_fewer_heads(folder)


def _refuse_unsafe(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise EncoderError(f"the encoder folder {folder} has no config.json", path=str(folder))
    if not list(folder.glob("*.safetensors")):
        message = (
            f"the encoder folder {folder} holds no safetensors file: other formats can carry "
            "code and are not read; convert it with save_pretrained(safe_serialization=True)"
        )
        raise EncoderError(message, path=str(folder))
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("auto_map"):
        message = f"the encoder folder {folder} asks for code of its own (auto_map): refused"
        raise EncoderError(message, path=str(folder))


def _read_pooling(folder: Path) -> dict[str, Any]:
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return {}
    config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return config
