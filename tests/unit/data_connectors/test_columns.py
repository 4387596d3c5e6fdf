import pytest

from data_connectors.columns import Columns, find_columns
from shared.errors import UnknownColumn

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["text", "intent", "split"], Columns("text", "intent", "split")),
        (["id", "Utterance ", "CATEGORY"], Columns("Utterance ", "CATEGORY")),
        (["sentiment", "sentence"], Columns("sentence", "sentiment")),
        (["query", "class", "message"], Columns("message", "class")),
        (["label", "intent", "text"], Columns("text", "label")),
    ],
)
def test_usual_names_are_found_whatever_their_case(names: list[str], expected: Columns) -> None:
    assert find_columns(names, where="here") == expected


def test_named_columns_win_over_usual_names() -> None:
    names = ["text", "label", "body", "Team", "split", "part"]
    found = find_columns(names, where="here", text="body", label="team", split="part")
    assert found == Columns("body", "Team", "part")


def test_an_exact_name_wins_over_another_case() -> None:
    assert find_columns(["Text", "text", "label"], where="here", text="Text").text == "Text"


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["text", "label"], {"text": "body"}),
        (["text", "label"], {"label": "team"}),
        (["text", "label"], {"split": "part"}),
        (["verbatim", "label"], {}),
        (["text", "number"], {}),
        ([], {}),
        (["text", "text", "label"], {}),
        (["TEXT", "Text", "label"], {"text": "text"}),
    ],
)
def test_a_column_that_is_not_there_lists_those_that_are(
    names: list[str], wanted: dict[str, str]
) -> None:
    with pytest.raises(UnknownColumn) as caught:
        find_columns(names, where="data.csv", **wanted)
    assert caught.value.details["columns"] == names
    assert "data.csv" in caught.value.message
    for name in names:
        assert repr(name) in caught.value.message
