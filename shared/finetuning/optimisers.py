"""The optimiser by name, and its state as tensors that a checkpoint can hold.

Eight-bit states take a quarter of the memory of AdamW's: Dettmers et al., "8-bit optimizers via
block-wise quantization", 2022, arXiv:2110.02861, through the package bitsandbytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import SettingsError
from shared.finetuning.hardware import Hardware

if TYPE_CHECKING:
    import torch

OptimiserName = Literal["adamw", "adamw_8bit"]
BETAS = (0.9, 0.999)


def check_optimiser(name: OptimiserName, hardware: Hardware) -> None:
    """SettingsError where the optimiser cannot run: 8-bit states need a GPU and bitsandbytes."""
    if name == "adamw":
        return
    if hardware.device == "cpu":
        raise SettingsError(
            "optimiser adamw_8bit needs a GPU: on a processor use adamw", field="optimiser"
        )
    if find_spec("bitsandbytes") is None:
        raise SettingsError(
            "optimiser adamw_8bit needs the package bitsandbytes: pip install bitsandbytes, "
            "or use adamw",
            field="optimiser",
        )


def make_optimiser(
    groups: Sequence[Mapping[str, Any]], name: OptimiserName, hardware: Hardware
) -> torch.optim.Optimizer:
    """AdamW over groups of parameters, each with its rate; SettingsError where it cannot run."""
    import torch

    check_optimiser(name, hardware)
    given = [dict(group) for group in groups]
    if name == "adamw":
        return torch.optim.AdamW(given, fused=True, betas=BETAS)
    eight_bit = import_module("bitsandbytes.optim").AdamW8bit
    optimiser: torch.optim.Optimizer = eight_bit(given, betas=BETAS)
    return optimiser


def state_tensors(
    optimiser: torch.optim.Optimizer, named: Mapping[str, torch.nn.Parameter]
) -> dict[str, torch.Tensor]:
    """What the optimiser remembers, by ``key/parameter``; a plain count becomes an int64 tensor.

    Nothing shares memory with anything, as safetensors asks: 8-bit states share their tables.
    """
    import torch

    tensors = {}
    for name, parameter in named.items():
        for key, value in optimiser.state.get(parameter, {}).items():
            if isinstance(value, torch.Tensor):
                shared = key.startswith("qmap")
                tensors[f"{key}/{name}"] = value.detach().clone() if shared else value.detach()
            elif isinstance(value, int):
                tensors[f"{key}/{name}"] = torch.tensor(value, dtype=torch.int64)
    return tensors


def restore_state(
    optimiser: torch.optim.Optimizer,
    named: Mapping[str, torch.nn.Parameter],
    tensors: Mapping[str, torch.Tensor],
) -> None:
    """Put back what ``state_tensors`` gave, each on the device of its parameter.

    Moments lie in memory as the parameter does: fused AdamW goes through both side by side.
    """
    import torch

    for key_and_name, tensor in tensors.items():
        key, _, name = key_and_name.partition("/")
        parameter = named[name]
        if tensor.ndim == 0 and tensor.dtype == torch.int64:
            optimiser.state[parameter][key] = int(tensor)
        elif tensor.shape == parameter.shape:
            moments = torch.empty_like(parameter, dtype=tensor.dtype).detach()
            optimiser.state[parameter][key] = moments.copy_(tensor)
        else:
            optimiser.state[parameter][key] = tensor.to(parameter.device)
