"""Real processes on one registry: one winner at a time, and a history without a gap."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from models.registry import ModelRegistry, ModelVersion
from shared.evaluation.gate import GateReport

pytestmark = pytest.mark.integration

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
BETTER = GateReport(True, "not worse", 100, 0.9, 0.8, 0.1, 0.05, 0.15)
ROOT = Path(__file__).parents[2]

PRELUDE = """
import json, sys, time
from datetime import UTC, datetime
from pathlib import Path
from models.registry import ModelRegistry
from shared.errors import PromotionRefused
from shared.evaluation.gate import GateReport
registry = ModelRegistry(Path(sys.argv[1]))
gate = GateReport(True, "not worse", 100, 0.9, 0.8, 0.1, 0.05, 0.15)
now = datetime(2026, 3, 4, 13, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
"""

PROMOTE_ONCE = """
try:
    registry.promote("support", sys.argv[2], gate=gate, author=sys.argv[2], now=now,
                     compared_with=sys.argv[3])
    print("won")
except PromotionRefused as error:
    print("refused", error.message)
"""

PROMOTE_ALL = """
for version in json.loads(sys.argv[2]):
    registry.promote("support", version, gate=gate, author=version, now=now)
"""

PROMOTE_FOR_EVER = """
while True:
    for version in json.loads(sys.argv[2]):
        registry.promote("support", version, gate=gate, author=version, now=now)
        print("done", flush=True)
"""

ADD_SAME = """
def write(folder):
    for number in range(20):
        (folder / f"part{number}").write_text("x" * 10_000)
        time.sleep(0.001)
print(registry.add("support", card={}, write=write, now=now).name)
"""


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def add(registry: ModelRegistry, number: int) -> ModelVersion:
    return registry.add(
        "support",
        card={"number": number},
        write=lambda folder: (folder / "weights").write_text(f"{number}") and None,
        now=NOON + timedelta(seconds=number),
    )


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def together(processes: list[subprocess.Popen[str]]) -> list[str]:
    """Let all of them go at once; what each printed. Every one must end well."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return outputs


def assert_unbroken(registry: ModelRegistry) -> None:
    """Each promotion took the place of the one before it, and the last is in use."""
    history = registry.history("support")
    assert history[0].previous is None
    for before, after in pairwise(history):
        assert after.previous == before.version
    assert registry.in_use("support") == history[-1].version
    registry.verify(registry.get("support"))


def test_of_two_that_were_gated_against_the_same_version_one_wins(
    registry: ModelRegistry,
) -> None:
    first, *candidates = (add(registry, number) for number in range(4))
    registry.promote("support", first, gate=None, author="ann", now=NOON)
    outputs = together(
        [
            start(PROMOTE_ONCE, str(registry.root), candidate.name, first.name)
            for candidate in candidates
        ]
    )
    winners = [
        candidate.name
        for candidate, output in zip(candidates, outputs, strict=True)
        if output.startswith("won")
    ]
    assert len(winners) == 1
    assert sum("gate it again" in output for output in outputs) == 2
    assert registry.in_use("support") == winners[0]
    assert [line.version for line in registry.history("support")] == [first.name, winners[0]]


def test_no_promotion_is_lost_when_many_write_at_once(registry: ModelRegistry) -> None:
    names = [add(registry, number).name for number in range(24)]
    shares = [names[start::3] for start in range(3)]
    together([start(PROMOTE_ALL, str(registry.root), json.dumps(share)) for share in shares])
    history = registry.history("support")
    assert sorted(line.version for line in history) == sorted(names)
    assert_unbroken(registry)


def test_a_process_killed_while_promoting_leaves_a_whole_state(registry: ModelRegistry) -> None:
    names = [add(registry, number).name for number in range(2)]
    for delay in (0.0, 0.003, 0.007, 0.011):
        process = start(PROMOTE_FOR_EVER, str(registry.root), json.dumps(names))
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        for _ in range(5):
            assert process.stdout.readline() == "done\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
        assert_unbroken(registry)
    third = add(registry, 3)
    registry.promote("support", third, gate=BETTER, author="after", now=NOON)
    assert registry.in_use("support") == third.name
    assert_unbroken(registry)


def test_the_same_version_made_twice_at_once_is_one_whole_version(
    registry: ModelRegistry,
) -> None:
    names = together([start(ADD_SAME, str(registry.root)) for _ in range(3)])
    assert len(set(names)) == 1
    (version,) = registry.versions("support")
    registry.verify(version)
    assert sorted(path.name for path in (registry.root / "support").iterdir()) == ["versions"]


def test_a_process_killed_while_adding_leaves_no_version(registry: ModelRegistry) -> None:
    process = start(ADD_SAME.replace("time.sleep(0.001)", "time.sleep(5)"), str(registry.root))
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not list(registry.root.glob("support/.incoming-*/part0")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert registry.versions("support") == []
    assert add(registry, 1) == registry.versions("support")[0]
