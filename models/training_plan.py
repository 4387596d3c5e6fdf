"""Step four: the method and the epochs, by the data, the machine and the time there is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.encoder_store import load_encoder
from models.methods.supervised import classifier_of
from models.methods.task import in_scope
from shared.finetuning.budget import Estimate, measure_speed
from shared.finetuning.hardware import Hardware
from shared.finetuning.method_choice import Circumstances, MethodChoice, choose_method
from shared.finetuning.recipe import Recipe, with_method
from shared.records import Splits, class_counts

PROBED = 2_000
"""Texts that the probe tokenises to learn how long they are."""


def set_hyperparameters(
    recipe: Recipe,
    splits: Splits,
    *,
    epochs: float,
    encoder: str | None,
    hardware: Hardware,
    unlabelled: Sequence[str] = (),
    continued: bool = False,
    budget: float | None = None,
    checkpoints: Path | None = None,
    resume: bool = False,
) -> MethodChoice:
    """What ``auto`` stands for, why, and the fields that go with it; ``budget`` is in seconds.

    ``epochs`` are those of a training without a budget. What a budget led to is kept beside the
    ``checkpoints``, and a resumed training goes by it: a second probe would find another speed,
    and other epochs than those that were begun.
    """
    counts = class_counts(splits.train)
    circumstances = Circumstances(len(unlabelled), continued, device=hardware.device.split(":")[0])
    if budget is None:
        return choose_method(recipe.method, counts, len(splits.labels), circumstances)
    kept = None if checkpoints is None else checkpoints / "plan.json"
    asked = [recipe.method, budget, epochs, encoder, _fingerprint(splits)]
    if resume and kept is not None and kept.is_file():
        plan: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if plan["asked"] == asked:
            return MethodChoice(plan["method"], plan["reason"], plan["fields"])
    estimate, tokens = estimate_training(
        recipe, splits, epochs=epochs, encoder=encoder, hardware=hardware
    )
    circumstances = replace(circumstances, budget=budget, estimate=estimate, tokens=tokens)
    choice = choose_method(recipe.method, counts, len(splits.labels), circumstances)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        plan = {
            "asked": asked, "method": choice.method, "reason": choice.reason,
            "fields": dict(choice.fields),
        }  # fmt: skip
        kept.write_text(json.dumps(plan), encoding="utf-8")
    return choice


def with_choice(recipe: Recipe, choice: MethodChoice, epochs: float) -> Recipe:
    """The recipe of the chosen method; what was given by hand stands, but for epochs.

    Of those there are ``epochs``, or what the budget holds, whoever gave them.
    """
    fields = {
        name: value for name, value in choice.fields.items() if name not in recipe.model_fields_set
    }
    fields["epochs"] = choice.fields.get("epochs", epochs)
    return with_method(recipe, choice.method).model_copy(update=fields)


def estimate_training(
    recipe: Recipe, splits: Splits, *, epochs: float, encoder: str | None, hardware: Hardware
) -> tuple[Estimate, float]:
    """How long a training takes here, by a probe of some seconds, and tokens of the mean text."""
    module = load_encoder(encoder, max_length=recipe.max_length).to(hardware.device)
    module.set_dropout(recipe.dropout, recipe.attention_dropout)
    training = in_scope(splits.train)
    stride = max(1, len(training) // PROBED)
    texts = module.tokenise([example.text for example in training[::stride]])
    tokens = float(texts.lengths.mean())
    weight = np.random.default_rng(0).normal(size=(len(splits.labels), module.dimensions))
    bias = np.zeros(len(splits.labels), dtype=np.float32)
    classifier = classifier_of(module, weight.astype(np.float32), bias, scale=1.0, cosine=True)
    speed = measure_speed(classifier, texts, recipe, hardware)
    held_out = sum(len(splits[name]) for name in ("validation", "test"))
    return Estimate.of(speed, tokens * len(training), tokens * held_out, epochs), tokens


def _fingerprint(splits: Splits) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for example in splits.train:
        digest.update(f"{example.key}\x00{example.label}\n".encode())
    return digest.hexdigest()
