"""From torch to ONNX graphs: the only module of the runtime that imports torch, when it is called.

The graph takes token ids and mask and ends in unit vectors: prompts, marked spans, pooling and
normalisation are in it. The head, which changes more often than the encoder, is not.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.runtime.files import TOKENIZER
from models.runtime.parity import spread
from shared.errors import EncoderError

if TYPE_CHECKING:
    from models.encoder import TextEncoder

OPSET = 17
SCALE_TEXTS = 256
"""Texts on which the scales of an int8 graph are measured."""

LOGGER = logging.getLogger(__name__)


def write_graphs(encoder: TextEncoder, folder: Path, texts: Sequence[str] = ()) -> dict[str, Any]:
    """Write fp32.onnx and tokenizer.json into the folder, with texts int8.onnx, too.

    The facts of runtime.json are given back. The scales of int8 are measured on ``texts``. An
    encoder that cannot be exported leaves no file, and a ``failure`` among the facts.
    """
    try:
        write_tokenizer(encoder, folder)
        if encoder.spelling is not None:
            encoder.spelling.save(folder)
        write_float_graph(encoder, folder / "fp32.onnx")
        if texts:
            chosen = spread(texts, SCALE_TEXTS)
            write_int8_graph(encoder, folder / "fp32.onnx", folder / "int8.onnx", chosen)
    except Exception as error:
        # Whatever a family's code does that a graph cannot: torch then serves it.
        told = error.message if isinstance(error, EncoderError) else f"{type(error).__name__}: "
        if not isinstance(error, EncoderError):
            told += (str(error).strip().splitlines() or [""])[0][:300]
        LOGGER.warning("the encoder %s cannot be exported: %s", encoder.name, told)
        for path in folder.iterdir():
            path.unlink()
        return {"failure": told, **_packages()}
    return {**_facts(encoder), **_packages()}


def write_tokenizer(encoder: TextEncoder, folder: Path) -> None:
    """The tokenizer as one file. EncoderError for one that has no fast form, or cuts elsewhere."""
    tokenizer = encoder.tokenizer
    if not getattr(tokenizer, "is_fast", False):
        raise EncoderError(f"the tokenizer of {encoder.name!r} has no fast form")
    if tokenizer.truncation_side != "right":
        raise EncoderError(f"the tokenizer of {encoder.name!r} cuts texts at their start")
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))


def write_float_graph(encoder: TextEncoder, path: Path) -> None:
    """Trace the encoder into a graph of any batch and length."""
    import torch

    device = next(encoder.parameters()).device
    was_training = encoder.training
    vocabulary = encoder.tokenizer(["a b c", "a"], padding=True, return_tensors="pt")
    inputs = (vocabulary["input_ids"].to(device), vocabulary["attention_mask"].to(device))
    axes = {0: "batch", 1: "tokens"}
    encoder.eval()
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            torch.onnx.export(
                encoder,
                inputs,
                str(path),
                input_names=["input_ids", "attention_mask"],
                output_names=["vectors"],
                dynamic_axes={"input_ids": axes, "attention_mask": axes, "vectors": {0: "batch"}},
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        encoder.train(was_training)


def write_int8_graph(encoder: TextEncoder, source: Path, path: Path, texts: Sequence[str]) -> None:
    """The graph of ``source`` in 8 bits, its scales measured on texts like those to come."""
    from models.runtime.quantising import write_quantised
    from shared.finetuning.batching import inference_batches

    tokens = encoder.tokenise(texts)
    batches = []
    for rows in inference_batches(tokens.lengths, 512):
        ids, mask = tokens.batch(rows)
        batches.append((ids.numpy(), mask.numpy()))
    write_quantised(source, path, batches, encoder.max_length)


def _facts(encoder: TextEncoder) -> dict[str, Any]:
    tokenizer = encoder.tokenizer
    masked = next(
        number
        for number in (tokenizer.mask_token_id, tokenizer.unk_token_id, tokenizer.pad_token_id)
        if number is not None
    )
    return {
        "dimensions": encoder.dimensions,
        "max_length": encoder.max_length,
        "pad_id": int(tokenizer.pad_token_id),
        "masked_id": int(masked),
        "unknown_id": tokenizer.unk_token_id,
    }


def _packages() -> Mapping[str, Any]:
    names = ("torch", "onnx", "onnxruntime", "transformers", "tokenizers")
    return {"packages": {name: package_version(name) for name in names}}
