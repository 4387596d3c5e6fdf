"""The loop on a tiny encoder: it learns, reproduces, resumes, stops and refuses."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from models.encoder_store import load_encoder
from models.text_classifier import ClassificationHead, TextClassifier
from shared.errors import SettingsError, TrainingError
from shared.finetuning.checkpoint import load_checkpoint
from shared.finetuning.hardware import (
    CompiledForward,
    Hardware,
    checkpoint_activations,
    choose_hardware,
)
from shared.finetuning.loop import (
    LabelledTokens,
    learning_rate_factor,
    parts_of,
    predict_logits,
    resting_layers,
    train,
)
from shared.finetuning.objectives import consistency_loss
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import Recipe, make_recipe
from tests.fakes.progress_reporters import ListeningProgress
from tests.fakes.tiny_encoders import WORDS, tiny_encoder

pytestmark = pytest.mark.unit

CPU = Hardware("cpu", "fp32", "test")


def examples(count: int = 60) -> tuple[list[str], np.ndarray]:
    draw = np.random.default_rng(0)
    texts, truth = [], []
    for number in range(count):
        label = number % 3
        cue = [["refund", "money"], ["parcel", "track"], ["invoice", "size"]][label]
        filler = draw.choice(WORDS[6:], size=draw.integers(2, 6)).tolist()
        texts.append(" ".join([*filler, cue[number % 2]]))
        truth.append(label)
    return texts, np.array(truth, dtype=np.int64)


@pytest.fixture
def encoder_folder(tmp_path: Path) -> Path:
    return tiny_encoder(tmp_path / "encoder")


def build(folder: Path) -> tuple[TextClassifier, LabelledTokens]:
    encoder = load_encoder(folder)
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(3, encoder.dimensions, generator=draw)
    texts, truth = examples()
    head = ClassificationHead(weight, torch.zeros(3), 10.0, cosine=True)
    return TextClassifier(encoder, head), LabelledTokens(encoder.tokenise(texts), truth)


def recipe(**fields: object) -> Recipe:
    defaults = {
        "epochs": 6, "batch_size": 8, "learning_rate": 2e-3, "checkpoint_seconds": 0, "dropout": 0,
        "freeze_at": (),
    }  # fmt: skip
    return make_recipe(**{**defaults, **fields})


def run(folder: Path, chosen: Recipe, **extra: object) -> tuple[np.ndarray, SilentProgress]:
    classifier, training = build(folder)
    classifier.encoder.set_dropout(chosen.dropout, chosen.attention_dropout)
    report = extra.pop("report", SilentProgress())
    train(
        classifier, training, extra.pop("validation", None), classes=3, recipe=chosen,  # type: ignore[arg-type]
        hardware=CPU, report=report, **extra,  # type: ignore[arg-type]
    )  # fmt: skip
    return predict_logits(classifier, training.texts, CPU), report  # type: ignore[return-value]


def test_it_learns(encoder_folder: Path) -> None:
    logits, report = run(encoder_folder, recipe(epochs=12))
    assert (logits.argmax(1) == examples()[1]).mean() > 0.9
    assert report.events[0]["loss"] > 3 * report.events[-1]["loss"]


def test_one_seed_gives_one_model(encoder_folder: Path) -> None:
    first, _ = run(encoder_folder, recipe(dropout=0.1))
    second, _ = run(encoder_folder, recipe(dropout=0.1))
    other, _ = run(encoder_folder, recipe(dropout=0.1, seed=2))
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("stop", [1, 20, 40])
def test_a_resumed_training_ends_like_an_unbroken_one(
    encoder_folder: Path, tmp_path: Path, stop: int
) -> None:
    chosen = recipe(dropout=0.1, freeze_at=(0.4, 0.7))
    unbroken, _ = run(encoder_folder, chosen)
    place = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        run(encoder_folder, chosen, checkpoints=place, identity="x", report=ListeningProgress(stop))
    resumed, report = run(encoder_folder, chosen, checkpoints=place, identity="x", resume=True)
    first = next(event["step"] for event in report.events if event["event"] == "step")
    assert first == max(1, stop), "the step that was under way is done again"
    np.testing.assert_allclose(resumed, unbroken, atol=1e-5)
    assert load_checkpoint(place) is None, "a finished training leaves no checkpoint"


def test_a_checkpoint_of_other_data_is_refused(encoder_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(
            encoder_folder,
            recipe(),
            checkpoints=tmp_path / "c",
            identity="x",
            report=ListeningProgress(5),
        )
    with pytest.raises(TrainingError, match="other data"):
        run(encoder_folder, recipe(), checkpoints=tmp_path / "c", identity="y", resume=True)


def test_a_damaged_checkpoint_is_refused(encoder_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "checkpoint.safetensors").write_bytes(b"half of it")
    with pytest.raises(TrainingError, match="cannot be read"):
        run(encoder_folder, recipe(), checkpoints=tmp_path / "c", identity="x", resume=True)


def test_accumulation_changes_memory_and_not_the_result(encoder_folder: Path) -> None:
    whole, _ = run(encoder_folder, recipe(epochs=2))
    parts, _ = run(encoder_folder, recipe(epochs=2, accumulation=4))
    np.testing.assert_allclose(whole, parts, atol=2e-3)


def test_long_batches_are_computed_in_parts(encoder_folder: Path) -> None:
    assert parts_of(np.full(64, 14), recipe()) == 1
    assert parts_of(np.full(64, 98), recipe()) == 4
    assert parts_of(np.full(3, 9_000), recipe()) == 3
    assert parts_of(np.full(64, 14), recipe(accumulation=8)) == 8
    whole, _ = run(encoder_folder, recipe(epochs=2))
    parts, _ = run(encoder_folder, recipe(epochs=2, part_tokens=64))
    np.testing.assert_allclose(whole, parts, atol=2e-3)


def test_training_stops_when_validation_no_longer_improves(encoder_folder: Path) -> None:
    _, training = build(encoder_folder)
    wrong = LabelledTokens(training.texts, (training.truth + 1) % 3)
    chosen = recipe(epochs=50, patience=2)
    _, report = run(encoder_folder, chosen, validation=wrong)
    epochs = [event["epoch"] for event in report.events if event["event"] == "validation"]
    assert len(epochs) < 10


def test_frozen_layers_and_embeddings_rest(encoder_folder: Path) -> None:
    classifier, training = build(encoder_folder)
    before = {name: p.detach().clone() for name, p in classifier.named_parameters()}
    train(
        classifier, training, None, classes=3, recipe=recipe(frozen_layers=1), hardware=CPU,
        report=SilentProgress(),
    )  # fmt: skip
    moved = {n for n, p in classifier.named_parameters() if not torch.equal(before[n], p)}
    assert not any("embeddings" in name or "layer.0." in name for name in moved)
    assert any("layer.1." in name for name in moved)


def test_layers_rest_from_their_share_of_the_steps_on(encoder_folder: Path) -> None:
    classifier, training = build(encoder_folder)
    chosen = recipe(epochs=2, freeze_at=(0.5,), averaging_from=0)
    seen: dict[int, torch.Tensor] = {}

    class Watch(SilentProgress):
        def log(self, **event: object) -> None:
            seen[int(event["step"])] = (
                classifier.encoder.layers[0]
                .state_dict()[  # type: ignore[call-overload]
                    "attention.self.query.weight"
                ]
                .clone()
            )

    train(classifier, training, None, classes=3, recipe=chosen, hardware=CPU, report=Watch())
    half, last = len(seen) // 2, len(seen)
    assert not torch.equal(seen[1], seen[half])
    assert torch.equal(seen[half], seen[last])


def test_class_weights_and_label_smoothing_change_the_loss(encoder_folder: Path) -> None:
    plain, _ = run(encoder_folder, recipe(epochs=1))
    smooth, _ = run(encoder_folder, recipe(epochs=1, label_smoothing=0.2))
    assert not np.allclose(plain, smooth)


def test_a_loss_that_is_no_number_ends_with_advice(encoder_folder: Path) -> None:
    with pytest.raises(TrainingError, match="lower the learning rate"):
        run(encoder_folder, recipe(learning_rate=1e6, head_learning_rate=1e30, epochs=20))


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    factors = [learning_rate_factor(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == 1.0
    assert all(a > b for a, b in pairwise(factors[10:]))
    assert 0 < factors[-1] < 0.02


def test_hardware_is_chosen_and_said() -> None:
    assert choose_hardware("cpu", "fp32").precision == "fp32"
    assert choose_hardware("cpu").reason


def test_passes_that_cannot_differ_change_nothing(encoder_folder: Path) -> None:
    once, _ = run(encoder_folder, recipe(dropout=0))
    twice, _ = run(encoder_folder, recipe(dropout=0, consistency=1.0))
    np.testing.assert_allclose(twice, once, atol=1e-3)


def test_consistency_brings_two_passes_together(encoder_folder: Path) -> None:
    def apart(weight: float) -> float:
        classifier, training = build(encoder_folder)
        chosen = recipe(dropout=0.3, consistency=weight, epochs=12)
        classifier.encoder.set_dropout(chosen.dropout, 0.0)
        train(
            classifier, training, None, classes=3, recipe=chosen, hardware=CPU,
            report=SilentProgress(),
        )  # fmt: skip
        classifier.train()
        ids, mask = training.texts.batch(np.arange(len(training.truth)))
        with torch.no_grad():
            passes = [classifier(ids, mask) for _ in range(2)]
        return float(consistency_loss(*passes))

    assert apart(4.0) < 0.8 * apart(0.001)


def test_parts_hold_both_passes(encoder_folder: Path) -> None:
    lengths = np.full(8, 16)
    assert parts_of(lengths, recipe(part_tokens=64)) == 2
    assert parts_of(lengths, recipe(part_tokens=64), passes=2) == 4


class Cramped(TextClassifier):
    """Holds so many texts at once; the first ``roomy`` calls hold any number."""

    def __init__(self, whole: TextClassifier, error: BaseException, most: int, roomy: int) -> None:
        super().__init__(whole.encoder, whole.head)
        self.error, self.most, self.roomy = error, most, roomy

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        self.roomy -= 1
        if self.training and self.roomy < 0 and len(input_ids) > self.most:
            raise self.error
        return super().forward(input_ids, attention_mask)


PROCESSOR = "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: {}: you tried to allocate 9"


@pytest.mark.parametrize(
    ("error", "roomy"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), 0),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), 3),
        (RuntimeError(PROCESSOR.format("not enough memory")), 1),
        (RuntimeError(PROCESSOR.format("can't allocate memory")), 0),
        (MemoryError(), 0),
    ],
)
def test_what_memory_does_not_hold_is_computed_in_smaller_parts(
    encoder_folder: Path, error: BaseException, roomy: int
) -> None:
    """``roomy`` is odd where the second part of a batch fails: the first one's gradient goes."""
    chosen = recipe(epochs=2, accumulation=2)
    unbroken, _ = run(encoder_folder, chosen)
    whole, training = build(encoder_folder)
    whole.encoder.set_dropout(0, 0)
    cramped, report = Cramped(whole, error, most=1, roomy=roomy), ListeningProgress()
    train(cramped, training, None, classes=3, recipe=chosen, hardware=CPU, report=report)
    np.testing.assert_allclose(predict_logits(whole, training.texts, CPU), unbroken, atol=2e-3)
    assert [line for line in report.lines if "out of memory" in line] == [
        f"out of memory: batches are computed in {finer} times as many parts from here"
        for finer in (2, 4)
    ]


@pytest.mark.parametrize(
    ("error", "most"), [(RuntimeError("shapes cannot be multiplied"), 4), (MemoryError(), 0)]
)
def test_other_errors_and_one_text_too_many_end_the_training(
    encoder_folder: Path, error: BaseException, most: int
) -> None:
    whole, training = build(encoder_folder)
    cramped = Cramped(whole, error, most=most, roomy=0)
    with pytest.raises(type(error)):
        train(
            cramped, training, None, classes=3, recipe=recipe(), hardware=CPU,
            report=SilentProgress(),
        )  # fmt: skip


def test_finer_parts_outlive_a_broken_training(encoder_folder: Path, tmp_path: Path) -> None:
    chosen = recipe(epochs=2)
    whole, training = build(encoder_folder)
    cramped = Cramped(whole, MemoryError(), most=2, roomy=0)
    given = {
        "classes": 3, "recipe": chosen, "hardware": CPU, "checkpoints": tmp_path, "identity": "x",
    }  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        train(cramped, training, None, report=ListeningProgress(5), **given)  # type: ignore[arg-type]
    report = ListeningProgress()
    train(cramped, training, None, report=report, resume=True, **given)  # type: ignore[arg-type]
    assert report.lines == [f"going on from step 4 of {2 * 8}"]


def gradients(
    folder: Path, checkpointed: bool, resting: int = 0
) -> tuple[dict[str, torch.Tensor], int]:
    """The gradient of one batch with dropout, and how often a text went through a matrix."""
    classifier, training = build(folder)
    classifier.encoder.set_dropout(0.1, 0.1)
    classifier.parameter_groups(recipe())
    checkpoint_activations(classifier, checkpointed)
    classifier.train()
    classifier.rest_layers(resting)
    calls = []
    for layer in classifier.encoder.layers:
        inner = next(part for part in layer.modules() if isinstance(part, torch.nn.Linear))
        inner.register_forward_hook(lambda *_: calls.append(1))
    ids, mask = training.texts.batch(np.arange(8))
    torch.manual_seed(3)
    logits = classifier(ids, mask)
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(training.truth[:8])).backward()
    found = {n: p.grad.clone() for n, p in classifier.named_parameters() if p.grad is not None}
    return found, len(calls)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "deberta-v2", "modernbert"])
def test_activations_computed_again_give_the_same_gradients(tmp_path: Path, family: str) -> None:
    folder = tiny_encoder(tmp_path / family, family)
    kept, once = gradients(folder, checkpointed=False)
    again, twice = gradients(folder, checkpointed=True)
    assert kept.keys() == again.keys()
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, msg=name)
    assert twice == 2 * once, "each layer is computed once more, backwards"


def test_resting_layers_are_not_computed_again(encoder_folder: Path) -> None:
    kept, once = gradients(encoder_folder, checkpointed=False, resting=1)
    again, twice = gradients(encoder_folder, checkpointed=True, resting=1)
    assert kept.keys() == again.keys()
    assert twice == once + 1, "of two layers the upper one trains"


def test_training_with_checkpointed_activations_ends_the_same(encoder_folder: Path) -> None:
    kept, _ = run(encoder_folder, recipe(epochs=2, dropout=0.1))
    again, _ = run(encoder_folder, recipe(epochs=2, dropout=0.1, gradient_checkpointing=True))
    np.testing.assert_allclose(again, kept, atol=1e-4)


def test_what_cannot_compute_again_says_so(tmp_path: Path) -> None:
    classifier, _ = build(tiny_encoder(tmp_path / "mpnet", "mpnet"))
    checkpoint_activations(classifier, False)
    with pytest.raises(SettingsError, match="MPNetModel cannot compute its activations again"):
        checkpoint_activations(classifier, True)
    with pytest.raises(SettingsError, match="needs a transformer"):
        checkpoint_activations(torch.nn.Linear(2, 2), True)


def test_on_a_processor_nothing_is_compiled_and_it_is_said(encoder_folder: Path) -> None:
    plain, _ = run(encoder_folder, recipe(epochs=1))
    report = ListeningProgress()
    asked, _ = run(encoder_folder, recipe(epochs=1, compiled=True), report=report)
    np.testing.assert_array_equal(asked, plain)
    assert any("torch.compile" in line for line in report.lines)


def test_a_compiled_call_leaves_the_module_as_it_is(encoder_folder: Path) -> None:
    classifier, training = build(encoder_folder)
    classifier.eval()
    names = set(classifier.state_dict())
    ids, mask = training.texts.batch(np.arange(4))
    report = ListeningProgress()
    compiled = CompiledForward(classifier, report.say, "eager")
    torch.testing.assert_close(compiled(ids, mask), classifier(ids, mask))
    assert not report.lines
    assert set(classifier.state_dict()) == names


def test_where_compiling_fails_training_goes_on(encoder_folder: Path) -> None:
    def failing(*_: object) -> None:
        raise ValueError("no compiler on this machine")

    classifier, training = build(encoder_folder)
    classifier.eval()
    report = ListeningProgress()
    compiled = CompiledForward(classifier, report.say, failing)
    ids, mask = training.texts.batch(np.arange(4))
    for _ in range(2):
        torch.testing.assert_close(compiled(ids, mask), classifier(ids, mask))
    (line,) = report.lines
    assert "no compiler on this machine" in line


def test_an_optimiser_that_cannot_run_here_is_refused(encoder_folder: Path) -> None:
    with pytest.raises(SettingsError, match="adamw_8bit needs a GPU"):
        run(encoder_folder, recipe(optimiser="adamw_8bit"))


def test_layers_are_unfrozen_from_the_top(encoder_folder: Path) -> None:
    """While they wait they rest; a training that is broken meanwhile goes on (no state yet)."""
    chosen = recipe(unfreeze_until=0.5)
    steps = 48
    resting = [resting_layers(step, steps, 2, chosen) for step in range(steps)]
    assert resting[0] == 2
    assert sorted(resting, reverse=True) == resting
    assert resting[12] == 1
    assert resting[24] == resting[-1] == 0
    both = recipe(unfreeze_until=0.5, freeze_at=(0.75,))
    assert [resting_layers(step, steps, 2, both) for step in (0, 12, 24, 36)] == [2, 1, 0, 1]
    classifier, training = build(encoder_folder)
    weights = {
        number: next(layer.parameters()) for number, layer in enumerate(classifier.encoder.layers)
    }
    began = {number: weight.detach().clone() for number, weight in weights.items()}
    first_moved: dict[int, int] = {}

    class Watch(SilentProgress):
        def log(self, **event: object) -> None:
            for number, weight in weights.items():
                if not torch.equal(weight, began[number]):
                    first_moved.setdefault(number, int(event["step"]))  # type: ignore[call-overload]

    train(classifier, training, None, classes=3, recipe=chosen, hardware=CPU, report=Watch())
    assert first_moved == {1: 13, 0: 25}


def test_a_training_broken_while_layers_wait_resumes(encoder_folder: Path, tmp_path: Path) -> None:
    chosen = recipe(unfreeze_until=0.5, layer_decay=0.8, dropout=0.1)
    unbroken, _ = run(encoder_folder, chosen)
    with pytest.raises(KeyboardInterrupt):
        run(
            encoder_folder, chosen, checkpoints=tmp_path, identity="x", report=ListeningProgress(15)
        )
    resumed, _ = run(encoder_folder, chosen, checkpoints=tmp_path, identity="x", resume=True)
    np.testing.assert_allclose(resumed, unbroken, atol=1e-5)
