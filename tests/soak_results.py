"""Keeps what the slow tests found: ``pytest -m soak -p tests.soak_results`` (``make soak``).

``benchmarks/results/soak.json`` holds the last result of each test with its date, revision,
command and machine, and ``soak.md`` is the same as a table; ``TRIPTYCH_SOAK_RESULTS`` names
another folder. They are written after each test, so that a run that is killed leaves what it had.
A test that was not run keeps what it had before; one that is no more goes with the next run of
all.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.measure import RESULTS, processor

LONGEST_REASON = 300


class SoakResults:
    """Collects the reports of one run, and writes them beside those of earlier ones."""

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self._json, self._markdown = folder / "soak.json", folder / "soak.md"
        self._run = dict(run)
        self._seconds: dict[str, float] = {}
        self._new: dict[str, dict[str, Any]] = {}
        self._all: set[str] | None = None

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Remember which tests there are, where nobody chose among them."""
        options = session.config.option
        chosen = options.keyword or options.markexpr != "soak" or options.lf
        if not chosen and session.config.args_source is not pytest.Config.ArgsSource.ARGS:
            self._all = {item.nodeid for item in session.items}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a phase of a test; what failed first is what counts."""
        spent = self._seconds.get(report.nodeid, 0.0) + report.duration
        self._seconds[report.nodeid] = spent
        known = self._new.get(report.nodeid)
        if known is None or (known["outcome"] == "passed" and report.outcome != "passed"):
            known = {"outcome": report.outcome, "reason": reason_of(report), **self._run}
        self._new[report.nodeid] = {**known, "seconds": round(spent, 1)}
        if report.when == "teardown":
            self.write()

    def write(self) -> None:
        """Both files, with what is kept from before."""
        kept = json.loads(self._json.read_text(encoding="utf-8")) if self._json.is_file() else {}
        told = {**kept, **self._new}
        if self._all is not None:
            told = {name: result for name, result in told.items() if name in self._all}
        self._json.parent.mkdir(parents=True, exist_ok=True)
        ordered = dict(sorted(told.items()))
        self._json.write_text(json.dumps(ordered, indent=2) + "\n", encoding="utf-8")
        self._markdown.write_text(markdown(ordered), encoding="utf-8")


def reason_of(report: pytest.TestReport) -> str:
    """Why a test was skipped or failed, in one line; nothing where it passed."""
    if report.passed:
        return ""
    if isinstance(report.longrepr, tuple):
        told = report.longrepr[2].removeprefix("Skipped: ")
    else:
        crash = getattr(report.longrepr, "reprcrash", None)
        told = crash.message if crash else str(report.longrepr)
    return " ".join(told.split())[:LONGEST_REASON]


def markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The table, and the runs that it comes from."""
    outcomes = [one["outcome"] for one in results.values()]
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in ("passed", "failed", "skipped"))
    lines = [
        "# The slow tests, as they last ran",
        "",
        f"Made by `make soak`: {counts}.",
        "",
        "| test | outcome | seconds | run |",
        "|---|---|---|---|",
    ]
    runs: dict[tuple[str, ...], int] = {}
    for name, one in results.items():
        here = one["machine"]
        run = (
            one["command"],
            one["at"],
            one["revision"],
            f"{here['processor']}, {here['cores']} cores",
        )
        number = runs.setdefault(run, len(runs) + 1)
        outcome = "passed" if one["outcome"] == "passed" else f"**{one['outcome']}**"
        reason = f": {one['reason']}".replace("|", "\\|") if one["reason"] else ""
        where, test = name.split("::", 1)
        told = f"{test.replace('_', ' ')} (`{where}`)"
        lines.append(f"| {told} | {outcome}{reason} | {one['seconds']:.0f} | {number} |")
    lines.append("")
    for (command, at, revision, where), number in runs.items():
        lines.append(f"{number}. `{command}`, {at[:16]} UTC, revision {revision}, {where}")
    return "\n".join(lines) + "\n"


def revision() -> str:
    """The commit that is checked out, marked where files differ from it; "unknown" without git."""
    here = Path(__file__).parent
    try:
        told = [
            subprocess.run(["git", *words], cwd=here, capture_output=True, text=True, check=True)
            for words in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "-uno"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told[0].stdout.strip() + (" with changes" if told[1].stdout.strip() else "")


def pytest_configure(config: pytest.Config) -> None:
    """Collect from here on."""
    words = [word for word in sys.argv[1:] if word]
    run = {
        "command": shlex.join(["python", "-m", "pytest", *words]),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision(),
        "machine": {
            "processor": processor(),
            "cores": os.cpu_count(),
            "load_before": os.getloadavg()[0],
        },
    }
    folder = Path(os.environ.get("TRIPTYCH_SOAK_RESULTS") or RESULTS)
    config.pluginmanager.register(SoakResults(folder, run), "soak-results")
