"""docs/security.md names a test for every threat: each is there, and pytest runs it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
OF_THE_ISSUE = (
    "SSRF",
    "XML bombs",
    "path traversal in model names",
    "poisoned model folder",
    "pickle",
    "oversized",
    "stored HTML into the pages",
    "key enumeration",
    "webhook forging",
    "tenant crossing",
    "log injection",
    "secrets in logs",
)


def threats() -> list[tuple[str, list[tuple[str, str]]]]:
    """The rows of the table of threats: what threatens, and the tests that it names."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.partition("## Threats")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [(row.split("|")[1].strip(), NAMED.findall(row)) for row in rows]


def collected(file: Path) -> set[str]:
    """What pytest collects of a file and runs by itself: ``test_x``, ``TestY::test_x``."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and runs(node):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test") and runs(node):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and runs(inner):
                    found.add(f"{node.name}::{inner.name}")
        elif isinstance(node, ast.Assign) and "pytestmark" in ast.unparse(node):
            assert "soak" not in ast.unparse(node), file
            assert "skip" not in ast.unparse(node), file
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


def runs(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    marks = " ".join(ast.unparse(mark) for mark in node.decorator_list)
    return not re.search(r"\bmark\.(skip|skipif|xfail|soak)\b", marks)


def test_every_line_of_the_issue_is_a_threat() -> None:
    told = " ".join(name for name, _ in threats()).lower()
    assert [one for one in OF_THE_ISSUE if one.lower() not in told] == []
    assert len(threats()) >= 40


@pytest.mark.parametrize(("threat", "named"), threats(), ids=lambda one: str(one)[:40])
def test_its_tests_are_there_and_run(threat: str, named: list[tuple[str, str]]) -> None:
    assert named, f"no test is named for: {threat}"
    for path, name in named:
        file = ROOT / path
        assert file.is_file(), path
        assert file.name.startswith("test_"), path
        assert name in collected(file), f"{path} has no {name} that runs"


def test_what_is_skipped_or_gone_would_be_found_out(tmp_path: Path) -> None:
    file = tmp_path / "test_x.py"
    file.write_text(
        "import pytest\n@pytest.mark.skip\ndef test_a(): ...\ndef test_b(): ...\n"
        "@pytest.mark.soak\ndef test_c(): ...\nclass TestD:\n    def test_e(self): ...\n"
        "def helper(): ...\n"
    )
    assert collected(file) == {"test_b", "TestD::test_e"}
