"""Step three: the task head on the encoder, and the loaded version that answers requests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.confidence import ConfidenceModel
from models.encoder import TextEncoder
from models.encoder_store import load_encoder, save_encoder
from models.registry import ModelVersion
from models.text_predictor import StoredClassifier, VersionPredictor
from shared.finetuning.hardware import Hardware
from shared.finetuning.progress import ProgressReporter
from shared.finetuning.recipe import Recipe


class ClassificationHead(nn.Module):
    """Logits from unit vectors: scaled cosines to class vectors, or a plain linear map."""

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor, scale: float, cosine: bool
    ) -> None:
        super().__init__()
        # scikit-learn's weights lie column by column; what a checkpoint gives back does not.
        rows = weight.float().clone(memory_format=torch.contiguous_format)
        self.weight = nn.Parameter(rows)
        self.bias = nn.Parameter(bias.float().clone(), requires_grad=not cosine)
        self.scale = float(scale)
        self.cosine = cosine

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Logits float32 [b, classes] of unit vectors [b, dimensions]."""
        with torch.autocast(vectors.device.type, enabled=False):
            weight = nn.functional.normalize(self.weight, dim=-1) if self.cosine else self.weight
            return self.scale * (vectors.float() @ weight.T) + self.bias


class TextClassifier(nn.Module):
    """Encoder and head, trained together."""

    def __init__(self, encoder: TextEncoder, head: ClassificationHead) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self._training_layers: list[list[nn.Parameter]] = []

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits float32 [b, classes] of token ids and mask, both [b, t]."""
        logits: torch.Tensor = self.head(self.encoder(input_ids, attention_mask))
        return logits

    def parameter_groups(self, recipe: Recipe) -> list[dict[str, object]]:
        """What trains, at which rate: matrices decay, vectors do not, the lowest layers rest."""
        encoder = self.encoder
        encoder.embedding.requires_grad_(recipe.train_embeddings)
        for layer in encoder.layers[: recipe.frozen_layers]:
            layer.requires_grad_(False)
        pooler = getattr(encoder.backbone, "pooler", None)
        if isinstance(pooler, nn.Module):
            pooler.requires_grad_(False)
        self._training_layers = [
            [p for p in layer.parameters() if p.requires_grad] for layer in encoder.layers
        ]
        rate, decay = recipe.learning_rate, recipe.weight_decay
        head = [p for p in self.head.parameters() if p.requires_grad]
        groups: list[dict[str, object]] = [
            {"params": head, "lr": recipe.head_learning_rate, "weight_decay": 0.0}
        ]
        for factor, body in self._by_depth(recipe.layer_decay):
            matrices, vectors = (
                [p for p in body if (p.ndim > 1) is wide] for wide in (True, False)
            )
            groups += [
                {"params": matrices, "lr": rate * factor, "weight_decay": decay},
                {"params": vectors, "lr": rate * factor, "weight_decay": 0.0},
            ]
        return [group for group in groups if group["params"]]

    def _by_depth(self, decay: float) -> list[tuple[float, list[nn.Parameter]]]:
        """What trains of the encoder, with the factor on its rate: ``decay`` a layer downwards.

        Source: Howard and Ruder, "Universal language model fine-tuning", 2018 (discriminative
        rates).
        """
        training = [p for p in self.encoder.parameters() if p.requires_grad]
        if decay == 1.0:
            return [(1.0, training)]
        depth = len(self._training_layers)
        place = {id(p): n for n, layer in enumerate(self._training_layers) for p in layer}
        below = {id(p) for p in self.encoder.embedding.parameters()}
        by_power: dict[int, list[nn.Parameter]] = {}
        for parameter in training:
            lowest = -1 if id(parameter) in below else depth - 1
            power = depth - 1 - place.get(id(parameter), lowest)
            by_power.setdefault(power, []).append(parameter)
        return [(decay**power, found) for power, found in sorted(by_power.items())]

    @property
    def depth(self) -> int:
        """How many layers the encoder has."""
        return len(self.encoder.layers)

    def rest_layers(self, count: int) -> None:
        """The ``count`` lowest layers do not train (no gradient, no dropout); those above do.

        Lower layers settle first, so that resting them step by step saves work (Brock et al.,
        "FreezeOut", 2017).
        """
        for number, layer in enumerate(self.encoder.layers):
            for parameter in self._training_layers[number]:
                if parameter.requires_grad and number < count:
                    parameter.grad = None
                parameter.requires_grad_(number >= count)
            if number < count:
                layer.eval()


class TorchReader:
    """Encoder and head in torch, on the hardware that was chosen for them."""

    def __init__(self, classifier: TextClassifier) -> None:
        self.classifier = classifier
        self.hardware: Hardware | None = None

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self.classifier.encoder.dimensions

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions]."""
        return self.classifier.encoder.embed(texts, hardware=self.hardware)

    def logits_of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits float32 [n, classes] of unit vectors [n, dimensions]."""
        return logits_of(self.classifier, vectors)


class TextPredictor(VersionPredictor):
    """A version computed by torch: what trains on, is evaluated and explained by gradients."""

    def __init__(
        self,
        version: str,
        card: Mapping[str, Any],
        classifier: TextClassifier,
        labels: Sequence[str],
        confidence: ConfidenceModel,
        bank: Sequence[tuple[str, str]],
        bank_vectors: NDArray[np.float32],
        answer_threshold: float,
        target_error: float,
    ) -> None:
        self.classifier = classifier.eval().requires_grad_(False)
        self.encoder = classifier.encoder
        self._torch = TorchReader(self.classifier)
        super().__init__(
            version,
            card,
            self._torch,
            labels,
            confidence,
            bank,
            bank_vectors,
            answer_threshold,
            target_error,
        )

    @property
    def hardware(self) -> Hardware | None:
        """Where it computes and in which precision; None: fp32 where it stands."""
        return self._torch.hardware

    @classmethod
    def load(cls, version: ModelVersion) -> TextPredictor:
        """Load a version that the registry has verified."""
        stored = StoredClassifier.read(version.folder)
        encoder = _load_served(version.folder / "encoder", stored.max_length)
        encoder.name = stored.encoder
        head = ClassificationHead(
            torch.from_numpy(stored.weight),
            torch.from_numpy(stored.bias),
            stored.scale,
            stored.cosine,
        )
        return cls(
            version.name,
            version.card,
            TextClassifier(encoder, head),
            stored.labels,
            stored.confidence,
            stored.bank,
            stored.bank_vectors,
            stored.answer_threshold,
            stored.target_error,
        )

    def save(self, folder: Path) -> None:
        """Write everything that ``load`` reads but the card."""
        from safetensors.numpy import save_file

        save_encoder(self.encoder, folder / "encoder")
        head = self.classifier.head
        arrays = {
            "weight": head.weight.detach().cpu().numpy(),
            "bias": head.bias.detach().cpu().numpy(),
            "bank": self._bank_vectors.astype(np.float16),
        }
        # safetensors writes memory as it lies: scikit-learn's weights lie column by column.
        save_file(
            {name: np.ascontiguousarray(array) for name, array in arrays.items()},
            folder / "classifier.safetensors",
        )
        plain = {
            "labels": self.labels,
            "encoder": self.encoder.name,
            "max_length": self.encoder.max_length,
            "scale": head.scale,
            "cosine": head.cosine,
            "confidence": self.confidence.as_json(),
            "answer_threshold": self.answer_threshold,
            "target_error": self.target_error,
        }
        text = json.dumps(plain, ensure_ascii=False, indent=1)
        (folder / "classifier.json").write_text(text, encoding="utf-8")
        with (folder / "examples.jsonl").open("w", encoding="utf-8") as lines:
            for text, label in self._bank:
                row = {"text": text, "label": label}
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")

    def run_on(self, hardware: Hardware) -> None:
        """From here on compute on this device in this precision; fp32 where it stands until then.

        bf16 takes half the time on processors that have it (docs/methods.md has what it changes).
        """
        if self.encoder.adapters is not None:
            from models.encoder_store import IN_PROCESS

            IN_PROCESS.place(self.encoder, hardware.device)
        self.classifier.to(hardware.device)
        self._torch.hardware = hardware

    def logits(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Uncalibrated logits float32 [b, classes] with gradients, for attributions."""
        result: torch.Tensor = self.classifier(input_ids, attention_mask)
        return result


def _load_served(folder: Path, max_length: int) -> TextEncoder:
    """The version's encoder; adapters share their base with other versions in this process."""
    from models.low_rank_encoder import holds_adapters

    if not holds_adapters(folder):
        return load_encoder(folder, max_length=max_length)
    from models.encoder_store import IN_PROCESS

    return IN_PROCESS.load(folder, max_length=max_length)


@torch.inference_mode()
def forward(
    classifier: TextClassifier,
    texts: Sequence[str],
    hardware: Hardware | None = None,
    report: ProgressReporter | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Unit vectors [n, dimensions] and logits [n, classes] in the order of the texts."""
    vectors = classifier.encoder.embed(texts, hardware=hardware, report=report)
    return vectors, logits_of(classifier, vectors)


@torch.inference_mode()
def logits_of(classifier: TextClassifier, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits [n, classes] of unit vectors [n, dimensions] that were computed."""
    device = classifier.head.weight.device
    logits: NDArray[np.float32] = (
        classifier.head(torch.from_numpy(vectors).to(device)).cpu().numpy()
    )
    return logits
