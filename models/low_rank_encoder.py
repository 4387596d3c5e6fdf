"""Encoders with low-rank corrections beside their matrices, and the files that hold these alone.

PEFT puts the corrections in and trains them. What is loaded to serve computes the same by a module
of its own, of the same names: a process that serves does without importing PEFT (140 MB).
The files are those of PEFT, so that ``peft.PeftModel`` reads them beside the base as well.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from models.encoder import TextEncoder
from shared.errors import EncoderError
from shared.finetuning.low_rank import LowRankSettings

CONFIGURATION = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
REFERENCE = "base.json"
ADAPTER = "default"
"""PEFT's own name for the only adapter of a module."""
_PREFIX = "base_model.model."


@dataclass(frozen=True, slots=True)
class BaseReference:
    """What adapters belong to: an encoder's name or folder, and the sha256 of its weights.

    ``stored`` says that the encoder stands in a folder of the adapters' own, by that name.
    """

    name: str
    sha256: str
    stored: bool = False


class LowRankLinear(nn.Module):
    """A frozen linear map and its correction: W x + alpha / rank * B A x."""

    def __init__(self, base_layer: nn.Linear, settings: LowRankSettings) -> None:
        super().__init__()
        self.base_layer = base_layer
        inner, outer = base_layer.in_features, base_layer.out_features
        place: dict[str, Any] = {"device": base_layer.weight.device, "dtype": torch.float32}
        down = nn.Linear(inner, settings.rank, bias=False, **place)
        up = nn.Linear(settings.rank, outer, bias=False, **place)
        self.lora_A = nn.ModuleDict({ADAPTER: down})
        self.lora_B = nn.ModuleDict({ADAPTER: up})
        self.scaling = {ADAPTER: settings.alpha / settings.rank}

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """What PEFT computes, in the same order."""
        result: torch.Tensor = self.base_layer(values)
        correction: torch.Tensor = self.lora_B[ADAPTER](self.lora_A[ADAPTER](values))
        return result + correction * self.scaling[ADAPTER]


def insert_adapters(encoder: TextEncoder, settings: LowRankSettings, seed: int) -> None:
    """Freeze the encoder and put corrections, which start at zero, beside its matrices, in place.

    All linear maps of the transformer layers have one, or those of attention alone.
    """
    from peft import LoraConfig, inject_adapter_in_model

    configuration = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        target_modules=target_names(encoder, settings),
        lora_dropout=settings.dropout,
    )
    encoder.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(configuration, encoder.backbone)
    encoder.adapters = settings


def target_names(encoder: TextEncoder, settings: LowRankSettings) -> list[str]:
    """The paths, in the backbone, of the linear maps that are corrected.

    EncoderError where the layers have none that could be.
    """
    inside = {id(module): number for number, module in enumerate(encoder.layers.modules())}
    layers = {id(layer) for layer in encoder.layers}
    within = next(p for p, m in encoder.backbone.named_modules() if id(m) in layers)
    start = within.rpartition(".")[0]
    names = [
        path
        for path, module in encoder.backbone.named_modules()
        if isinstance(module, nn.Linear)
        and id(module) in inside
        and (settings.targets == "all-linear" or "att" in path.removeprefix(start))
    ]
    if not names:
        message = f"the layers of {encoder.name!r} have no linear maps to correct"
        raise EncoderError(message, encoder=encoder.name)
    return names


def adapter_tensors(backbone: nn.Module) -> dict[str, torch.Tensor]:
    """The corrections by their names in the module."""
    return {name: t for name, t in backbone.state_dict().items() if _is_correction(name)}


def base_tensors(backbone: nn.Module) -> dict[str, torch.Tensor]:
    """All other weights, by the names that they have without corrections."""
    return {
        plain_name(name): tensor
        for name, tensor in backbone.state_dict().items()
        if not _is_correction(name)
    }


def plain_name(name: str) -> str:
    """The name of a weight in the encoder without corrections."""
    return name.replace(".base_layer.", ".")


def sharing_copy(backbone: nn.Module) -> nn.Module:
    """The same modules anew on the same memory for weights: parameters are apart, values are not.

    Buffers, which some families change while they compute, are copied.
    """
    same: dict[int, Any] = {
        id(p): nn.Parameter(p.detach(), requires_grad=False) for p in backbone.parameters()
    }
    return copy.deepcopy(backbone, same)


def without_adapters(encoder: TextEncoder, *, merged: bool) -> TextEncoder:
    """The plain encoder below the corrections, or with them ``merged`` into its matrices.

    Weights that no correction changes share the memory of the given encoder's.
    """
    backbone: Any = sharing_copy(encoder.backbone)
    for path, module in list(backbone.named_modules()):
        if hasattr(module, "lora_A") and hasattr(module, "base_layer"):
            layer = module.base_layer
            if merged:
                down, up = module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight
                layer.weight = nn.Parameter(layer.weight + module.scaling[ADAPTER] * (up @ down))
            backbone.set_submodule(path, layer)
    if "peft_config" in vars(backbone):
        del backbone.peft_config
    return _dressed(backbone, encoder)


def write_adapters(encoder: TextEncoder, reference: BaseReference, folder: Path) -> None:
    """Corrections (float32), how they are used, and what they belong to."""
    from safetensors.torch import save_file

    assert encoder.adapters is not None
    settings = encoder.adapters
    tensors = {
        _PREFIX + name.replace(f".{ADAPTER}.", "."): tensor.detach().float().cpu().contiguous()
        for name, tensor in adapter_tensors(encoder.backbone).items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    names = {name.removeprefix(_PREFIX).rpartition(".lora_")[0] for name in tensors}
    configuration = {
        "peft_type": "LORA",
        "base_model_name_or_path": reference.name,
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": sorted(names),
        "bias": "none",
        "inference_mode": True,
    }
    _write_json(folder / CONFIGURATION, configuration)
    how = {
        **asdict(reference),
        "settings": settings.model_dump(),
        "marked_spans": encoder.marks is not None,
    }
    _write_json(folder / REFERENCE, how)


def holds_adapters(folder: Path) -> bool:
    """Whether the folder is one of adapters that Triptych wrote."""
    return (folder / REFERENCE).is_file() and (folder / CONFIGURATION).is_file()


def read_reference(folder: Path) -> tuple[BaseReference, LowRankSettings, bool]:
    """What the adapters belong to, how they are used, and whether marked spans are pooled.

    EncoderError when the file does not say.
    """
    try:
        stored = json.loads((folder / REFERENCE).read_text(encoding="utf-8"))
        reference = BaseReference(stored["name"], stored["sha256"], stored["stored"])
        return reference, LowRankSettings(**stored["settings"]), bool(stored["marked_spans"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        message = f"{folder / REFERENCE} does not say what its adapters belong to: {error}"
        raise EncoderError(message, path=str(folder)) from error


def put_adapters(encoder: TextEncoder, folder: Path, settings: LowRankSettings) -> None:
    """Put the folder's corrections beside the encoder's matrices, in place.

    EncoderError when they cannot be read or are not of this encoder's shape.
    """
    tensors = _read_tensors(folder)
    backbone: Any = encoder.backbone
    names = {name.rpartition(".lora_")[0] for name in tensors}
    try:
        for path in sorted(names):
            layer = backbone.get_submodule(path)
            if not isinstance(layer, nn.Linear):
                raise AttributeError(f"{path} is no linear map")
            backbone.set_submodule(path, LowRankLinear(layer, settings))
        own = adapter_tensors(backbone)
        if set(own) != set(tensors):
            raise AttributeError("some corrections are missing")
        with torch.no_grad():
            for name, tensor in tensors.items():
                if own[name].shape != tensor.shape:
                    raise AttributeError(f"{name} is of shape {tuple(tensor.shape)}")
                own[name].copy_(tensor)
    except AttributeError as error:
        message = f"the adapters in {folder} do not fit the encoder {encoder.name!r}: {error}"
        raise EncoderError(message, path=str(folder), encoder=encoder.name) from error
    encoder.adapters = settings


def _dressed(backbone: nn.Module, like: TextEncoder) -> TextEncoder:
    """An encoder of that backbone, with tokenizer, length and pooling of another."""
    result = TextEncoder(like.name, backbone, like.tokenizer, like.max_length, like.pooling)
    result.marks, result.spelling = like.marks, like.spelling
    return result.eval()


def _read_tensors(folder: Path) -> Mapping[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        stored = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        message = f"the adapters in {folder} cannot be read: {error}"
        raise EncoderError(message, path=str(folder)) from error
    return {
        name.removeprefix(_PREFIX).replace(".weight", f".{ADAPTER}.weight"): tensor
        for name, tensor in stored.items()
    }


def _is_correction(name: str) -> bool:
    return ".lora_A." in name or ".lora_B." in name


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1), encoding="utf-8")
