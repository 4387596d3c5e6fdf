"""Backbones whose layers have fewer attention heads than their family's code expects.

The library's configurations know one number of heads for all layers: how many each layer has
stands in the configuration under ``triptych_heads``, and the matrices are cut to size before the
weights are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.errors import EncoderError

HEADS = "triptych_heads"
_FAMILIES = frozenset({"bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert"})
"""Families whose attention reads the number of heads off the matrices that it is given."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The matrices of a layer's attention; ``size`` is the width of one head."""

    inputs: tuple[tuple[nn.Module, str], ...]
    output: tuple[nn.Module, str]
    size: int

    @property
    def heads(self) -> int:
        """How many heads there are."""
        owner, name = self.output
        return int(getattr(owner, name).in_features) // self.size


def attention_of(backbone: Any, layer: Any) -> Attention:
    """The attention of a layer; EncoderError for families whose heads cannot be taken apart."""
    config = backbone.config
    if config.model_type not in _FAMILIES:
        message = (
            f"single heads of a {config.model_type} encoder cannot be dropped, layers can: "
            f"heads go with {', '.join(sorted(_FAMILIES))}"
        )
        raise EncoderError(message, family=config.model_type)
    size = int(config.hidden_size) // int(config.num_attention_heads)
    if config.model_type == "distilbert":
        inner = layer.attention
        inputs = tuple((inner, name) for name in ("q_lin", "k_lin", "v_lin"))
        return Attention(inputs, (inner, "out_lin"), size)
    inner = layer.attention.self
    inputs = tuple((inner, name) for name in ("query", "key", "value"))
    return Attention(inputs, (layer.attention.output, "dense"), size)


def layers_of(backbone: nn.Module, name: str) -> nn.ModuleList:
    """The transformer layers, lowest first; EncoderError where none are found. ``name`` is for
    the error."""
    config: Any = backbone.config
    for module in backbone.modules():
        if isinstance(module, nn.ModuleList) and len(module) == int(config.num_hidden_layers):
            return module
    raise EncoderError(f"the layers of {name!r} were not found", encoder=name)


def cut_heads(
    backbone: nn.Module, layers: Iterable[nn.Module], kept: Sequence[NDArray[np.int64]]
) -> None:
    """Keep these heads of each of the backbone's layers, in place: the matrices become smaller."""
    for layer, heads in zip(layers, kept, strict=True):
        attention = attention_of(backbone, layer)
        width = attention.size
        rows = torch.from_numpy((heads[:, None] * width + np.arange(width)).ravel())
        for owner, name in attention.inputs:
            _replace(owner, name, rows, 0)
        _replace(*attention.output, rows, 1)
        _tell(attention, len(heads))
    config: Any = backbone.config
    setattr(config, HEADS, [len(heads) for heads in kept])


def load_with_fewer_heads(folder: Path) -> nn.Module | None:
    """The backbone of a folder whose configuration says how many heads a layer has, else None.

    EncoderError when the weights do not fit what it says.
    """
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.from_pretrained(  # nosec B615
        str(folder), trust_remote_code=False
    )
    kept = getattr(config, HEADS, None)
    if not kept:
        return None
    backbone: Any = AutoModel.from_config(
        config,
        attn_implementation="sdpa" if torch.cuda.is_available() else "eager",
        dtype=torch.float32,
    )
    layers = layers_of(backbone, str(folder))
    if len(kept) != len(layers):
        message = f"{folder}: {HEADS} speaks of {len(kept)} layers, there are {len(layers)}"
        raise EncoderError(message, path=str(folder))
    cut_heads(backbone, layers, [np.arange(count, dtype=np.int64) for count in kept])
    weights = {n: t for p in sorted(folder.glob("*.safetensors")) for n, t in load_file(p).items()}
    try:
        backbone.load_state_dict(weights)
    except RuntimeError as error:
        message = f"the weights in {folder} do not fit its configuration: {error}"
        raise EncoderError(message, path=str(folder)) from error
    result: nn.Module = backbone.eval()
    return result


def _replace(owner: nn.Module, name: str, rows: torch.Tensor, axis: int) -> None:
    old = getattr(owner, name)
    rows = rows.to(old.weight.device)
    weight = old.weight.detach().index_select(axis, rows)
    new = nn.Linear(weight.shape[1], weight.shape[0], bias=old.bias is not None).to(weight.device)
    new.weight = nn.Parameter(weight.contiguous())
    if old.bias is not None:
        bias = old.bias.detach()
        new.bias = nn.Parameter((bias[rows] if axis == 0 else bias).clone())
    new.train(old.training)
    setattr(owner, name, new)


def _tell(attention: Attention, heads: int) -> None:
    """Let the module say how many heads it has, where it keeps count."""
    module: Any = attention.inputs[0][0]
    for name in ("num_attention_heads", "n_heads"):
        if hasattr(module, name):
            setattr(module, name, heads)
    if hasattr(module, "all_head_size"):
        module.all_head_size = heads * attention.size
