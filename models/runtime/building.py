"""Making a version's graphs and judging them: what promotion does before a version is in use.

``python -m models.runtime.building`` makes the graphs of a pre-trained encoder in a process of its
own, so that the one that serves never imports torch.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from models.registry import ModelRegistry, ModelVersion
from models.runtime.files import (
    KINDS,
    EncoderRuntime,
    Verdict,
    digest_of_folder,
    digest_of_version,
    make_runtime,
    read_runtime,
    read_verdict,
    sum_of,
    write_verdict,
)
from models.runtime.nearest import NearestVectors
from models.runtime.parity import ParityReport, compare, spread
from models.runtime.session import IN_PROCESS, OnnxEncoder, OnnxReader
from models.text_predictor import StoredClassifier, VersionPredictor
from shared.errors import EncoderError, TriptychError
from shared.process_memory import give_back_freed_memory

LOGGER = logging.getLogger(__name__)
CHILD_SECONDS = 300.0
RECOMMENDER = "recommender"


def prepare_version(
    registry: ModelRegistry, version: ModelVersion, *, again: bool = False
) -> Verdict | None:
    """The graphs of a version, and the verdict on them; made once a format unless ``again``.

    None for a version without a text classifier. Whatever fails leaves it to torch, and says so:
    a promotion never fails of it.
    """
    if version.card.get("kind") == RECOMMENDER:
        _prepare_bundle(registry, version)
        return None
    try:
        found = read_verdict(version)
        if not again and found is not None and found.digest in ("", digest_of_version(version)):
            return found
        registry.verify(version)
        give_back_freed_memory()  # mostly a training was just before this, in the same process
        verdict = _judge(registry, version)
    except Exception as error:
        told = error.message if isinstance(error, TriptychError) else repr(error)
        LOGGER.exception("the runtime of %s %s was not made", version.app, version.name)
        manifest = version.folder / "manifest.json"
        verdict = Verdict(
            version.name, sum_of(manifest), "", "torch", f"it was not made: {told}", {}
        )
    write_verdict(version, verdict)
    LOGGER.info(
        "%s %s is served by %s: %s", version.app, version.name, verdict.chosen, verdict.reason
    )
    return verdict


def _judge(registry: ModelRegistry, version: ModelVersion) -> Verdict:
    from models.encoder_store import load_encoder
    from models.runtime.export import write_graphs
    from models.text_classifier import TextPredictor

    digest = digest_of_version(version)
    stored = StoredClassifier.read(version.folder)

    def write(folder: Path) -> dict[str, object]:
        whole = load_encoder(version.folder / "encoder", max_length=stored.max_length)
        return write_graphs(whole, folder, [text for text, _ in stored.bank])

    runtime = make_runtime(registry.root, digest, write)
    LOGGER.info("%s %s: graphs in %s", version.app, version.name, runtime.folder)
    manifest = sum_of(version.folder / "manifest.json")
    if runtime.failure is not None:
        reason = f"its encoder cannot be exported: {runtime.failure}"
        return Verdict(version.name, manifest, digest, "torch", reason, {})
    texts = parity_texts(version)
    reference = TextPredictor.load(version).assess_texts(texts)
    reports: dict[str, ParityReport] = {}
    for kind in KINDS:
        graph = predictor_on(version, runtime, kind, threads=1, stored=stored)
        reports[kind] = compare(
            kind, texts, reference, graph.assess_texts, threshold=stored.answer_threshold
        )
        if reports[kind].accepted:
            break
    return Verdict(
        version.name,
        manifest,
        digest,
        next((kind for kind, report in reports.items() if report.accepted), "torch"),
        "; ".join(f"{kind}: {report.reason}" for kind, report in reports.items()),
        {kind: report.as_json() for kind, report in reports.items()},
    )


def parity_texts(version: ModelVersion) -> list[str]:
    """The texts that runtimes are compared on: validation's, else those of the gate or training."""
    from models.version_content import read_examples

    for name in ("validation", "gate", "examples"):
        path = version.folder / f"{name}.jsonl"
        texts = [example.text for example in read_examples(path)] if path.is_file() else []
        if texts:
            return spread(texts)
    raise EncoderError(f"version {version.name} holds no text to compare runtimes on")


def predictor_on(
    version: ModelVersion,
    runtime: EncoderRuntime,
    kind: str,
    *,
    threads: int | None = None,
    stored: StoredClassifier | None = None,
) -> VersionPredictor:
    """A version on one of its graphs. Raises ManifestMismatch when a file was changed."""
    parts = stored or StoredClassifier.read(version.folder)
    graph = IN_PROCESS.get(runtime, kind, threads)
    nearest = NearestVectors(parts.bank_vectors)
    return VersionPredictor(
        version.name,
        version.card,
        OnnxReader(OnnxEncoder(graph, parts.encoder, parts.max_length), parts),
        parts.labels,
        parts.confidence,
        parts.bank,
        parts.bank_vectors,
        parts.answer_threshold,
        parts.target_error,
        nearest=nearest.find,
    )


def _prepare_bundle(registry: ModelRegistry, version: ModelVersion) -> None:
    own = version.folder / "encoder"
    if own.is_dir():
        try:
            prepare_encoder(registry.root, own)
        except Exception:
            LOGGER.exception("the runtime of %s %s was not made", version.app, version.name)


def prepare_encoder(root: Path, folder: Path) -> EncoderRuntime:
    """The graphs of a plain encoder's folder, made in this process where there are none."""
    from models.encoder_store import load_encoder
    from models.runtime.export import write_graphs

    return make_runtime(
        root,
        digest_of_folder(folder),
        lambda place: write_graphs(load_encoder(folder), place),
    )


def prepare_in_child(root: Path, folder: Path) -> EncoderRuntime:
    """The same, made in a process of its own where there are none. Raises EncoderError."""
    digest = digest_of_folder(folder)
    found = read_runtime(root, digest)
    if found is not None:
        return found
    LOGGER.info("the encoder %s gets graphs to be served by; this happens once", folder)
    command = [sys.executable, "-m", "models.runtime.building", str(root), str(folder)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EncoderError(f"the graphs of {folder} were not made: {error}") from error
    found = read_runtime(root, digest)
    if done.returncode or found is None:
        raise EncoderError(f"the graphs of {folder} were not made: {done.stderr[-500:]}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the graphs of one encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="the folder of model versions")
    parser.add_argument("encoder", type=Path, help="the folder of the encoder")
    asked = parser.parse_args(arguments)
    prepare_encoder(asked.root, asked.encoder)


if __name__ == "__main__":
    main()
