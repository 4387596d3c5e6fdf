"""Step four: the hyperparameters, each with its meaning, refused when unknown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import SettingsError

Method = Literal["auto", "zero_shot", "head", "full"]
Share = Annotated[float, Field(ge=0, lt=1)]


class Recipe(BaseModel):
    """How a model is fine-tuned. The defaults were measured on Banking77 (docs/methods.md)."""

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
    frozen_layers: int = Field(default=0, ge=0, description="lowest layers that are not trained")
    freeze_at: tuple[Share, ...] = Field(
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
    max_length: int = Field(default=128, ge=4, le=8_192, description="tokens kept of a text")
    head_scale: float = Field(default=20.0, gt=0, description="factor on the cosines of the head")
    head_regularisation: float = Field(
        default=10.0, gt=0, description="C of the logistic regression that starts the head"
    )
    checkpoint_seconds: float = Field(default=20.0, ge=0, description="time between checkpoints")
    target_error: float = Field(
        default=0.02, gt=0, lt=1, description="largest share of wrong automatic answers"
    )
    seed: int = Field(default=1, ge=0, lt=2**32, description="of shuffling and dropout")


PASSES = 36_000
"""Examples that a training of the default length reads: 4 epochs of Banking77, 20 of a sample."""


def epochs_for(examples: int) -> int:
    """Epochs for so many training examples: between 3 and 20, fewer the more there are."""
    return int(min(20, max(3, round(PASSES / max(1, examples)))))


def make_recipe(**fields: Any) -> Recipe:
    """A recipe of these fields; SettingsError names the field that is wrong or unknown."""
    try:
        return Recipe(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"recipe: {name}: {first['msg']}", field=name) from error
