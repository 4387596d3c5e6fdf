"""The shipped sample: complete, unique, split as its README says."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import pytest

import apps.support
from shared.records import OUT_OF_SCOPE, SPLIT_NAMES, Example, fold_text

pytestmark = pytest.mark.unit

SAMPLES = Path(apps.support.__file__).parent / "samples"
README = (SAMPLES / "README.md").read_text(encoding="utf-8")


def read_rows(name: str) -> list[dict[str, str]]:
    with (SAMPLES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    rows = read_rows("utterances.csv")
    assert set(rows[0]) == {"text", "intent", "split"}
    return [Example(row["text"], row["intent"], row["split"]) for row in rows]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, str]]:
    stored: dict[str, dict[str, str]] = json.loads(
        (SAMPLES / "answers.json").read_text(encoding="utf-8")
    )
    return stored


def pieces(text: str) -> set[str]:
    """The three-letter pieces of a text, punctuation left out."""
    letters = " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())
    return {letters[start : start + 3] for start in range(len(letters) - 2)}


def test_there_are_enough_intents_and_utterances(examples: list[Example]) -> None:
    counts = Counter(example.label for example in examples)
    out_of_scope = counts.pop(OUT_OF_SCOPE)
    assert 26 <= len(counts) <= 28
    assert min(counts.values()) >= 34
    assert out_of_scope >= 180


def test_every_intent_has_the_same_number_in_each_frozen_part(examples: list[Example]) -> None:
    parts: dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        parts[example.label][str(example.split)] += 1
    assert parts.pop(OUT_OF_SCOPE) == {"validation": 70, "gate": 20, "test": 123}
    for intent, sizes in parts.items():
        frozen = {part: sizes[part] for part in ("validation", "gate", "test")}
        assert frozen == {"validation": 6, "gate": 5, "test": 12}, intent
        assert sizes["train"] >= 20, intent


def test_no_text_comes_twice(examples: list[Example]) -> None:
    counts = Counter(fold_text(example.text) for example in examples)
    assert [text for text, count in counts.items() if count > 1] == []


def test_no_text_has_a_near_copy_in_another_part(examples: list[Example]) -> None:
    by_label: dict[str, list[tuple[Example, set[str]]]] = defaultdict(list)
    for example in examples:
        by_label[example.label].append((example, pieces(example.text)))
    near = [
        (one.text, other.text)
        for group in by_label.values()
        for (one, ones), (other, others) in combinations(group, 2)
        if one.split != other.split and len(ones & others) > 0.6 * max(len(ones | others), 1)
    ]
    assert near == []


def test_texts_are_clean_and_varied(examples: list[Example]) -> None:
    texts = [example.text for example in examples]
    assert [text for text in texts if text != text.strip()] == []
    assert [t for t in texts if re.search(r"[^\n\x20-\x7e\xa0-\U0010ffff]|\ufffd", t)] == []
    in_scope = [example.text for example in examples if example.in_scope]
    assert sum(len(text) > 300 for text in in_scope) >= 10
    assert sum(len(text.split()) <= 2 for text in in_scope) >= 28
    assert sum(text.isupper() for text in in_scope) >= 20
    assert any("\n" in text for text in in_scope)


def test_mail_addresses_belong_to_nobody(examples: list[Example]) -> None:
    addresses = [a for e in examples for a in re.findall(r"\S+@\S+\w", e.text)]
    assert addresses
    assert [a for a in addresses if not a.endswith("@example.com")] == []


def test_every_intent_has_a_title_a_description_and_an_answer(
    examples: list[Example], answers: dict[str, dict[str, str]]
) -> None:
    assert set(answers) == {example.label for example in examples if example.in_scope}
    for intent, entry in answers.items():
        assert set(entry) == {"title", "description", "answer"}, intent
        assert re.fullmatch(r"[a-z][a-z ]{5,45}", entry["title"]), intent
        assert entry["description"].endswith("."), intent
        assert 40 <= len(entry["answer"]) <= 450, intent
    for key in ("title", "description", "answer"):
        assert len({entry[key] for entry in answers.values()}) == len(answers)


def test_the_faq_is_well_formed(examples: list[Example]) -> None:
    entries = read_rows("faq.csv")
    assert len(entries) >= 40
    assert all(set(entry) == {"question", "answer"} for entry in entries)
    assert [e["question"] for e in entries if not e["question"].endswith("?")] == []
    assert [e["answer"] for e in entries if not 40 <= len(e["answer"]) <= 400] == []
    questions = {fold_text(entry["question"]) for entry in entries}
    assert len(questions) == len(entries)
    assert questions.isdisjoint(fold_text(example.text) for example in examples)


def test_the_readme_states_the_counts(examples: list[Example]) -> None:
    in_scope = Counter(str(example.split) for example in examples if example.in_scope)
    stray = Counter(str(example.split) for example in examples if not example.in_scope)
    intents = [f"{in_scope[part]:,}" for part in SPLIT_NAMES] + [f"{in_scope.total():,}"]
    out_of_scope = [f"{stray[part]}" for part in SPLIT_NAMES] + [f"{stray.total()}"]
    assert f"| all 28 intents | {' | '.join(intents)} |" in README
    assert f"| `out_of_scope` | {' | '.join(out_of_scope)} |" in README
    assert f"{len(examples):,} messages" in README
    assert f"{len(read_rows('faq.csv'))} pairs" in README
