"""Answers and FAQ from files, and the FAQ searched by meaning."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from apps.support.conversation.knowledge import (
    AnswerBook,
    Faq,
    FaqEntry,
    book_for,
    read_answers,
    read_faq,
)
from shared.errors import UnknownColumn, UnreadableFile
from tests.fakes.predictor import KeywordPredictor

pytestmark = pytest.mark.unit


def test_answers_may_be_plain_or_have_a_title(tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_text(json.dumps({"a": " Yes. ", "b": {"answer": "No.", "title": "about b"}}))
    answers, titles = read_answers(path)
    assert answers == {"a": "Yes.", "b": "No."}
    assert titles == {"b": "about b"}


@pytest.mark.parametrize("text", ["[]", "{", '{"a": ""}', '{"a": {"title": "t"}}', '{"a": 3}'])
def test_answers_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "answers.json"
    path.write_text(text)
    with pytest.raises(UnreadableFile):
        read_answers(path)


def test_a_faq_keeps_its_order_and_leaves_blank_rows_out(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text('\ufeffquestion,answer\nQ1,"two\nlines"\n,none\nQ2,A2\nQ3\n', encoding="utf-8")
    assert read_faq(path) == (FaqEntry("Q1", "two\nlines"), FaqEntry("Q2", "A2"))


def test_a_faq_without_its_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text("q,a\n1,2\n")
    with pytest.raises(UnknownColumn, match="it has q, a"):
        read_faq(path)
    path.write_bytes(b"question,answer\n\xff\xfe,x\n")
    with pytest.raises(UnreadableFile):
        read_faq(path)


def test_the_nearest_question_is_found_by_its_meaning() -> None:
    embed = KeywordPredictor().embed
    entries = (FaqEntry("where track", "There."), FaqEntry("money refund", "Soon."))
    faq = Faq(entries, embed)
    assert len(faq) == 2
    hit, other = faq.nearest(embed(["refund", "track"]))
    assert hit is not None
    assert other is not None
    assert (hit.question, hit.answer) == ("money refund", "Soon.")
    expected = float(embed(["refund"])[0] @ embed(["money refund"])[0])
    assert hit.similarity == pytest.approx(expected, abs=1e-6)
    assert other.answer == "There."


def test_an_empty_faq_finds_nothing() -> None:
    faq = Faq((), KeywordPredictor().embed)
    assert faq.nearest(np.eye(2, dtype=np.float32)) == [None, None]


def test_an_intent_without_a_title_is_read_as_words() -> None:
    assert AnswerBook().title("track_order") == "track order"
    assert AnswerBook(titles={"track_order": "tracking"}).title("track_order") == "tracking"


def test_the_shipped_answers_are_for_the_shipped_sample_only(tmp_path: Path) -> None:
    assert book_for({"data": {"name": "my.csv", "source": "my.csv"}}, tmp_path) == AnswerBook()
    assert book_for({}, tmp_path) == AnswerBook()
    for source in ("sample:support", {"source": "sample:support"}):
        shipped = book_for({"data": {"source": source}}, tmp_path)
        assert shipped.answers.keys() == shipped.titles.keys()
        assert len(shipped.faq) == 50


def test_the_users_own_files_come_first(tmp_path: Path) -> None:
    folder = tmp_path / "support"
    folder.mkdir()
    (folder / "answers.json").write_text('{"refund": "Ours."}')
    (folder / "faq.csv").write_text("question,answer\nQ,A\n")
    for source in ("my.csv", "sample:support"):
        book = book_for({"data": {"source": source}}, tmp_path)
        assert book.answers == {"refund": "Ours."}
        assert book.faq == (FaqEntry("Q", "A"),)
