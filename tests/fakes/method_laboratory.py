"""Any method trained on tiny things, with what it needs: what the laws of methods are tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.text_classifier import TextPredictor
from models.text_training import FittedClassifier, fit_text_classifier, prepare_data
from shared.errors import TriptychError
from shared.finetuning.hardware import Hardware
from shared.finetuning.methods import METHODS, Method
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Dataset, Example, SplitName, Splits
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

CPU = Hardware("cpu", "fp32", "test")
CUES = {"refund": "refund money", "parcel": "parcel track", "invoice": "invoice card"}
FILLER = [word for word in WORDS[12:] if word not in " ".join(CUES.values()).split()]
SHORT = {
    "epochs": 6, "batch_size": 16, "learning_rate": 2e-3, "checkpoint_seconds": 0,
    "domain.epochs": 1, "pruning.layers": 1, "self_training.reads": 400, "noise.fewest": 4,
}  # fmt: skip
"""Of these a method heeds what is its own; the groups' switches stay as the method sets them."""

LONGER: dict[Method, dict[str, object]] = {
    "cloze": {"epochs": 15, "learning_rate": 5e-3, "freeze_at": ()}
}
"""A random encoder knows nothing of a text at the gap of a cloze: it learns to look at it first."""


def examples(each: int, split: SplitName, seed: int, cues: dict[str, str]) -> list[Example]:
    draw = np.random.default_rng((seed, each))
    found: dict[str, Example] = {}
    for label, said in cues.items():
        rows = 0
        while rows < each:
            words = [
                *draw.choice(FILLER, size=draw.integers(1, 4)),
                label,
                draw.choice(said.split()),
            ]
            text = " ".join(draw.permutation(words))
            rows += text not in found
            found.setdefault(text, Example(text, label, split))
    return list(found.values())


def sample(cues: dict[str, str] = CUES) -> Splits:
    """Three classes with words of their own, as large as a person would write by hand."""
    test = examples(20, "test", 2, cues)
    rest = [*examples(6, "validation", 1, cues), *examples(16, "train", 0, cues)]
    return prepare_data(Dataset("made", (*test, *rest)))


class CountedProgress(SilentProgress):
    """Counts signs of life, and raises as Ctrl-C does at the given one of them."""

    def __init__(self, at: int = 0) -> None:
        super().__init__()
        self.at, self.signs = at, 0

    def advance(self, count: int, **figures: float) -> None:
        self._alive()

    def log(self, **event: object) -> None:
        super().log(**event)
        self._alive()

    def _alive(self) -> None:
        self.signs += 1
        if self.signs == self.at:
            raise KeyboardInterrupt


@dataclass
class Laboratory:
    """Trains by any method on tiny things, and remembers what it trained on the sample."""

    encoder: str
    base: TextPredictor
    splits: Splits
    unlabelled: tuple[str, ...]
    known: dict[Method, tuple[FittedClassifier, int]]

    def fit(
        self,
        method: Method,
        splits: Splits | None = None,
        *,
        encoder: str | None = None,
        report: SilentProgress | None = None,
        checkpoints: Path | None = None,
        resume: bool = False,
        **fields: object,
    ) -> FittedClassifier:
        """Steps 2 to 5 as the command takes them, with what the method needs."""
        needs = METHODS[method]
        own = {n: v for n, v in SHORT.items() if "." not in n or _switched_on(method, n)}
        return fit_text_classifier(
            splits or self.splits,
            recipe=make_recipe(**{**own, **LONGER.get(method, {}), "method": method, **fields}),
            encoder=encoder or self.encoder,
            hardware=CPU,
            report=report or SilentProgress(),
            descriptions={},
            unlabelled=self.unlabelled if needs.needs_unlabelled else (),
            base=self.base if needs.needs_version else None,
            checkpoints=checkpoints,
            resume=resume,
        )

    def trained(self, method: Method) -> tuple[FittedClassifier, int]:
        """What the method makes of the sample, and how many signs of life it gave."""
        if method not in self.known:
            report = CountedProgress()
            self.known[method] = self.fit(method, report=report), report.signs
        return self.known[method]

    def probabilities(self, fitted: FittedClassifier) -> NDArray[np.float64]:
        return fitted.predictor.probabilities([e.text for e in self.splits.test])


def _switched_on(method: Method, name: str) -> bool:
    """Whether the field's group is one that the method switches on."""
    return any(
        field.partition(".")[0] == name.partition(".")[0] for field in METHODS[method].fields
    )


def make_laboratory(folder: Path) -> Laboratory:
    """A tiny encoder in the folder, and a version of two of the three classes."""
    encoder = str(tiny_encoder(folder))
    older = sample({label: CUES[label] for label in ("refund", "parcel")})
    plain = {name: value for name, value in SHORT.items() if "." not in name}
    base = fit_text_classifier(
        older,
        recipe=make_recipe(method="full", **plain),
        encoder=encoder,
        hardware=CPU,
        report=SilentProgress(),
        descriptions={},
    ).predictor
    splits = sample()
    held = {example.key for name in ("validation", "test") for example in splits[name]}  # type: ignore[index]
    more = [e.text for e in examples(30, "train", 3, CUES) if e.key not in held]
    return Laboratory(encoder, base, splits, tuple(more), {})


def attempted(work: Callable[[], FittedClassifier]) -> FittedClassifier | TriptychError:
    """What came of it; any other error is a fault."""
    try:
        return work()
    except TriptychError as error:
        return error


def predicts(predictor: TextPredictor, texts: list[str]) -> None:
    probabilities = predictor.probabilities(texts)
    assert probabilities.shape == (len(texts), len(predictor.labels))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
