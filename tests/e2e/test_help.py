"""The command answers at once: nothing heavy is imported for its help."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.e2e

HEAVY = (
    "torch", "transformers", "sentence_transformers", "faiss", "sklearn", "pandas", "streamlit",
    "fastapi", "sqlalchemy", "numpy",
)  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [(), ("train",), ("support",), ("evaluate",), ("db",)],
    ids=lambda w: " ".join(w) or "triptych",
)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    code = (
        "import sys\nfrom apps.cli import main\n"
        f"try:\n    main([*{list(words)!r}, '--help'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "print('IMPORTED', *sorted(m for m in sys.modules if '.' not in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = done.stdout.split("IMPORTED")[1].split()
    assert "click" in imported
    assert not set(HEAVY) & set(imported)


def test_help_answers_in_half_a_second() -> None:
    fastest = 9.0
    for _ in range(5):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "apps.cli", "--help"], capture_output=True, text=True, check=True
        )
        fastest = min(fastest, time.perf_counter() - started)
    assert "fine-tuning core" in done.stdout
    assert fastest < 0.5
