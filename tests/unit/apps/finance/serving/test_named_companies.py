from __future__ import annotations

import pytest

from apps.finance.entities.companies import Company
from apps.finance.entities.linking import CompanyLinker
from apps.finance.records import StoryText
from apps.finance.serving.named_companies import NamingLinker, spans_of
from apps.finance.serving.service import marked_sentence

pytestmark = pytest.mark.unit

KNOWN = CompanyLinker([Company(id="globex", name="Globex Corporation")])


def found(text: str, *names: str) -> dict[str, list[str]]:
    story = StoryText(text)
    return {
        one.company.id: [text[start:end] for start, end in one.spans]
        for one in NamingLinker(KNOWN, names).link(story)
    }


def test_names_link_as_whole_words_whatever_their_case() -> None:
    assert found("Acme and ACME but no Acmesque", "acme") == {"asked:1": ["Acme", "ACME"]}
    assert found("nothing of it", "acme") == {}


def test_a_place_of_a_known_company_is_not_given_away() -> None:
    text = "Globex Corporation sues Globex"
    assert found(text, "Globex")["globex"] == ["Globex Corporation"]
    assert found(text, "Globex")["asked:1"] == ["Globex"]


def test_the_longer_name_has_the_place() -> None:
    assert found("Acme Widgets rests, Acme works", "Acme", "Acme Widgets") == {
        "asked:2": ["Acme Widgets"],
        "asked:1": ["Acme"],
    }


def test_a_name_of_signs_alone_is_none() -> None:
    assert found("what ... now", "...") == {}
    assert spans_of("a.b", "a.b axb") == ((0, 3),)


def test_the_sentence_of_the_first_span_is_marked() -> None:
    whole = "All is well. Acme sinks [again], says Acme. Acme rests."
    spans = spans_of("Acme", whole)
    assert marked_sentence(whole, spans) == "[ Acme ] sinks (again), says [ Acme ]."
