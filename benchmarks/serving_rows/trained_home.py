"""A home with models in use, for what is measured of serving; made once, then copied.

With ``TRIPTYCH_BENCH_HOME`` the home of that folder is copied. Else a head is trained on the
packaged encoder for each app's shipped sample: what a request costs is the same as after full
fine-tuning, since the encoder is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TRAININGS: tuple[Sequence[str], ...] = (
    ("train", "support", "--data", "sample:support", "--method", "head"),
    ("train", "finance", "--data", "sample:finance", "--method", "head"),
)

WHOLE: tuple[Sequence[str], ...] = (
    ("train", "support", "--data", "banking77"),
    ("models", "runtime", "--app", "support"),
    ("train", "finance", "--data", "sample:finance"),
    ("models", "runtime", "--app", "finance"),
)
"""What the whole table is measured on: an intent classifier of full quality."""

RECOMMENDER = """
from datetime import UTC, datetime
from apps.recommend.demonstration import demonstrate
from models.registry import ModelRegistry
from shared.command_line import database, say
from shared.settings import Settings
settings = Settings()
with database(settings) as engine:
    registry = ModelRegistry(settings.models)
    demonstrate(settings, engine, registry, seed=1, now=datetime.now(UTC), say=say)
"""
"""The shipped catalogue with generated behaviour, fitted: a small recommender."""


def trained_home(
    folder: Path, trainings: Sequence[Sequence[str]] = TRAININGS, *, recommender: bool = False
) -> Path:
    """Make ``folder`` a home of its own, models in use; a fitted recommender if it is wanted."""
    given = os.environ.get("TRIPTYCH_BENCH_HOME")
    if given:
        shutil.copytree(given, folder, dirs_exist_ok=True)
        _make_graphs(folder)
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for arguments in trainings:
        subprocess.run(
            [sys.executable, "-m", "apps.cli", *arguments],
            env={**os.environ, "TRIPTYCH_HOME": str(folder)},
            check=True,
            stdout=sys.stderr,
        )
    if recommender:
        _run(RECOMMENDER, folder)
    _make_graphs(folder)
    return folder


def _make_graphs(folder: Path) -> None:
    """The graphs of the encoder that apps share: else each process's first start makes them."""
    _run(
        "from models.runtime.serving import shared_encoder;"
        "from shared.settings import Settings;"
        "shared_encoder(Settings())",
        folder,
    )


def _run(code: str, home: Path) -> None:
    environment = {**os.environ, "TRIPTYCH_HOME": str(home)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=sys.stderr)
