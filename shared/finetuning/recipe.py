"""Step four: the hyperparameters, each with its meaning, refused when unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import SettingsError
from shared.finetuning.adversarial import AdversarialSettings
from shared.finetuning.augmentation import AugmentationSettings
from shared.finetuning.continual import ContinualSettings
from shared.finetuning.contrastive import ContrastiveSettings
from shared.finetuning.distillation import DistillationSettings
from shared.finetuning.domain_pretraining import DomainSettings
from shared.finetuning.low_rank import LowRankSettings
from shared.finetuning.method_settings import LISTED
from shared.finetuning.methods import METHODS, Method
from shared.finetuning.noisy_labels import NoisyLabelSettings
from shared.finetuning.outliers import OutlierSettings
from shared.finetuning.prompts import PromptSettings
from shared.finetuning.pruning import PruningSettings
from shared.finetuning.self_training import SelfTrainingSettings
from shared.finetuning.soup import SoupSettings

Share = Annotated[float, Field(ge=0, lt=1)]


class Recipe(BaseModel):
    """How a model is fine-tuned. The defaults were measured on Banking77 (docs/tried.md)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field(default="auto", description="how the pre-trained model is adapted")
    epochs: float | None = Field(
        default=None, gt=0, le=1_000, description="passes over the training data; by its size"
    )
    batch_size: int = Field(default=64, ge=1, description="texts in one optimiser step")
    accumulation: int = Field(
        default=1, ge=1, description="parts of a batch computed one after another to save memory"
    )
    part_tokens: int = Field(
        default=2_048, ge=64, description="padded tokens computed at once; longer batches in parts"
    )
    learning_rate: float = Field(default=2e-4, gt=0, description="peak, encoder weights")
    head_learning_rate: float = Field(default=1e-3, gt=0, description="peak, head weights")
    warmup: Share = Field(default=0.1, description="share of the steps in which the rate rises")
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW's, matrices only")
    clip_norm: float = Field(default=1.0, gt=0, description="largest norm of the gradient")
    dropout: Share = Field(default=0.1, description="of hidden states, inside the encoder")
    attention_dropout: Share = Field(default=0.0, description="of attention weights")
    label_smoothing: Share = Field(default=0.0, description="probability spread over all classes")
    consistency: float = Field(
        default=0.0,
        ge=0,
        description="weight of how much two passes with dropout disagree; above 0 doubles the time",
    )
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="whether rare classes weigh more in the loss"
    )
    loss: Literal["cross_entropy", "focal"] = Field(
        default="cross_entropy", description="focal weighs what is already right less"
    )
    focal_gamma: float = Field(default=2.0, ge=0, description="how much less, in a focal loss")
    sampling: Literal["all", "balanced"] = Field(
        default="all", description="balanced draws each class equally often"
    )
    layer_decay: float = Field(
        default=1.0, gt=0, le=1, description="factor on the rate from each layer to the one below"
    )
    unfreeze_until: Share = Field(
        default=0.0, description="share of the steps by which all layers train, the top one first"
    )
    frozen_layers: int = Field(default=0, ge=0, description="lowest layers that are not trained")
    freeze_at: Annotated[tuple[Share, ...], LISTED] = Field(
        default=(0.3, 0.45, 0.6, 0.75),
        description="share of the steps after which layer 0, 1, ... rests",
    )
    train_embeddings: bool = Field(default=False, description="whether word embeddings train")
    averaging_from: Share = Field(
        default=0.5, description="share of the steps after which weights are averaged; 0 is never"
    )
    averaging_decay: Share = Field(default=0.99, description="of the moving average of weights")
    patience: int = Field(
        default=0,
        ge=0,
        description="epochs without a better validation loss before it stops; 0 is never",
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = Field(
        default="auto", description="of the matrix products; weights are always fp32"
    )
    marked_spans: bool = Field(
        default=False, description="whether texts are pooled over their spans in square brackets"
    )
    spelling: bool = Field(
        default=False,
        description="whether words that nobody knows are read as the nearest known one",
    )
    max_length: int = Field(default=128, ge=4, le=8_192, description="tokens kept of a text")
    head_scale: float = Field(default=20.0, gt=0, description="factor on the cosines of the head")
    head_regularisation: float = Field(
        default=10.0, gt=0, description="C of the logistic regression that starts the head"
    )
    checkpoint_seconds: float = Field(default=20.0, ge=0, description="time between checkpoints")
    target_error: float = Field(
        default=0.02, gt=0, lt=1, description="largest share of wrong automatic answers"
    )
    gradient_checkpointing: bool = Field(
        default=False, description="whether activations are computed twice to save memory"
    )
    compiled: bool = Field(default=False, description="whether torch.compile is used")
    optimiser: Literal["adamw", "adamw_8bit"] = Field(
        default="adamw", description="8-bit states need bitsandbytes and a GPU"
    )
    contrastive: ContrastiveSettings = Field(default=ContrastiveSettings(), description="pairs")
    prompt: PromptSettings = Field(default=PromptSettings(), description="cloze and soft prompts")
    lora: LowRankSettings = Field(default=LowRankSettings(), description="low-rank adapters")
    adversarial: AdversarialSettings = Field(
        default=AdversarialSettings(), description="smoothness around the embeddings"
    )
    augmentation: AugmentationSettings = Field(
        default=AugmentationSettings(), description="texts changed while they are read"
    )
    self_training: SelfTrainingSettings = Field(
        default=SelfTrainingSettings(), description="labels for unlabelled text"
    )
    domain: DomainSettings = Field(
        default=DomainSettings(), description="masked-language training beforehand"
    )
    continual: ContinualSettings = Field(
        default=ContinualSettings(), description="replay and holding on"
    )
    distillation: DistillationSettings = Field(
        default=DistillationSettings(), description="teachers"
    )
    soup: SoupSettings = Field(default=SoupSettings(), description="trainings that are averaged")
    pruning: PruningSettings = Field(default=PruningSettings(), description="what is dropped")
    noise: NoisyLabelSettings = Field(
        default=NoisyLabelSettings(), description="labels that are probably wrong"
    )
    outliers: OutlierSettings = Field(
        default=OutlierSettings(), description="training texts of no class"
    )
    seed: int = Field(default=1, ge=0, lt=2**32, description="of shuffling and dropout")


PASSES = 36_000
"""Examples that a training of the default length reads: 4 epochs of Banking77, 20 of a sample."""


def epochs_for(examples: int) -> int:
    """Epochs for so many training examples: between 3 and 20, fewer the more there are."""
    return int(min(20, max(3, round(PASSES / max(1, examples)))))


def make_recipe(**fields: Any) -> Recipe:
    """A recipe of these fields; SettingsError names the field that is wrong or unknown.

    A field of a group is named with a dot: ``lora.rank``.
    """
    try:
        return Recipe(**nested(fields))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"recipe: {name}: {first['msg']}", field=name) from error


def nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields whose names hold a dot, moved into a mapping of their group."""
    result: dict[str, Any] = {}
    for name, value in fields.items():
        group, dot, inner = name.partition(".")
        if not dot:
            result[name] = {**value, **result.get(name, {})} if isinstance(value, dict) else value
            continue
        held = result.get(group, {})
        if not isinstance(held, dict):
            raise SettingsError(f"recipe: {group} is given as a whole and by {name}", field=name)
        result[group] = {**held, inner: value}
    return result


def fields_of_card(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a card's recipe that were somebody's choice, for a recipe of today.

    Fields that a recipe no longer has are left out, and so are defaults and what the card's method
    set by itself: another method then sets its own.
    """
    fields = dict(stored)
    method = METHODS.get(fields.get("method", "auto"))
    by_itself = {} if method is None else nested(method.fields)
    kept = {}
    for name, value in fields.items():
        known = Recipe.model_fields.get(name)
        if known is None:
            continue
        if isinstance(value, Mapping):
            group = {
                inner: given
                for inner, given in value.items()
                if inner in type(known.default).model_fields
                and not _same(given, getattr(known.default, inner))
                and not _same(given, by_itself.get(name, {}).get(inner))
            }
            if group:
                kept[name] = group
        elif not _same(value, known.default) and not _same(value, by_itself.get(name)):
            kept[name] = value
    return kept


def _same(stored: Any, value: Any) -> bool:
    """Whether a value out of JSON is that value; a tuple is a list there."""
    return bool(stored == (list(value) if isinstance(value, tuple) else value)) or bool(
        stored == value
    )


def with_method(recipe: Recipe, method: Method) -> Recipe:
    """The recipe with that method and what it sets, but for fields that were given by hand."""
    fields = recipe.model_dump(exclude_unset=True)
    for name, value in nested(METHODS[method].fields).items():
        if isinstance(value, dict):
            fields[name] = {**value, **fields.get(name, {})}
        else:
            fields.setdefault(name, value)
    return Recipe(**{**fields, "method": method})
