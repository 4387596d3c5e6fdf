"""A cloze and a soft prompt around texts: what is read, what trains, what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForMaskedLM

from models.encoder import TextEncoder
from models.encoder_store import load_encoder, save_encoder
from models.explanation import explain
from models.masked_language import new_head, pretrained_head, word_embeddings
from models.methods.prompts import adapt_cloze, adapt_soft_prompt
from models.methods.task import FittingTask
from models.methods.ways import train_model
from models.prompt import CONFIGURATION, Cloze, SoftPrompt, save_prompt
from models.text_classifier import TextClassifier, forward
from shared.errors import EncoderError
from shared.finetuning.methods import Method
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe, with_method
from tests.fakes.method_laboratory import CPU, Laboratory, make_laboratory, sample
from tests.fakes.tiny_encoders import FAMILIES, tiny_encoder

pytestmark = pytest.mark.unit

TEXTS = ["where is my order", "refund", "", "want my money back it is late now please"]
LONG = "refund my order please " * 200
TEMPLATES = ("{text} it is {mask} now", "hi {mask} {text}", "the {mask} card {text} thanks")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def masked_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder whose files hold a masked-language head."""
    return with_head(tiny_encoder(tmp_path_factory.mktemp("masked")))


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return make_laboratory(tmp_path_factory.mktemp("laboratory"))


@pytest.fixture
def drawn() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        yield


def with_head(folder: Path, tied: bool = True) -> Path:
    torch.manual_seed(1)
    configuration = AutoConfig.from_pretrained(folder, tie_word_embeddings=tied)
    model = AutoModelForMaskedLM.from_config(configuration)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return folder


def task_of(method: Method, **fields: object) -> FittingTask:
    given = {"epochs": 1, "batch_size": 16, "checkpoint_seconds": 0, **fields}
    recipe = with_method(make_recipe(method=method, **given), method)
    return FittingTask(sample(), recipe, CPU, SilentProgress())


def with_cloze(folder: Path, template: str = TEMPLATES[0]) -> TextEncoder:
    encoder = load_encoder(folder)
    encoder.attach(Cloze.of(template, encoder.tokenizer, encoder.name, new_head(encoder.backbone)))
    return encoder.eval()


def with_vectors(folder: Path, count: int = 5) -> TextEncoder:
    encoder = load_encoder(folder)
    encoder.attach(SoftPrompt(torch.randn(count, word_embeddings(encoder.backbone).shape[1])))
    return encoder.eval()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_cloze_reads_what_the_whole_sentence_says_at_its_gap(
    family: str, template: str, tmp_path: Path
) -> None:
    """The state of the text as one string, by the backbone alone, for texts that are whole."""
    encoder = with_cloze(tiny_encoder(tmp_path, family), template)
    assert isinstance(encoder.prompt, Cloze)
    filled = [template.format(text=text, mask="[MASK]") for text in TEXTS]
    tokens = encoder.tokenizer(filled, padding=True, return_tensors="pt")
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    hidden = encoder.backbone(input_ids=ids, attention_mask=mask).last_hidden_state
    at_gap = encoder.prompt.head(hidden[ids == encoder.tokenizer.mask_token_id])
    expected = torch.nn.functional.normalize(at_gap, dim=-1).detach().numpy()
    np.testing.assert_allclose(encoder.embed(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_soft_prompt_of_word_embeddings_reads_as_the_words_do(
    family: str, tmp_path: Path
) -> None:
    encoder = load_encoder(tiny_encoder(tmp_path, family)).eval()
    words = encoder.tokenizer("thanks card", add_special_tokens=False)["input_ids"]
    tokens = encoder.tokenizer(
        [f"thanks card {text}" for text in TEXTS], padding=True, return_tensors="pt"
    )
    mask = tokens["attention_mask"].clone()
    hidden = encoder.backbone(**tokens.to("cpu")).last_hidden_state
    mask[:, 1:3] = 0
    mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(mean, dim=-1).detach().numpy()
    encoder.attach(SoftPrompt(word_embeddings(encoder.backbone)[words]))
    np.testing.assert_allclose(encoder.embed(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_long_text_is_cut_so_that_the_gap_stays(folder: Path, template: str) -> None:
    encoder = with_cloze(folder, template)
    assert encoder.prompt is not None
    longest = int(encoder.tokenise([LONG]).lengths.max())
    assert longest == encoder.max_length == 66 - encoder.prompt.length
    cut = " ".join(LONG.split()[: longest - 2])
    vectors = encoder.embed([LONG, cut, "refund"])
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert not np.allclose(vectors[0], vectors[2], atol=1e-3)


def test_a_prompt_leaves_room_for_a_text(folder: Path) -> None:
    encoder = with_vectors(folder, 50)
    assert encoder.max_length == 16
    assert encoder.embed([LONG]).shape == (1, 32)
    with pytest.raises(EncoderError, match="leaves no room"):
        with_vectors(folder, 63)


def test_a_text_is_read_alike_alone_and_beside_longer_ones(folder: Path) -> None:
    for encoder in (with_cloze(folder), with_vectors(folder)):
        alone = np.concatenate([encoder.embed([text]) for text in TEXTS])
        np.testing.assert_allclose(encoder.embed(TEXTS), alone, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_head_of_an_encoders_files_is_found(family: str, tmp_path: Path) -> None:
    folder = tiny_encoder(tmp_path, family)
    assert pretrained_head(folder) is None, "an encoder alone has none"
    with_head(folder)
    found = pretrained_head(folder)
    assert found is not None
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    encoder = load_encoder(folder)
    tokens = encoder.tokenizer(TEXTS[:1], return_tensors="pt")
    hidden = model.base_model(**tokens).last_hidden_state
    ours = found.head(hidden) @ model.get_output_embeddings().weight.T
    theirs = model(**tokens).logits
    # But for the bias of each word, that is what the model says.
    torch.testing.assert_close(
        ours[0, 1] - ours[0, 2], theirs[0, 1] - theirs[0, 2], atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("family", ["bert", "roberta"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_head_that_is_used_is_the_checkpoints(family: str, tied: bool, tmp_path: Path) -> None:
    """Bit for bit, by the names that the families' own files have."""
    folder = with_head(tiny_encoder(tmp_path, family), tied)
    stored = load_file(folder / "model.safetensors")
    first, norm, output = {
        "bert": (
            "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
            "cls.predictions.decoder",
        ),
        "roberta": ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder"),
    }[family]  # fmt: skip
    words = stored[f"{family}.embeddings.word_embeddings.weight"]
    assert (f"{output}.weight" in stored) is not tied
    task = task_of("cloze", **{"prompt.words": 1.0})
    classifier = adapt_cloze(load_encoder(folder), task)
    assert isinstance(classifier.encoder.prompt, Cloze)
    head = classifier.encoder.prompt.head
    for ours, theirs in ((head.transform, first), (head.norm, norm)):
        for part in ("weight", "bias"):
            assert torch.equal(getattr(ours, part), stored[f"{theirs}.{part}"])
    vectors = words if tied else stored[f"{output}.weight"]
    assert tied or not torch.allclose(vectors, words)
    for number, label in enumerate(task.labels):
        word = classifier.encoder.tokenizer.convert_tokens_to_ids(label)
        away = torch.nn.functional.normalize(vectors[word] - vectors.mean(dim=0), dim=0)
        torch.testing.assert_close(classifier.head.weight[number].detach(), away)


def test_half_a_head_is_none(tmp_path: Path) -> None:
    folder = with_head(tiny_encoder(tmp_path), tied=False)
    stored = load_file(folder / "model.safetensors")
    del stored["cls.predictions.decoder.weight"]
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    assert pretrained_head(folder) is None


def test_before_any_training_classes_are_what_the_head_says_of_their_words(
    masked_folder: Path,
) -> None:
    task = task_of("cloze", **{"prompt.words": 1.0})
    classifier = adapt_cloze(load_encoder(masked_folder), task).eval()
    vectors, logits = forward(classifier, TEXTS)
    embeddings = word_embeddings(classifier.encoder.backbone).detach().numpy()
    for number, label in enumerate(task.labels):
        word = classifier.encoder.tokenizer.convert_tokens_to_ids(label)
        away = embeddings[word] - embeddings.mean(axis=0)
        expected = vectors @ away / np.linalg.norm(away) * classifier.head.scale
        np.testing.assert_allclose(logits[:, number], expected, rtol=1e-4, atol=1e-4)


def test_what_the_gap_says_of_every_text_is_taken_away(folder: Path) -> None:
    task = task_of("cloze", **{"prompt.pretraining": 0.0})
    encoder = adapt_cloze(load_encoder(folder), task).encoder.eval()
    assert isinstance(encoder.prompt, Cloze)
    texts = [example.text for example in task.training]
    ids, mask = encoder.tokenise(texts).batch(np.arange(len(texts)))
    states = encoder.prompt.states(encoder.backbone, ids, mask)
    torch.testing.assert_close(states.mean(dim=0), torch.zeros(32), atol=1e-5, rtol=0)
    vectors = encoder.embed(texts)
    assert np.abs((vectors @ vectors.T).mean()) < 0.2


def test_a_head_is_trained_where_none_is_and_only_there(folder: Path, masked_folder: Path) -> None:
    def said(place: Path, epochs: float) -> list[str]:
        task = task_of("cloze", **{"prompt.pretraining": epochs})
        heard: list[str] = []
        task.report.say = heard.append  # type: ignore[method-assign]
        classifier = adapt_cloze(load_encoder(place), task)
        assert isinstance(classifier.encoder.prompt, Cloze)
        return [line for line in heard if line.startswith("masked-language training")]

    assert said(folder, 1.0)
    assert not said(folder, 0.0)
    assert not said(masked_folder, 1.0)


def test_only_the_vectors_and_the_head_of_a_soft_prompt_train(folder: Path) -> None:
    task = task_of("soft_prompt", **{"prompt.tokens": 4})
    classifier = adapt_soft_prompt(load_encoder(folder), task)
    before = {name: p.detach().clone() for name, p in classifier.named_parameters()}
    words = word_embeddings(classifier.encoder.backbone)
    first = before["encoder.prompt.vectors"]
    assert first.shape == (4, 32)
    assert all((words == vector).all(dim=1).any() for vector in first), "it starts as words"
    after = dict(train_model(classifier, task).classifier.named_parameters())
    moved = {name for name, old in before.items() if not torch.equal(old, after[name])}
    assert moved == {"encoder.prompt.vectors", "head.weight"}


@pytest.mark.parametrize("masked", [False, True])
def test_what_is_saved_is_read_again(masked: bool, tmp_path: Path, masked_folder: Path,
                                     folder: Path, drawn: None) -> None:  # fmt: skip
    encoder = load_encoder(masked_folder if masked else folder)
    found = pretrained_head(masked_folder) if masked else None
    assert (found is not None) is masked
    head = new_head(encoder.backbone) if found is None else found.head
    head.norm.eps = 1e-3
    encoder.attach(Cloze.of("{text} it is {mask}", encoder.tokenizer, "x", head))
    for number, before in enumerate((encoder, with_vectors(folder))):
        save_encoder(before, tmp_path / str(number))
        after = load_encoder(tmp_path / str(number), max_length=before.max_length)
        assert after.max_length == before.max_length
        assert after.dimensions == before.dimensions
        np.testing.assert_allclose(after.embed(TEXTS), before.eval().embed(TEXTS), atol=1e-6)


def test_a_broken_prompt_is_refused(tmp_path: Path, folder: Path) -> None:
    encoder = with_vectors(folder)
    save_encoder(encoder, tmp_path)
    (tmp_path / CONFIGURATION).write_text('{"kind": "cloze", "template": "{text} {mask}"}')
    with pytest.raises(EncoderError, match="cannot be read"):
        load_encoder(tmp_path)
    assert encoder.prompt is not None
    save_prompt(encoder.prompt, tmp_path)
    assert isinstance(load_encoder(tmp_path).prompt, SoftPrompt)


def test_a_tokenizer_without_a_mask_has_no_cloze(folder: Path) -> None:
    encoder = load_encoder(folder)
    encoder.tokenizer.mask_token = None
    with pytest.raises(EncoderError, match="no mask token"):
        adapt_cloze(encoder, task_of("cloze"))


def test_an_encoder_that_takes_no_embeddings_is_refused(folder: Path) -> None:
    class Closed(torch.nn.Module):
        """A family whose ``forward`` knows token ids alone."""

        def __init__(self, inner: torch.nn.Module) -> None:
            super().__init__()
            self.inner, self.config = inner, inner.config

        def get_input_embeddings(self) -> torch.nn.Module:
            return self.inner.get_input_embeddings()  # type: ignore[operator,no-any-return]

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            raise AssertionError

    encoder = load_encoder(folder)
    encoder.backbone = Closed(encoder.backbone)
    with pytest.raises(EncoderError, match="takes no embeddings"):
        adapt_soft_prompt(encoder, task_of("soft_prompt"))


@pytest.mark.parametrize("method", ["cloze", "soft_prompt"])
def test_words_of_the_text_alone_are_explained(method: Method, laboratory: Laboratory) -> None:
    predictor = laboratory.trained(method)[0].predictor
    text = "thanks refund money"
    parts = explain(predictor, text, "refund")
    assert [part.token for part in parts] == text.split()
    encoder = predictor.encoder
    ids, mask = encoder.tokenise([text]).batch(np.arange(1))
    hidden = ids.clone()
    hidden[:, 1:-1] = encoder.tokenizer.mask_token_id
    place = predictor.labels.index("refund")
    gone = predictor.logits(ids, mask)[0, place] - predictor.logits(hidden, mask)[0, place]
    assert sum(part.weight for part in parts) == pytest.approx(float(gone), abs=0.05)


@pytest.mark.parametrize("method", ["cloze", "soft_prompt"])
@pytest.mark.parametrize("fields", [{"adversarial.kind": "fgm"}, {"augmentation.share": 0.5}])
def test_a_prompt_trains_beside_other_methods(
    method: Method, fields: dict[str, object], laboratory: Laboratory
) -> None:
    fitted = laboratory.fit(method, epochs=1, **fields)
    probabilities = laboratory.probabilities(fitted)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)


def test_a_seed_draws_the_first_vectors(folder: Path) -> None:
    def first(seed: int) -> TextClassifier:
        torch.rand(seed)  # whatever was drawn before
        return adapt_soft_prompt(load_encoder(folder), task_of("soft_prompt", seed=seed))

    one, same, other = (first(seed).encoder.prompt for seed in (1, 1, 2))
    assert isinstance(one, SoftPrompt)
    assert isinstance(same, SoftPrompt)
    assert isinstance(other, SoftPrompt)
    torch.testing.assert_close(one.vectors, same.vectors)
    assert not torch.equal(one.vectors, other.vectors)
