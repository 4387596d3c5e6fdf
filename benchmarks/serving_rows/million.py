"""A million texts embedded on Ray by two workers: all of them there, and memory that stays.

    python -m benchmarks.serving_rows.million [--texts N] [--folder FOLDER]

The command is the one that people use, ``triptych embed FILE --engine ray --workers 2``, run as a
process. Memory is resident, read each second: of the command itself, and of Ray's workers
together. It takes half an hour or more. Broken off and run again with the same folder, it computes
what is missing; then memory is that of the last run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet

from benchmarks.measure import triptych
from benchmarks.serving_rows.ray import texts_of
from benchmarks.serving_rows.resident import ResidentMemory
from benchmarks.serving_rows.row import ServingRow, print_rows
from shared.settings import Settings

WORKERS = 2
MOST_GROWTH = 0.03


def write_source(path: Path, settings: Settings, count: int) -> None:
    """One message a line; left alone where it is there, so that work can go on."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = (" ".join(text.split()) for text in texts_of(settings, count))
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")


def ray_workers(command: psutil.Process) -> list[psutil.Process]:
    """The processes that hold a model: Ray names them by what they do."""
    found = []
    try:
        for process in command.children(recursive=True):
            if "PartWorker" in " ".join(process.cmdline()):
                found.append(process)
    except psutil.NoSuchProcess:
        return []
    return found


def embedded(source: Path, out: Path) -> tuple[dict[str, Any], ResidentMemory, ResidentMemory]:
    """What the command tells, and the memory of itself and of the workers."""
    words = ("embed", str(source), "--out", str(out), "--engine", "ray", "--workers", str(WORKERS))
    command = subprocess.Popen(triptych(*words), stdout=subprocess.PIPE, text=True)
    process = psutil.Process(command.pid)
    own = ResidentMemory(lambda: [process])
    workers = ResidentMemory(lambda: ray_workers(process))
    told, _ = command.communicate()
    own.close()
    workers.close()
    if command.returncode:
        raise SystemExit(f"triptych embed ended with {command.returncode}")
    return json.loads(told[told.index("{") :]), own, workers


def lines_found(out: Path) -> tuple[int, int]:
    """How many lines have a vector of length one, and how many vectors there are."""
    lines: set[int] = set()
    vectors = 0
    for path in sorted(out.glob("part-*.parquet")):
        part = pyarrow.parquet.read_table(path)
        column = part.column("vector").combine_chunks()
        found = column.flatten().to_numpy().reshape(len(part), -1)
        unit = np.isclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-3)
        lines.update(part.column("line").to_numpy()[unit].tolist())
        vectors += len(part)
    return len(lines), vectors


def row_of(texts: int, folder: Path) -> ServingRow:
    """Embed, look at what was written, and say it."""
    write_source(folder / "texts.txt", Settings(), texts)
    began = time.monotonic()
    told, own, workers = embedded(folder / "texts.txt", folder / "vectors")
    minutes = (time.monotonic() - began) / 60
    lines, vectors = lines_found(folder / "vectors")
    grown, before, after = workers.growth()
    command_grown, command_before, command_after = own.growth()
    details = {
        **told, "lines": lines, "vectors": vectors, "minutes": round(minutes, 1),
        "command MB at most": round(own.most(), 1),
        "command MB before and after": [round(command_before, 1), round(command_after, 1)],
        "workers MB at most": round(workers.most(), 1),
        "workers MB each minute": [round(size / 2**20, 1) for _, size in workers.readings[::60]],
    }  # fmt: skip
    return ServingRow(
        f"Ray: {texts:,} texts embedded by {WORKERS} workers, one thread each",
        f"{lines:,} of {texts:,} there, each once; {told['computed_now']:,} in {minutes:.0f} min; "
        f"the command {own.most():.0f} MB at most ({command_grown:+.1%}), the workers together "
        f"{before:.0f} to {after:.0f} MB ({grown:+.1%})",
        "",
        "all there, memory flat within 3 % after warm-up",
        lines == vectors == texts and max(grown, command_grown) <= MOST_GROWTH,
        details,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="kept, so that the work can go on")
    asked = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"
    if asked.folder:
        row = row_of(asked.texts, asked.folder)
    else:
        with tempfile.TemporaryDirectory(prefix="triptych-million-") as folder:
            row = row_of(asked.texts, Path(folder))
    print_rows([row])


if __name__ == "__main__":
    main()
