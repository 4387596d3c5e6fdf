"""Run a command as a process of its own and measure it from outside."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Measured:
    """A finished process: its JSON, wall and CPU seconds, and peak resident memory in GB."""

    output: dict[str, Any]
    wall: float
    cpu: float
    peak_gb: float


def measure(command: list[str], environment: dict[str, str] | None = None) -> Measured:
    """Run to the end; its last line (or whole output) of standard output is one JSON object."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})}
    )
    assert process.stdout is not None
    text = process.stdout.read()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Measured(
        json.loads(text[text.index("{") :]),
        time.perf_counter() - started,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss / 1e6,
    )


def triptych(*words: str) -> list[str]:
    """The command line of a Triptych command with JSON output."""
    return [sys.executable, "-m", "apps.cli", *words, "--json"]


def processor() -> str:
    """The name of this machine's processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    import torch

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0],
    }


def spread(values: Sequence[float]) -> str:
    """Mean and, of several, the sample standard deviation."""
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{statistics.mean(values):.4g} ± {statistics.stdev(values):.2g}"


def markdown(title: str, result: dict[str, Any], rows: Sequence[tuple[str, str, str]]) -> str:
    """The table of a benchmark: (what, measured, reach), and what it was measured on."""
    kind = result["machine"]
    lines = [
        f"# {title}",
        "",
        f"`{result['command']}` at revision {result['revision']} on {result['at']};"
        f" {kind['processor']}, {kind['cores']} cores,"
        f" torch {kind['torch']}; seeds {', '.join(map(str, result['seeds']))}"
        " (mean ± standard deviation).",
        "",
        "| what | measured | reach |",
        "|---|---|---|",
        *(f"| {what} | {measured} | {reach} |" for what, measured, reach in rows),
        "",
    ]
    return "\n".join(lines)
