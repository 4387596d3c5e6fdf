"""Unknown words are read as the nearest known ones; known words, names and codes as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.encoder_store import load_encoder, save_encoder
from models.explanation import explain
from models.registry import ModelRegistry
from models.runtime import serving
from models.runtime.building import prepare_version
from models.runtime.files import digest_of_version, read_runtime
from models.runtime.serving import load_predictor
from models.runtime.session import OnnxReader
from models.spelling import FILE, MOST_WORDS, Spelling, load_spelling, whole_words
from models.text_classifier import TextPredictor
from models.version_content import write_examples
from shared.errors import EncoderError, ManifestMismatch
from shared.finetuning.augmentation import BRACKETED
from shared.finetuning.methods import Method
from shared.settings import Settings
from tests.fakes.method_laboratory import Laboratory, make_laboratory, sample

pytestmark = pytest.mark.unit

TEXTS = ["Where is my parcel", "the parcel isn't here", "I paid by card twice", "cart or cards"]
VOCABULARY = {
    "[CLS]": 0, "from": 1, "form": 2, "house": 3, "horse": 4, "scam": 5, "##med": 6, "the": 7,
    "##rcel": 8, "monday": 9, "!": 10, "1st": 11,
}  # fmt: skip
KNOWN = Spelling.learnt(TEXTS, VOCABULARY)


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return make_laboratory(tmp_path_factory.mktemp("laboratory"))


@pytest.mark.parametrize(("written", "read"), [
    ("parcle", "parcel"), ("parcl", "parcel"), ("parrcel", "parcel"), ("patcel", "parcel"),
    ("Whre is my prcel?", "Where is my parcel?"), ("(aprcel)", "(parcel)"),
    ("huose and hosue", "house and house"), ("Parecl", "Parcel"),
])  # fmt: skip
def test_one_error_is_undone(written: str, read: str) -> None:
    assert KNOWN.read(written) == read


@pytest.mark.parametrize("text", [
    *TEXTS, "form from house", "scammed scams", "housing", "isnt", "[ prcel ] beats [huose",
    "prcel's", "a.prcel", "prcel@mail", "x/prcel", "prcel-like", "prcel2", "PRCEL", "pRcel",
    "buy from Hause", "qwertyuiop", "prceell", "", "  ", "🙂 ...",
])  # fmt: skip
def test_what_is_known_marked_a_code_or_far_from_all_stays(text: str) -> None:
    assert KNOWN.read(text) == text


def test_a_name_is_read_as_a_word_of_the_texts_alone() -> None:
    assert KNOWN.read("buy from Parcl") == "buy from Parcel"
    assert KNOWN.read("Huose") == "House", "a capital that begins a sentence is no name"
    assert KNOWN.read("so. Huose") == "so. House"


def test_own_words_go_before_general_ones_and_frequent_before_rare() -> None:
    assert Spelling({"cart": 1}, {"card": 0, "care": 1}).read("carr") == "cart"
    assert Spelling({"cart": 1, "card": 2}).read("carr") == "card"
    assert Spelling({"reset": 1}, {"care": 1, "cars": 0}).read("carx") == "cars"
    assert Spelling({"the": 9, "hen": 1}, {"then": 0}).read("thn") == "the"


@given(st.text(max_size=80))
def test_only_words_change_and_brackets_stand(text: str) -> None:
    read = KNOWN.read(text)
    assert len(read.split()) == len(text.split())
    assert BRACKETED.findall(read) == BRACKETED.findall(text)
    assert bool(read.strip()) == bool(text.strip())


def test_a_text_of_any_length_is_read_in_bounded_time() -> None:
    read = KNOWN.read("prcel " * 50_000).split()
    assert read[:MOST_WORDS] == ["parcel"] * MOST_WORDS
    assert set(read[MOST_WORDS:]) == {"prcel"}
    assert KNOWN.read("prcel" * 20_000) == "prcel" * 20_000


def test_an_alphabet_without_end_is_no_alphabet() -> None:
    wide = Spelling({"parcel": 1, "".join(chr(0x4E00 + n) for n in range(80)): 1})
    assert wide.read("patcel") == "patcel"
    assert wide.read("parrcel") == "parcel", "what needs no letter is found"


def test_whole_words_of_each_kind_of_vocabulary() -> None:
    assert whole_words(VOCABULARY) == {
        "from": 1, "form": 2, "house": 3, "horse": 4, "scam": 5, "the": 7, "monday": 9,
    }  # fmt: skip
    assert whole_words({"\u0120Card": 3, "\u0120card": 5, "ing": 4}) == {"card": 3}
    assert whole_words({"\u2581card": 3, "ing": 4, "<s>": 0}) == {"card": 3}


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    KNOWN.save(tmp_path)
    assert load_spelling(tmp_path, lambda: VOCABULARY) == KNOWN
    assert load_spelling(tmp_path / "none", lambda: VOCABULARY) is None
    for broken in ("{", "{}", '{"words": 1}', '{"words": {"a": "x"}}'):
        (tmp_path / FILE).write_text(broken)
        with pytest.raises(EncoderError, match="cannot be read"):
            load_spelling(tmp_path, lambda: VOCABULARY)


def test_it_needs_no_torch() -> None:
    code = "import sys, models.spelling; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("method", ["full", "lora", "continual"])
def test_a_version_reads_mistyped_words_as_what_it_was_trained_on(
    method: Method, laboratory: Laboratory, tmp_path: Path
) -> None:
    fitted = laboratory.fit(method, spelling=True, epochs=1)
    predictor = fitted.predictor
    right, wrong = ["where is my refund please"], ["whre is my refudn plese"]
    exact = predictor.probabilities(right)
    np.testing.assert_array_equal(predictor.probabilities(wrong), exact)
    registry = ModelRegistry(tmp_path)
    version = registry.add(
        "support", card={"labels": list(predictor.labels)}, write=predictor.save,
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    loaded = TextPredictor.load(version)
    np.testing.assert_allclose(loaded.probabilities(wrong), exact, atol=1e-6)
    again = load_encoder(version.folder / "encoder")
    assert again.read(wrong[0]) == right[0], "an encoder that trains on keeps it"


def test_without_it_nothing_is_read_otherwise(laboratory: Laboratory, tmp_path: Path) -> None:
    predictor = laboratory.trained("full")[0].predictor
    assert predictor.encoder.read("refudn") == "refudn"
    save_encoder(predictor.encoder, tmp_path)
    assert not (tmp_path / FILE).exists()


def test_words_of_a_later_training_join(laboratory: Laboratory) -> None:
    encoder = load_encoder(laboratory.encoder)
    encoder.learn_spelling(["gromet"])
    encoder.learn_spelling(["refund"])
    assert [encoder.read(word) for word in ("grommet", "refudn")] == ["gromet", "refund"]


def test_graphs_and_explanations_read_alike(laboratory: Laboratory, tmp_path: Path) -> None:
    predictor = laboratory.fit("head", spelling=True).predictor
    registry = ModelRegistry(tmp_path / "models")

    def write(folder: Path) -> None:
        predictor.save(folder)
        write_examples(folder / "validation.jsonl", sample().validation)

    now = datetime(2026, 1, 1, tzinfo=UTC)
    version = registry.add("support", card={"labels": list(predictor.labels)}, write=write, now=now)
    prepare_version(registry, version)
    home = Settings(home=tmp_path, runtime="fp32", device="cpu", serving_threads=1)
    served = load_predictor(registry, version, home)
    assert isinstance(served.reader, OnnxReader)
    text = "need my refudn now"
    exact = predictor.probabilities(["need my refund now"])
    np.testing.assert_allclose(served.probabilities([text]), exact, atol=1e-4)
    words = [part.token for part in explain(predictor, text, "refund", steps=2)]
    assert words == ["need", "my", "refund", "now"]
    assert [part.token for part in serving.explain(served, text, "refund")] == words
    runtime = read_runtime(registry.root, digest_of_version(version))
    assert runtime is not None
    path = runtime.folder / FILE
    path.write_text(json.dumps({"words": {"refudn": 1}}))
    with pytest.raises(ManifestMismatch):
        runtime.check(FILE)


def test_it_learns_from_training_texts_alone(laboratory: Laboratory) -> None:
    spelling = laboratory.fit("head", spelling=True).predictor.encoder.spelling
    assert spelling is not None
    train = [example.text for example in laboratory.splits.train]
    assert spelling.words == Spelling.learnt(train, {}).words
