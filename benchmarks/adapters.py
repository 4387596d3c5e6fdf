"""Low-rank adapters on the default encoder: bytes of one, memory of several on one base, speed.

    python -m benchmarks.adapters --versions 10 --rank 16

Prints one JSON object. Versions are trained for a step each on made-up texts: their shape is
that of any other, and what they take does not depend on what they learned. Memory is measured in
a process of its own that serves: resident bytes before and after loading, and the bytes of weights
with shared memory counted once.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.encoder import TextEncoder
from models.encoder_files import packaged_folder
from models.encoder_store import SharedBases, load_encoder
from models.registry import ModelRegistry
from models.text_classifier import TextPredictor
from shared.finetuning.progress import SilentProgress
from shared.finetuning.recipe import make_recipe
from shared.records import Dataset, Example

CLASSES = 77
APPS = ("support", "finance")
TEXTS = [f"please tell me about number {number} of my orders, it is late" for number in range(64)]


def make_versions(root: Path, versions: int, rank: int) -> None:
    """Versions of two apps by turns, each with a seed of its own."""
    from models.text_training import train_text_classifier

    registry = ModelRegistry(root)
    for number in range(versions):
        examples = [
            Example(f"class {label} number {row} seed {number}", f"class {label}")
            for label in range(CLASSES)
            for row in range(5)
        ]
        train_text_classifier(
            Dataset(f"made up {number}", tuple(examples)),
            app=APPS[number % 2],
            recipe=make_recipe(
                method="lora", epochs=0.2, warmup=0.0, seed=number, **{"lora.rank": rank}
            ),
            encoder=None,
            registry=registry,
            now=datetime(2026, 1, 1, 0, number, tzinfo=UTC),
            report=SilentProgress(),
        )


def resident() -> int:
    """Bytes of this process in memory (Linux)."""
    gc.collect()
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def weight_bytes(predictors: list[TextPredictor]) -> int:
    """Bytes of all weights, each memory counted once."""
    found = {}
    for predictor in predictors:
        for tensor in predictor.classifier.state_dict().values():
            memory = tensor.untyped_storage()
            found[memory.data_ptr()] = memory.nbytes()
    return sum(found.values())


def load_libraries() -> None:
    """Import and run what any served encoder needs beside its weights, with a small one."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    packaged = packaged_folder()
    config = AutoConfig.from_pretrained(packaged)
    config.hidden_size, config.intermediate_size, config.num_hidden_layers = 24, 24, 1
    with tempfile.TemporaryDirectory() as folder:
        AutoModel.from_config(config).save_pretrained(folder)
        AutoTokenizer.from_pretrained(packaged).save_pretrained(folder)
        load_encoder(folder).embed(TEXTS)


def serve(root: Path) -> dict[str, Any]:
    """Load all versions into this process, and measure."""
    registry = ModelRegistry(root)
    versions = [version for app in APPS for version in registry.versions(app)]
    load_libraries()
    before = resident()
    predictors = [TextPredictor.load(version) for version in versions]
    loaded = resident() - before
    probabilities = [predictor.probabilities(TEXTS) for predictor in predictors]
    served = resident() - before
    alone = []
    for version, shared in zip(versions, probabilities, strict=True):
        encoder = SharedBases().load(version.folder / "encoder", max_length=128)
        own = TextPredictor.load(version)
        own.classifier.encoder = own.encoder = encoder
        alone.append(float(np.abs(own.probabilities(TEXTS) - shared).max()))
    merged = load_encoder(versions[0].folder / "encoder", max_length=128).eval()
    return {
        "versions": len(predictors),
        "weights_mb": weight_bytes(predictors) / 1e6,
        "loaded_mb": loaded / 1e6,
        "served_mb": served / 1e6,
        "largest_change_of_a_probability": max(alone),
        "peft_imported": "peft" in sys.modules,
        "texts_per_second": _speed(predictors[0].encoder),
        "texts_per_second_merged": _speed(merged),
    }


def _speed(encoder: TextEncoder) -> float:
    encoder.embed(TEXTS)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        encoder.embed(TEXTS)
        seconds.append(time.perf_counter() - started)
    return len(TEXTS) / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--root", type=Path, help="serve these versions (used by itself)")
    chosen = parser.parse_args()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if chosen.root is not None:
        print(json.dumps(serve(chosen.root)))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_versions(root, chosen.versions, chosen.rank)
        version = ModelRegistry(root).versions(APPS[0])[0]
        adapters = sum(path.stat().st_size for path in (version.folder / "encoder").iterdir())
        measured = subprocess.run(
            [sys.executable, "-m", "benchmarks.adapters", "--root", folder],
            check=True,
            capture_output=True,
            text=True,
        )
        result = {
            "rank": chosen.rank,
            "threads": torch.get_num_threads(),
            "adapter_mb": adapters / 1e6,
            "card": version.card["adapters"],
            **json.loads(measured.stdout.splitlines()[-1]),
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
