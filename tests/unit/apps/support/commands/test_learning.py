from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apps.support.commands.learning import add_intent, intent_request, read_lines, retrain
from shared.errors import DataError, UnreadableFile

pytestmark = pytest.mark.unit


class NamedBytes(io.BytesIO):
    name = "gifts.txt"


def run(home: Path, *arguments: str, typed: str = "") -> Result:
    command = {"retrain": retrain, "add-intent": add_intent}[arguments[0]]
    environment = {"TRIPTYCH_HOME": str(home), "TRIPTYCH_DATABASE_URL": None}
    return CliRunner().invoke(command, arguments[1:], env=environment, input=typed)


def test_an_example_stands_on_each_line_that_is_not_blank() -> None:
    stream = NamedBytes("\ufeffgift card?\r\n\n  un chèque cadeau \n".encode())
    assert read_lines(stream) == ["gift card?", "un chèque cadeau"]


def test_a_file_that_is_no_text_is_refused() -> None:
    with pytest.raises(UnreadableFile, match=r"gifts\.txt is no text in UTF-8"):
        read_lines(NamedBytes(b"\xff\xfe\x00"))


@pytest.mark.parametrize(
    ("name", "examples", "told"),
    [("Gift Card", ["a", "b", "c"], "name"), ("gift", ["a", "b"], "examples")],
)
def test_what_is_wrong_with_a_request_is_named(name: str, examples: list[str], told: str) -> None:
    with pytest.raises(DataError, match=f"^{told}: "):
        intent_request(name, "Yes.", examples, "Ada")


def test_an_intent_needs_a_version_in_use(tmp_path: Path) -> None:
    arguments = ("add-intent", "gift_card", "--answer", "Yes.", "--examples", "-")
    result = run(tmp_path, *arguments, typed="a gift\na voucher\na present\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no version is in use yet" in result.stderr


def test_too_few_examples_end_in_one_line(tmp_path: Path) -> None:
    arguments = ("add-intent", "gift_card", "--answer", "Yes.", "--examples", "-")
    result = run(tmp_path, *arguments, typed="a gift\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: examples: ")


def test_the_first_training_needs_data(tmp_path: Path) -> None:
    result = run(tmp_path, "retrain", "--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--data" in result.stderr


def test_columns_without_data_are_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path, "retrain", "--label-column", "kind")
    assert result.exit_code == 2
    assert "--data" in result.stderr
