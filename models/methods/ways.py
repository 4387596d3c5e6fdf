"""Steps three and five: which module builds the classifier, and which one trains it."""

from __future__ import annotations

from dataclasses import replace

from models.encoder import TextEncoder
from models.methods.stages import forget_stages
from models.methods.supervised import (
    adapt_frozen,
    adapt_warm,
    adapt_zero_shot,
    train_supervised,
)
from models.methods.task import FittedModule, FittingTask
from models.text_classifier import TextClassifier
from shared.finetuning.methods import METHODS


def adapt_to_task(encoder: TextEncoder, task: FittingTask) -> TextClassifier:
    """Step 3: a head for these classes, and what of the encoder is changed to carry it."""
    encoder.to(task.hardware.device)
    if task.recipe.spelling:
        encoder.learn_spelling([example.text for example in task.training])
    if task.recipe.domain.epochs:
        from models.methods.domain_pretraining import pretrain

        encoder = pretrain(encoder, task)
    way = METHODS[task.recipe.method].way
    if way == "zero_shot":
        return adapt_zero_shot(encoder, task)
    if way == "head":
        return adapt_frozen(encoder, task)
    if way == "lora":
        from models.methods.low_rank import adapt_low_rank

        return adapt_low_rank(encoder, task)
    if way in ("cloze", "soft_prompt"):
        from models.methods import prompts

        return (prompts.adapt_cloze if way == "cloze" else prompts.adapt_soft_prompt)(encoder, task)
    if task.base is not None:
        from models.methods.continual import adapt_further

        return adapt_further(task)
    return adapt_warm(encoder, task)


def train_model(classifier: TextClassifier, task: FittingTask) -> FittedModule:
    """Step 5: by the recipe; ``zero_shot`` and ``head`` are done already."""
    fitted = _train(classifier, task)
    forget_stages(task)
    if fitted.classifier.encoder.adapters is None:
        return fitted
    from models.methods.low_rank import adapter_facts

    facts = {**fitted.facts, "adapters": adapter_facts(fitted.classifier)}
    return replace(fitted, facts=facts)


def _train(classifier: TextClassifier, task: FittingTask) -> FittedModule:
    recipe = task.recipe
    way = METHODS[recipe.method].way
    if way in ("zero_shot", "head"):
        return FittedModule(classifier, None)
    if way == "contrastive":
        from models.methods.contrastive import train_contrastive

        return train_contrastive(classifier, task)
    if task.base is not None:
        from models.methods.continual import train_further

        return train_further(classifier, task)
    if recipe.self_training.rounds:
        from models.methods.self_training import self_train

        return self_train(classifier, task)
    if recipe.distillation.seeds or recipe.distillation.teachers:
        from models.methods.distillation import distil

        return distil(classifier, task)
    if recipe.pruning.layers or recipe.pruning.heads:
        from models.methods.pruning import prune

        return prune(classifier, task)
    return train_supervised(classifier, task)
