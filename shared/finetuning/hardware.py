"""Where training runs and in what precision, found out and said aloud."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import SettingsError

if TYPE_CHECKING:
    import torch

Precision = Literal["bf16", "fp16", "fp32"]


@dataclass(frozen=True, slots=True)
class Hardware:
    """A device and the precision of its matrix products."""

    device: str
    precision: Precision
    reason: str

    def autocast(self) -> AbstractContextManager[object]:
        """The context in which matrix products run in the chosen precision."""
        import torch

        if self.precision == "fp32":
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.split(":")[0], dtype=dtype)

    def free_memory(self) -> None:
        """Give back what torch keeps for later; a processor keeps nothing."""
        if self.device != "cpu":
            import torch

            torch.cuda.empty_cache()

    def gradient_scaler(self) -> torch.amp.GradScaler:
        """Scales the loss where fp16 needs it (GPUs without bf16); elsewhere it does nothing."""
        import torch

        kind = self.device.split(":")[0]
        return torch.amp.GradScaler(kind, enabled=self.precision == "fp16")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch ended for want of memory: GPUs have an error of their own, processors not."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = ("not enough memory", "can't allocate memory", "out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def checkpoint_activations(module: object, wanted: bool) -> None:
    """Whether the transformers in the module keep activations, or compute them again backwards.

    The gradient is the same, for a third more time and a fraction of the memory; a layer at rest
    keeps nothing in either case. SettingsError for an architecture that cannot. Source: Chen et
    al., "Training deep nets with sublinear memory cost", 2016, arXiv:1604.06174.
    """
    import torch
    from transformers import PreTrainedModel

    if not isinstance(module, torch.nn.Module):
        return
    backbones = [part for part in module.modules() if isinstance(part, PreTrainedModel)]
    for backbone in backbones:
        if not wanted:
            if backbone.is_activation_checkpointing:
                backbone.activation_checkpointing_disable()
            continue
        try:
            backbone.activation_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise SettingsError(
                f"{type(backbone).__name__} cannot compute its activations again: leave out "
                "gradient_checkpointing",
                field="gradient_checkpointing",
            ) from error
        # transformers lets gradients flow into the embeddings, which this way does not need:
        # resting layers would be computed backwards for nothing.
        backbone.disable_input_require_grads()
    if wanted and not backbones:
        raise SettingsError(
            "gradient_checkpointing needs a transformer", field="gradient_checkpointing"
        )


def compile_forward(
    module: Any,
    hardware: Hardware,
    say: Callable[[str], None],
    backend: str | Callable[..., Any] = "inductor",
) -> Any:
    """The module's call, compiled by torch.compile on a GPU; its weights and names stay its own.

    On a processor the module itself: compiling takes longer there than it saves. The first call
    compiles; where that fails, it is said and calls go to the module from then on.
    """
    if hardware.device == "cpu":
        say("torch.compile pays on GPUs only: going on without it on this processor")
        return module
    return CompiledForward(module, say, backend)


class CompiledForward:
    """Calls a module through torch.compile as long as that works."""

    def __init__(
        self, module: Any, say: Callable[[str], None], backend: str | Callable[..., Any]
    ) -> None:
        import torch

        self.module = module
        self.say = say
        self.compiled: Any = torch.compile(module, dynamic=True, backend=backend)

    def __call__(self, *given: Any) -> Any:
        """What the module gives."""
        if self.compiled is None:
            return self.module(*given)
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self.compiled(*given)
        except TorchDynamoException as error:
            cause = getattr(error, "inner_exception", error)
            reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
            self.say(f"torch.compile failed ({reason}): going on without it")
            self.compiled = None
            return self.module(*given)


def choose_hardware(device: str = "auto", precision: str = "auto") -> Hardware:
    """Pick the device and precision; SettingsError when what was asked for is not there.

    bf16 where the processor or GPU multiplies in it (AVX-512 BF16, AMX, Ampere and later), fp16
    with a scaled loss on older GPUs, fp32 elsewhere.
    """
    import torch

    if device not in ("auto", "cpu", "cuda"):
        raise SettingsError(f"device {device!r} is none of auto, cpu, cuda", device=device)
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsError(
            "device cuda was asked for, but torch sees no CUDA device", device=device
        )
    chosen = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if precision != "auto":
        if precision == "fp16" and chosen == "cpu":
            raise SettingsError("fp16 trains on GPUs only: use bf16 or fp32 on a processor")
        known: Precision = (
            "bf16" if precision == "bf16" else "fp16" if precision == "fp16" else "fp32"
        )
        return Hardware(chosen, known, "precision was asked for")
    if chosen == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Hardware(chosen, "bf16", "the GPU multiplies in bf16")
        return Hardware(chosen, "fp16", "the GPU has no bf16")
    capability = torch.cpu.get_capabilities()
    if capability.get("avx512_bf16") or capability.get("amx_bf16") or capability.get("bf16"):
        return Hardware(chosen, "bf16", "the processor multiplies in bf16")
    return Hardware(chosen, "fp32", "the processor has no bf16")
