"""A time budget: ``5m`` in seconds, and how long a training will take here, by a short probe.

    parse_budget -> measure_speed -> Estimate -> epochs_within

The probe runs a few batches of the user's own texts forward and backward and changes no weight.
Batches hold texts of like length, so that time follows the number of tokens.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np

from shared.errors import SettingsError
from shared.finetuning.batching import TokenisedTexts, training_batches
from shared.finetuning.methods import Method

if TYPE_CHECKING:
    from shared.finetuning.hardware import Hardware
    from shared.finetuning.loop import Trainable
    from shared.finetuning.recipe import Recipe

UNITS: Final[Mapping[str, float]] = MappingProxyType({"s": 1.0, "m": 60.0, "h": 3600.0})
_PART = r"(\d+(?:\.\d+)?)\s*([smh])"

COST: Final[Mapping[Method, float]] = MappingProxyType(
    {
        "zero_shot": 0.0, "head": 0.0, "contrastive": 1.0, "cloze": 1.2, "soft_prompt": 1.2,
        "lora": 1.1, "full": 1.0, "adversarial": 3.0, "augmented": 1.0, "self_training": 3.0,
        "domain": 2.0, "continual": 1.5, "soup": 4.0, "distilled": 4.0, "pruned": 1.7,
        "noise_robust": 1.0,
    }
)  # fmt: skip
"""Times the work of ``full`` for an epoch, by how often a method sends the texts through."""

OVERHEAD: Final = 1.15
"""Factor for what the probe leaves out: the optimiser's steps, checkpoints, padding, the report."""

READS: Final = 2
"""How often training texts are read without training: to start the head, and for the neighbours."""

LEAST_SHARE: Final = 0.25
"""Share of a method's usual epochs below which it is not worth starting."""


def parse_budget(text: str) -> float:
    """Seconds (above 0) of ``90s``, ``5m``, ``2h`` or ``1h30m``; SettingsError with advice."""
    folded = text.strip().lower()
    if not re.fullmatch(rf"(?:{_PART}\s*)+", folded):
        raise SettingsError(
            f"the budget {text!r} is no time: write seconds, minutes or hours, such as 90s, 5m, 2h "
            "or 1h30m",
            budget=text,
        )
    seconds = sum(float(number) * UNITS[unit] for number, unit in re.findall(_PART, folded))
    if seconds <= 0:
        raise SettingsError(f"the budget {text!r} leaves no time: write 90s, 5m or 2h", budget=text)
    return seconds


def spoken(seconds: float) -> str:
    """A time for people: ``40 s``, ``5.5 min``, ``2 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5_940:
        return f"{seconds / 60:.2g} min"
    return f"{seconds / 3600:.2g} h"


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens a second, padding included: ``training`` forth and back, ``reading`` forth alone."""

    training: float
    reading: float


def measure_speed(
    module: Trainable,
    texts: TokenisedTexts,
    recipe: Recipe,
    hardware: Hardware,
    *,
    probes: int = 3,
    clock: Callable[[], float] = time.perf_counter,
) -> Speed:
    """Time ``probes`` batches of the texts after one that warms up; weights stay as they are.

    Batches are cut into parts as the loop does it. ``texts`` must not be empty.
    """
    import torch

    batches = training_batches(
        texts.lengths, recipe.batch_size, np.random.default_rng(recipe.seed)
    )[: probes + 1]
    module.parameter_groups(recipe)
    spent = {"training": 0.0, "reading": 0.0}
    tokens = 0
    for number, rows in enumerate([batches[0], *(batches[1:] or batches)]):
        length = int(texts.lengths[rows].max())
        parts = np.array_split(rows, min(len(rows), -(-len(rows) * length // recipe.part_tokens)))
        for mode in spent:
            module.train(mode == "training")
            started = clock()
            for part in parts:
                ids, mask = (t.to(hardware.device) for t in texts.batch(part))
                with torch.set_grad_enabled(mode == "training"), hardware.autocast():
                    total = module(ids, mask).float().logsumexp(dim=1).mean()
                if mode == "training":
                    total.backward()  # type: ignore[no-untyped-call]
                float(total.detach())
            if number:
                spent[mode] += clock() - started
        tokens += len(rows) * length if number else 0
    for _, parameter in module.named_parameters():
        parameter.grad = None
    module.train(False)
    return Speed(*(tokens / max(spent[mode], 1e-9) for mode in ("training", "reading")))


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long trainings take here. ``epochs`` is how many a training has by itself.

    ``reading`` is what every method spends on reading texts, ``epoch`` an epoch of ``full``, both
    in seconds.
    """

    reading: float
    epoch: float
    epochs: float

    @classmethod
    def of(
        cls, speed: Speed, training_tokens: float, held_out_tokens: float, epochs: float
    ) -> Estimate:
        """From the tokens of all training texts, and of all held-out ones."""
        reading = (READS * training_tokens + 2 * held_out_tokens) / speed.reading
        return cls(OVERHEAD * reading, OVERHEAD * training_tokens / speed.training, epochs)

    def seconds(self, method: Method, epochs: float | None = None) -> float:
        """Seconds of a training by the method, of ``epochs`` or of its usual ones."""
        return self.reading + COST[method] * self.epoch * (epochs or self.epochs)

    def epochs_within(self, method: Method, budget: float) -> float | None:
        """The epochs (at most the usual ones) that ``budget`` seconds hold.

        None where they are less than a quarter of the usual ones, or less than one.
        """
        work = COST[method] * self.epoch
        left = budget - self.reading
        if work == 0.0:
            return self.epochs if left >= 0 else None
        held = min(self.epochs, left / work)
        if held < self.epochs:
            held = np.floor(4 * held) / 4
        return float(held) if held >= self.least else None

    @property
    def least(self) -> float:
        """The fewest epochs worth starting."""
        return min(self.epochs, max(1.0, LEAST_SHARE * self.epochs))
