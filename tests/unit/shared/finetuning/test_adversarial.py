"""Changes of embeddings: of the right size, upwards, repeatable, and they make answers smooth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder_store import load_encoder
from models.text_classifier import ClassificationHead, TextClassifier
from shared.errors import SettingsError, TrainingError
from shared.finetuning.adversarial import AdversarialSettings, make_adversarial
from shared.finetuning.hardware import Hardware
from shared.finetuning.loop import LabelledTokens, predict_logits, train
from shared.finetuning.objectives import Batch, Supervised, consistency_loss
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import Recipe, make_recipe
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import FAMILIES, WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")
KINDS = ("fgm", "smart")


class Linear(torch.nn.Module):
    """Frozen word embeddings, their masked sum, two classes: gradients can be written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(4, 2)
        self.embedding.weight.data = torch.tensor([[9.0, 9.0], [1.0, 0.0], [0.0, 2.0], [2.0, 1.0]])
        self.embedding.weight.requires_grad_(False)
        self.weight = torch.nn.Parameter(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        self.calls = 0

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        self.calls += len(ids)
        return (self.embedding(ids) * mask[..., None]).sum(1) @ self.weight.T


@pytest.fixture
def batch() -> Batch:
    ids, mask = torch.tensor([[1, 2], [3, 0]]), torch.tensor([[1, 1], [1, 0]])
    return Batch(ids, mask, torch.tensor([0, 1]), np.arange(2), 0, 10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


def build(folder: Path) -> tuple[TextClassifier, LabelledTokens]:
    encoder = load_encoder(folder)
    draw = np.random.default_rng(0)
    cues = [["refund", "money"], ["parcel", "track"], ["invoice", "size"]]
    truth = np.arange(60) % 3
    texts = [
        " ".join([*draw.choice(WORDS[6:], size=draw.integers(2, 6)), cues[label][row % 2]])
        for row, label in enumerate(truth)
    ]
    weight = torch.randn(3, encoder.dimensions, generator=torch.Generator().manual_seed(1))
    head = ClassificationHead(weight, torch.zeros(3), 10.0, cosine=True)
    return TextClassifier(encoder, head), LabelledTokens(encoder.tokenise(texts), truth)


def recipe(**fields: object) -> Recipe:
    defaults = {
        "epochs": 4, "batch_size": 16, "learning_rate": 2e-3, "checkpoint_seconds": 0,
        "dropout": 0, "freeze_at": (),
    }  # fmt: skip
    return make_recipe(**{**defaults, **fields})


def run(folder: Path, chosen: Recipe, hardware: Hardware = CPU, **extra: object) -> np.ndarray:
    classifier, training = build(folder)
    classifier.encoder.set_dropout(chosen.dropout, 0.0)
    plain = Supervised.of(chosen, training.truth, 3)
    objective = make_adversarial(plain, chosen.adversarial, classifier.encoder.embedding)
    train(
        classifier, training, None, classes=3, recipe=chosen, hardware=hardware,
        report=extra.pop("report", SilentProgress()), objective=objective, **extra,  # type: ignore[arg-type]
    )  # fmt: skip
    assert not classifier.encoder.embedding._forward_hooks, "no hook is left behind"
    return predict_logits(classifier, training.texts, CPU)


def test_fgm_adds_the_loss_one_step_up_the_gradient(batch: Batch) -> None:
    module, radius = Linear(), 0.1
    objective = make_adversarial(
        Supervised(), AdversarialSettings(kind="fgm", radius=radius, weight=0.7), module.embedding
    )
    found = float(objective(module, batch).detach())

    def loss(sums: np.ndarray) -> float:
        right = sums[np.arange(2), [0, 1]]
        return float(np.mean(np.log(np.exp(sums).sum(1)) - right))

    sums = np.array([[1.0, 2.0], [2.0, 1.0]])
    # The gradient of cross-entropy by a token is softmax minus truth, the same for each token.
    up = np.exp(sums) / np.exp(sums).sum(1, keepdims=True) - np.eye(2)
    unit = up / np.linalg.norm(up, axis=1, keepdims=True)
    # Two tokens of length 1 and 2 share the change of the first text; padding takes none.
    sizes = radius * np.array([np.sqrt(5.0), np.sqrt(5.0)])
    tokens = np.array([2, 1])
    moved = sums + unit * (sizes * np.sqrt(tokens))[:, None]
    assert found == pytest.approx(loss(sums) + 0.7 * loss(moved), rel=1e-5)
    assert loss(moved) > loss(sums)


def test_smart_climbs_further_than_chance(batch: Batch) -> None:
    module, radius = Linear(), 0.2
    torch.manual_seed(3)
    objective = make_adversarial(
        Supervised(), AdversarialSettings(kind="smart", radius=radius, weight=1.0), module.embedding
    )
    plain = float(Supervised()(module, batch).detach())
    apart = [float(objective(module, batch).detach()) - plain for _ in range(5)]
    clean = module(batch.ids, batch.mask).detach()
    by_chance = []
    for _ in range(200):
        drawn = torch.randn(2, 2, 2) * batch.mask[..., None]
        drawn = radius * np.sqrt(5) * drawn / drawn.norm(dim=(1, 2), keepdim=True)
        moved = (module.embedding(batch.ids) + drawn) * batch.mask[..., None]
        by_chance.append(float(consistency_loss(clean, moved.sum(1) @ module.weight.T.detach())))
    assert min(apart) > np.mean(by_chance)
    assert min(apart) > 0.8 * max(by_chance), "up the gradient is nearly the worst there is"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("consistency", [0.0, 1.0])
def test_passes_are_counted(kind: str, consistency: float, batch: Batch) -> None:
    module = Linear()
    settings = AdversarialSettings(kind=kind)  # type: ignore[arg-type]
    objective = make_adversarial(Supervised(consistency=consistency), settings, module.embedding)
    loss = objective(module, batch)
    assert module.calls == objective.passes * len(batch.ids)
    loss.backward()
    assert module.weight.grad is not None
    assert module.embedding.weight.grad is None, "frozen word embeddings stay frozen"


def test_none_changes_nothing(batch: Batch) -> None:
    plain = Supervised()
    assert make_adversarial(plain, AdversarialSettings(), torch.nn.Embedding(2, 2)) is plain


@pytest.mark.parametrize("kind", KINDS)
def test_without_weight_the_gradient_is_the_plain_one(kind: str, batch: Batch) -> None:
    module = Linear()
    Supervised()(module, batch).backward()
    expected, module.weight.grad = module.weight.grad, None
    settings = AdversarialSettings(kind=kind, weight=0.0)  # type: ignore[arg-type]
    make_adversarial(Supervised(), settings, module.embedding)(module, batch).backward()
    assert module.weight.grad is not None
    assert expected is not None
    np.testing.assert_allclose(module.weight.grad, expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_leaves_no_hook_behind(kind: str, batch: Batch) -> None:
    module = Linear()

    def breaks(ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        module(ids, mask)
        raise MemoryError

    settings = AdversarialSettings(kind=kind)  # type: ignore[arg-type]
    for objective in (
        make_adversarial(Supervised(), settings, module.embedding),
        make_adversarial(_Second(), settings, module.embedding),
    ):
        with pytest.raises(MemoryError):
            objective(breaks, batch)
        assert not module.embedding._forward_hooks


class _Second(Supervised):
    """Its loss is fine once: the error comes when the changed texts are read."""

    def __call__(self, module: object, batch: Batch) -> torch.Tensor:
        return Supervised()(module, batch)  # type: ignore[arg-type]


def test_a_model_that_bypasses_its_embedding_is_refused(batch: Batch) -> None:
    module = Linear()
    objective = make_adversarial(
        Supervised(), AdversarialSettings(kind="fgm"), torch.nn.Embedding(4, 2)
    )
    with pytest.raises(TrainingError, match="embedding module"):
        objective(module, batch)


@pytest.mark.parametrize("radius", [0, -1, 11])
def test_a_radius_that_makes_no_sense_is_refused(radius: float) -> None:
    with pytest.raises(SettingsError, match=r"adversarial\.radius"):
        make_recipe(**{"adversarial.radius": radius})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_family_has_embeddings_to_change(family: str, kind: str, tmp_path: Path) -> None:
    classifier, training = build(tiny_encoder(tmp_path, family))
    classifier.parameter_groups(recipe())
    ids, mask = training.texts.batch(np.arange(6))
    part = Batch(ids, mask, torch.from_numpy(training.truth[:6]), np.arange(6), 0, 1)
    settings = AdversarialSettings(kind=kind, radius=0.3)  # type: ignore[arg-type]
    classifier.eval()
    loss = make_adversarial(Supervised(), settings, classifier.encoder.embedding)(classifier, part)
    plain = Supervised()(classifier, part)
    loss.backward()
    assert float(loss.detach()) > float(plain.detach()) * (1.5 if kind == "fgm" else 1.0)
    moved = [p for p in classifier.encoder.layers.parameters() if p.grad is not None]
    assert all(torch.isfinite(p.grad).all() for p in moved if p.grad is not None)
    assert moved


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_model(kind: str, folder: Path) -> None:
    chosen = recipe(dropout=0.1, adversarial={"kind": kind})
    first, second = run(folder, chosen), run(folder, chosen)
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, run(folder, recipe(dropout=0.1)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_training_ends_like_an_unbroken_one(
    kind: str, folder: Path, tmp_path: Path
) -> None:
    chosen = recipe(dropout=0.1, consistency=0.5, adversarial={"kind": kind})
    unbroken = run(folder, chosen)
    kept = {"checkpoints": tmp_path / "c", "identity": "x"}
    with pytest.raises(KeyboardInterrupt):
        run(folder, chosen, report=ListeningProgress(7), **kept)
    np.testing.assert_allclose(run(folder, chosen, resume=True, **kept), unbroken, atol=1e-5)


def test_parts_change_memory_and_not_the_result(folder: Path) -> None:
    chosen = {"epochs": 2, "adversarial": {"kind": "fgm", "radius": 0.1}}
    whole = run(folder, recipe(**chosen))
    np.testing.assert_allclose(run(folder, recipe(accumulation=4, **chosen)), whole, atol=5e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_in_half_precision_and_in_parts(kind: str, folder: Path) -> None:
    chosen = recipe(
        epochs=16, batch_size=8, accumulation=2, adversarial={"kind": kind, "radius": 0.1}
    )
    logits = run(folder, chosen, Hardware("cpu", "bf16", "test"))
    assert np.isfinite(logits).all()
    assert (logits.argmax(1) == np.arange(60) % 3).mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_answers_become_smooth_around_the_embeddings(kind: str, folder: Path) -> None:
    """The worst change of the same length moves the answers less than after plain training."""

    def worst(chosen: Recipe) -> float:
        classifier, training = build(folder)
        embedding = classifier.encoder.embedding
        objective = make_adversarial(Supervised(), chosen.adversarial, embedding)
        train(
            classifier, training, None, classes=3, recipe=chosen, hardware=CPU,
            report=SilentProgress(), objective=objective,
        )  # fmt: skip
        classifier.eval()
        ids, mask = training.texts.batch(np.arange(60))
        part = Batch(ids, mask, torch.from_numpy(training.truth), np.arange(60), 0, 1)
        judge = AdversarialSettings(kind="fgm", radius=0.3, weight=1.0)
        both = float(make_adversarial(Supervised(), judge, embedding)(classifier, part).detach())
        return both - 2 * float(Supervised()(classifier, part).detach())

    plain = worst(recipe(epochs=10))
    held = worst(recipe(epochs=10, adversarial={"kind": kind, "radius": 0.3}))
    assert held < 0.8 * plain


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
