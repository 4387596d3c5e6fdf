"""Low-rank adapters: the encoder rests, small corrections beside its matrices and the head train.

Training is that of ``full`` otherwise: a warm head, rates by layer, averaging, layers that rest.
"""

from __future__ import annotations

from typing import Any

from models.encoder import TextEncoder
from models.low_rank_encoder import adapter_tensors, insert_adapters
from models.methods.supervised import adapt_warm
from models.methods.task import FittingTask
from models.text_classifier import TextClassifier
from shared.errors import SettingsError


def adapt_low_rank(encoder: TextEncoder, task: FittingTask) -> TextClassifier:
    """A warm head on the encoder, which is frozen and gets corrections that start at zero.

    SettingsError for what would change the frozen encoder: its embeddings, or its layers' number.
    """
    recipe = task.recipe
    for field, wanted in {
        "train_embeddings": recipe.train_embeddings,
        "pruning": recipe.pruning.layers or recipe.pruning.heads,
    }.items():
        if wanted:
            message = f"{field} changes the encoder, which rests below its adapters in lora"
            raise SettingsError(message, field=field)
    classifier = adapt_warm(encoder, task)
    insert_adapters(encoder, recipe.lora, recipe.seed)
    facts = adapter_facts(classifier)
    task.report.say(
        f"{facts['trained_weights']:,} of {facts['weights']:,} weights train "
        f"({100 * facts['share']:.1f} %)"
    )
    return classifier


def adapter_facts(classifier: TextClassifier) -> dict[str, Any]:
    """What trains, as the card tells it: weights of corrections and head, and their share."""
    settings, head = classifier.encoder.adapters, classifier.head
    assert settings is not None
    corrections = sum(t.numel() for t in adapter_tensors(classifier.encoder.backbone).values())
    trained = corrections + head.weight.numel() + (0 if head.cosine else head.bias.numel())
    total = sum(parameter.numel() for parameter in classifier.parameters())
    return {
        **settings.model_dump(),
        "base": classifier.encoder.name,
        "trained_weights": trained,
        "weights": total,
        "share": trained / total,
    }
