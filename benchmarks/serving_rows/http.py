"""Classify over HTTP by 64 clients, one short message each, beside the bare runtime and peers.

    python -m benchmarks.serving_rows.http          # four minutes
    TRIPTYCH_BENCH_HOME=/a/home python -m benchmarks.serving_rows.http

The bare runtime predicts the same messages in batches of 32, nothing else on the machine. Both
peers are a plain FastAPI handler that predicts per request: with the model in torch, as most are
written, and with our own graph. All have the same threads; a run for one thread, and one for all
cores, where the client and the server's own work take from what the model had alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.serving_rows.load import load
from benchmarks.serving_rows.row import ServingRow, print_rows
from benchmarks.serving_rows.running_system import answers, free_port, wait_until
from benchmarks.serving_rows.trained_home import trained_home

CLIENTS, BATCH = 64, 32
SECONDS = float(os.environ.get("TRIPTYCH_BENCH_SECONDS", "12"))
PATH = "/v1/support/classify"
TEXTS = 1_000


class Asked(BaseModel):
    """What the plain handler takes."""

    texts: list[str]


class Answered(BaseModel):
    """What it says of one text."""

    label: str
    confidence: float


def predictor(kind: str) -> Any:
    """The support version in use: ``runtime`` as it is served, ``torch`` in torch."""
    from models.registry import ModelRegistry
    from models.runtime.serving import load_predictor
    from shared.settings import Settings

    settings = Settings()
    if kind == "torch":
        settings = settings.model_copy(update={"runtime": "torch"})
    registry = ModelRegistry(settings.models)
    return load_predictor(registry, registry.get("support"), settings)


def bare(texts: list[str]) -> dict[str, float]:
    """Messages a second, in batches of 32."""
    loaded = predictor("runtime")
    batches = cycle([texts[at : at + BATCH] for at in range(0, len(texts) - BATCH, BATCH)])
    for _ in range(5):
        loaded.predict(next(batches))
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS / 2:
        count += len(loaded.predict(next(batches)))
    return {"rate": count / (time.perf_counter() - began)}


def plain(kind: str, port: int) -> None:
    """Serve a handler that predicts per request, as FastAPI's own pages show it."""
    import uvicorn
    from fastapi import FastAPI

    loaded = predictor(kind)
    app = FastAPI()

    @app.get("/readyz")
    def ready() -> bool:
        return True

    @app.post(PATH)
    def classify(asked: Asked) -> list[Answered]:
        return [
            Answered(label=one.label, confidence=one.confidence)
            for one in loaded.predict(asked.texts)
        ]

    uvicorn.run(app, port=port, log_level="error", access_log=False)


@contextmanager
def server(command: list[str], port: int, environment: Mapping[str, str]) -> Iterator[str]:
    """A server as a process of its own, once it is ready."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(command, env=dict(environment), stderr=subprocess.DEVNULL, stdout=2)
    try:
        wait_until(lambda: answers(f"{url}/readyz"), url)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def measured(home: Path, bodies: Path, threads: int) -> dict[str, Any]:
    """All four on as many threads, one after the other."""
    environment = {
        **os.environ,
        "TRIPTYCH_HOME": str(home),
        "TRIPTYCH_SERVING_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
    }
    own = [sys.executable, "-m", "benchmarks.serving_rows.http"]

    def run_bare() -> float:
        output = subprocess.run(
            [*own, "bare", str(bodies)], env=environment, check=True, stdout=subprocess.PIPE
        ).stdout
        return float(json.loads(output.splitlines()[-1])["rate"])

    before = run_bare()
    port = free_port()
    serve = [sys.executable, "-m", "apps.cli", "serve", "--port", str(port), "--no-auth"]
    with server(serve, port, environment) as url:
        ours = load(url, PATH, bodies, clients=CLIENTS, seconds=SECONDS)
    found = {"threads": threads, "bare": max(before, run_bare()), "ours": ours}
    for kind in ("torch", "runtime"):
        port = free_port()
        with server([*own, "plain", kind, str(port)], port, environment) as url:
            found[kind] = load(url, PATH, bodies, clients=CLIENTS, seconds=SECONDS)
        assert not found[kind]["errors"], found[kind]["errors"]
    return found


def rows(found: dict[str, Any]) -> list[ServingRow]:
    """What was found on as many threads."""
    ours, rate = found["ours"], found["ours"]["rate"]
    share, spread = rate / found["bare"], ours["p99"] / ours["p50"]
    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    against = rate / found["torch"]["rate"]
    same = rate / found["runtime"]["rate"]
    return [
        ServingRow(
            f"HTTP classify, {CLIENTS} clients, {threads}",
            f"{rate:.0f} a second: {share:.0%} of the bare runtime; p50 {ours['p50']:.0f} ms, "
            f"p99 {ours['p99']:.0f} ms ({spread:.1f}x); {sum(ours['errors'].values())} errors",
            f"bare, batches of {BATCH}: {found['bare']:.0f} a second",
            ">= 70 %, no error, p99 <= 10x p50",
            share >= 0.7 and not ours["errors"] and spread <= 10,
            found,
        ),
        ServingRow(
            f"the same against a plain FastAPI handler in torch, {threads}",
            f"{against:.1f}x",
            f"{found['torch']['rate']:.0f} a second, p50 {found['torch']['p50']:.0f} ms, "
            f"p99 {found['torch']['p99']:.0f} ms",
            ">= 4x",
            against >= 4,
            {},
        ),
        ServingRow(
            f"the same against that handler on our own graph, {threads}",
            f"{same:.1f}x",
            f"{found['runtime']['rate']:.0f} a second, p50 {found['runtime']['p50']:.0f} ms, "
            f"p99 {found['runtime']['p99']:.0f} ms",
            "",
            None,
            {},
        ),
    ]


def short_messages(home: Path) -> list[str]:
    """Validation messages of the version in use, as customers write them; its graph is made."""
    from models.registry import ModelRegistry
    from models.runtime.building import prepare_version

    registry = ModelRegistry(home / "models")
    version = registry.get("support")
    prepare_version(registry, version)
    lines = (version.folder / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines][:TEXTS]


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    if sys.argv[1:2] == ["plain"]:
        plain(sys.argv[2], int(sys.argv[3]))
        return
    if sys.argv[1:2] == ["bare"]:
        lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
        print(json.dumps(bare([json.loads(line)["texts"][0] for line in lines])))
        return
    found = []
    with tempfile.TemporaryDirectory() as folder:
        home = trained_home(Path(folder) / "home")
        bodies = Path(folder) / "bodies.jsonl"
        lines = [json.dumps({"texts": [text]}) for text in short_messages(home)]
        bodies.write_text("\n".join(lines), encoding="utf-8")
        for threads in sorted({1, os.cpu_count() or 1}):
            found.append(measured(home, bodies, threads))
    print_rows([row for one in found for row in rows(one)])


if __name__ == "__main__":
    main()
