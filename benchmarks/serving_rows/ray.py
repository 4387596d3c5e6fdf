"""Bulk embedding on Ray: two workers beside one, and beside sentence-transformers' own pool.

    python -m benchmarks.serving_rows.ray [--texts N] [--repeats N]

Each worker has one thread. Seconds run from the first part's beginning to the last part's end, so
that starting Ray and loading models is left out on both sides, as it is for the peer's pool. Runs
of one and two workers alternate, and the best of each counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.serving_rows.row import ServingRow, print_rows
from models.scale.bulk import BulkOutcome, run_bulk
from models.scale.cluster import ray_cluster
from models.scale.embedding import Embedding
from models.scale.parts import cut
from shared.finetuning.progress import SilentProgress
from shared.settings import Settings

REACH = 1.6
ROWS_PER_PART = 512


def texts_of(settings: Settings, count: int) -> list[str]:
    """Banking77's training messages, again and again until there are so many."""
    from data_connectors.unlabelled import load_texts

    found = load_texts("banking77", settings=settings).texts
    return [found[number % len(found)] for number in range(count)]


def ours(texts: list[str], settings: Settings, workers: int) -> BulkOutcome:
    """Texts embedded by so many workers of one thread."""
    with tempfile.TemporaryDirectory() as folder:
        rows = ((line, text, "") for line, text in enumerate(texts))
        parts = cut(rows, Path(folder), {}, rows_per_part=ROWS_PER_PART)
        return run_bulk(
            parts, Embedding(settings), engine="ray", workers=workers, report=SilentProgress()
        )


def peer(texts: list[str], workers: int) -> float:
    """Texts a second of sentence-transformers' pool of processes, its own models loaded before."""
    from sentence_transformers import SentenceTransformer

    from models.encoder_files import packaged_folder

    model = SentenceTransformer(str(packaged_folder()), device="cpu")
    pool = model.start_multi_process_pool(["cpu"] * workers)
    try:
        model.encode(texts[: 64 * workers], pool=pool, chunk_size=64)
        began = time.monotonic()
        model.encode(texts, pool=pool, chunk_size=ROWS_PER_PART, batch_size=32)
        return len(texts) / (time.monotonic() - began)
    finally:
        model.stop_multi_process_pool(pool)


def peak_of(process: psutil.Process) -> float:
    """The most memory that this process held, MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure and print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=2)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"
    settings = Settings()
    texts = texts_of(settings, asked.texts)
    rates: dict[int, list[float]] = {1: [], 2: []}
    with ray_cluster(2):
        ours(texts[:1024], settings, 2)  # the graph of the encoder is made where it is missing
        for _ in range(asked.repeats):
            for workers in rates:
                rates[workers].append(ours(texts, settings, workers).per_second)
        driver = peak_of(psutil.Process())
    one, two = max(rates[1]), max(rates[2])
    beside = {workers: peer(texts[: asked.texts // 2], workers) for workers in (1, 2)}
    details: dict[str, Any] = {
        "texts": len(texts), "rows_per_part": ROWS_PER_PART, "texts_per_second": rates,
        "peer_texts_per_second": beside, "driver_peak_mb": round(driver, 1),
        "cores": os.cpu_count(), "runtime": settings.runtime,
    }  # fmt: skip
    print_rows(
        [
            ServingRow(
                "Ray: 2 workers against 1 on bulk embedding, one thread each",
                f"{two / one:.2f}x ({two:,.0f} against {one:,.0f} texts a second)",
                f"sentence-transformers' pool {beside[2] / beside[1]:.2f}x "
                f"({beside[2]:,.0f} against {beside[1]:,.0f})",
                f">= {REACH}x",
                two / one >= REACH,
                details,
            )
        ]
    )


if __name__ == "__main__":
    main()
