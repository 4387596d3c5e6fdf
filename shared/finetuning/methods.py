"""The methods by name: what each does, what it sets in a recipe, and its source.

A method is how the classifier is built and trained (``way``), and the fields of the recipe that it
sets where the user does not. ``models.methods`` has the code of each way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Method = Literal[
    "auto",
    "zero_shot",
    "head",
    "contrastive",
    "cloze",
    "soft_prompt",
    "lora",
    "full",
    "adversarial",
    "augmented",
    "self_training",
    "domain",
    "continual",
    "soup",
    "distilled",
    "pruned",
    "noise_robust",
]
Way = Literal["zero_shot", "head", "contrastive", "cloze", "soft_prompt", "lora", "full"]
"""How a classifier is built on the encoder, and what of it trains."""


@dataclass(frozen=True, slots=True)
class MethodDescription:
    """A method in words. ``fields`` may name a field of a group with a dot: ``lora.rank``."""

    way: Way
    what: str
    source: str
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    needs_unlabelled: bool = False
    needs_version: bool = False


METHODS: Mapping[Method, MethodDescription] = MappingProxyType(
    {
        "zero_shot": MethodDescription(
            "zero_shot",
            "class vectors from names and descriptions through prompt templates; no training",
            "Radford et al. 2021; Yin et al. 2019",
        ),
        "head": MethodDescription(
            "head", "frozen encoder, logistic regression, penalty chosen on validation", ""
        ),
        "contrastive": MethodDescription(
            "contrastive", "texts of one class drawn together in pairs, then a head",
            "Tunstall et al. 2022; Khosla et al. 2020", {"learning_rate": 1e-4},
        ),
        "cloze": MethodDescription(
            "cloze", "the masked-language head fills a template; label words are classes",
            "Schick and Schütze 2021",
        ),
        "soft_prompt": MethodDescription(
            "soft_prompt", "trained vectors before the text, everything else frozen",
            "Lester et al. 2021", {"learning_rate": 1e-2, "freeze_at": ()},
        ),
        "lora": MethodDescription(
            "lora", "low-rank corrections beside frozen matrices", "Hu et al. 2021",
            {"learning_rate": 1e-3},
        ),
        "full": MethodDescription("full", "the whole network but its word embeddings", ""),
        "adversarial": MethodDescription(
            "full", "full, and small changes of the embeddings must not change the answer",
            "Miyato et al. 2017; Jiang et al. 2020", {"adversarial.kind": "smart"},
        ),
        "augmented": MethodDescription(
            "full", "full, on texts with typing errors and other openings; errors are read past",
            "Wei and Zou 2019; Karpukhin et al. 2019; Pruthi et al. 2019",
            {"augmentation.share": 0.5, "spelling": True},
        ),
        "self_training": MethodDescription(
            "full", "full, then again with the labels that it is sure of on unlabelled text",
            "Xie et al. 2020; Sohn et al. 2020", {"self_training.rounds": 1},
            needs_unlabelled=True,
        ),
        "domain": MethodDescription(
            "full", "masked-language training on the user's text, then full",
            "Gururangan et al. 2020", {"domain.epochs": 3.0},
        ),
        "continual": MethodDescription(
            "full", "a version learns new data and classes; old ones are replayed and held",
            "Rolnick et al. 2019; Li and Hoiem 2016", {"sampling": "balanced"}, needs_version=True,
        ),
        "soup": MethodDescription(
            "full", "full by several seeds, whose weights are averaged", "Wortsman et al. 2022",
            {"soup.members": 4},
        ),
        "distilled": MethodDescription(
            "full", "several teachers, whose averaged answers teach one student",
            "Hinton et al. 2015", {"distillation.seeds": 3},
        ),
        "pruned": MethodDescription(
            "full", "full, then layers or attention heads go and the rest recovers",
            "Michel et al. 2019; Sajjad et al. 2023", {"pruning.layers": 4},
        ),
        "noise_robust": MethodDescription(
            "full", "full, with labels that are probably wrong weighing little",
            "Northcutt et al. 2021", {"noise.kind": "confident"},
        ),
    }
)  # fmt: skip
"""All methods but ``auto``, the simplest first."""
