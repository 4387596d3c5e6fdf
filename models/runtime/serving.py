"""What serves: a version's predictor, and the pre-trained encoder that the apps share.

    load_predictor    the graph that promotion accepted, or torch
    shared_encoder    the pre-trained encoder, in memory once a process

Neither imports torch unless torch is what serves.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.encoder_files import DEFAULT_ENCODER, source_of
from models.registry import ModelRegistry, ModelVersion
from models.runtime.building import predictor_on, prepare_in_child
from models.runtime.files import EncoderRuntime, digest_of_folder, read_runtime, read_verdict
from models.runtime.session import IN_PROCESS, OnnxEncoder, OnnxReader
from models.text_predictor import VersionPredictor
from shared.errors import EncoderError, TriptychError
from shared.records import TokenAttribution
from shared.settings import Settings

if TYPE_CHECKING:
    from models.encoder import TextEncoder
    from shared.finetuning.hardware import Hardware
    from shared.finetuning.progress import ProgressReporter

LOGGER = logging.getLogger(__name__)


class Embedder(Protocol):
    """What turns texts into unit vectors, float32 [n, dimensions]."""

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions] in the order of the texts."""
        ...

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of whole texts, not cut and without special tokens."""
        ...

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary lacks, where there is one."""
        ...

    @property
    def room(self) -> int:
        """Tokens of a text before it is cut, special tokens not counted."""
        ...


def load_predictor(
    registry: ModelRegistry, version: ModelVersion, settings: Settings
) -> VersionPredictor:
    """A version as ``settings.runtime`` wants it served; ``auto`` is what promotion chose.

    Torch serves where no graph was made or accepted, on a GPU (``device`` cuda), and where it is
    asked for; the log says why. Raises ManifestMismatch when a file is not as it was made.
    """
    registry.verify(version)
    kind, runtime = _choice(registry, version, settings)
    if runtime is not None:
        try:
            predictor = predictor_on(version, runtime, kind, threads=settings.serving_threads)
        except EncoderError as error:
            LOGGER.warning("%s %s: %s", version.app, version.name, error.message)
        else:
            _leave_cores_to_graphs()
            LOGGER.info("%s %s is served by %s", version.app, version.name, kind)
            return predictor
    from models.text_classifier import TextPredictor
    from shared.finetuning.hardware import choose_hardware

    served = TextPredictor.load(version)
    served.run_on(choose_hardware(settings.device, "fp32"))
    return served


def _choice(
    registry: ModelRegistry, version: ModelVersion, settings: Settings
) -> tuple[str, EncoderRuntime | None]:
    """The kind of graph and the runtime that holds it; torch and None where torch serves."""

    def torch(why: str) -> tuple[str, None]:
        LOGGER.info("%s %s is served by torch: %s", version.app, version.name, why)
        return "torch", None

    if settings.runtime == "torch" or settings.device == "cuda":
        return torch("the settings ask for it")
    verdict = read_verdict(version)
    if verdict is None:
        return torch("no runtime was made for it; `triptych models runtime` makes one")
    runtime = read_runtime(registry.root, verdict.digest) if verdict.digest else None
    if runtime is None or runtime.failure is not None:
        return torch(verdict.reason)
    if settings.runtime != "auto":
        report = verdict.reports.get(settings.runtime)
        if report is not None and not report["accepted"]:
            LOGGER.warning(
                "%s %s is served by %s, as the settings ask, which its promotion refused: %s",
                version.app,
                version.name,
                settings.runtime,
                report["reason"],
            )
        return settings.runtime, runtime
    if verdict.chosen == "torch":
        return torch(verdict.reason)
    return verdict.chosen, runtime


@cache
def _leave_cores_to_graphs() -> None:
    """BLAS on one thread from here on, in this process.

    Its threads wait by spinning and would take the cores from a graph's: a prediction of 32
    messages took 124 ms beside them on two cores, and takes 54 without.
    """
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")


class TorchEmbedder:
    """The pre-trained encoder in torch, on a device and in a precision."""

    def __init__(self, encoder: TextEncoder, hardware: Hardware) -> None:
        self.encoder = encoder
        self._hardware = hardware
        self.dimensions = encoder.dimensions

        self.unknown_id = encoder.unknown_id
        self.room = encoder.room
        self.pieces = encoder.pieces

    def embed(
        self, texts: Sequence[str], *, report: ProgressReporter | None = None
    ) -> NDArray[np.float32]:
        """Unit vectors float32 [n, dimensions]."""
        return self.encoder.embed(texts, hardware=self._hardware, report=report)


_EMBEDDERS: dict[tuple[Any, ...], Embedder] = {}
_LOADING = threading.Lock()


def shared_encoder(settings: Settings, source: str | Path | None = None) -> Embedder:
    """The pre-trained encoder (the installation's unless another is named), loaded once a process.

    It computes in fp32, int8 or not: stored vectors and the thresholds on them were made in it.
    Graphs that are missing are made in a process of their own. Raises EncoderError for an encoder
    that cannot be found.
    """
    wanted = source if source is not None else settings.encoder
    kind = settings.runtime if settings.runtime in ("openvino", "torch") else "fp32"
    key = (
        settings.models,
        str(wanted or DEFAULT_ENCODER),
        kind,
        settings.device,
        settings.serving_threads,
    )
    with _LOADING:
        if key not in _EMBEDDERS:
            _EMBEDDERS[key] = _open_embedder(settings, wanted, kind)
        return _EMBEDDERS[key]


def _open_embedder(settings: Settings, wanted: str | Path | None, kind: str) -> Embedder:
    name = str(wanted or DEFAULT_ENCODER)
    folder = _folder(wanted)
    if kind != "torch" and settings.device != "cuda" and folder is not None:
        try:
            runtime = read_runtime(settings.models, digest_of_folder(folder))
            runtime = runtime or prepare_in_child(settings.models, folder)
            graph = IN_PROCESS.get(runtime, kind, settings.serving_threads)
        except TriptychError as error:
            LOGGER.warning("the encoder %s is computed by torch: %s", name, error.message)
        else:
            LOGGER.info("the encoder %s is computed by %s", name, kind)
            return OnnxEncoder(graph, name)
    from models.encoder_store import load_encoder
    from shared.finetuning.hardware import choose_hardware

    hardware = choose_hardware(settings.device)
    return TorchEmbedder(load_encoder(wanted).to(hardware.device), hardware)


def _folder(wanted: str | Path | None) -> Path | None:
    """The folder of an encoder's files, without torch; None for one that is not on this machine."""
    source = source_of(wanted)
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(str(source), "config.json")
    return Path(found).parent if isinstance(found, str) else None


def explain(predictor: Any, text: str, label: str) -> list[TokenAttribution]:
    """Which words of the text spoke for the class and which against it, in units of its logit.

    A version on a graph is asked with words masked, one on torch by its gradients. Raises NotFound
    when the model has no such class.
    """
    if isinstance(getattr(predictor, "reader", None), OnnxReader):
        from models.runtime.attribution import explain_by_masking

        return explain_by_masking(predictor, text, label)
    from models.explanation import explain as by_gradients

    return by_gradients(predictor, text, label)
