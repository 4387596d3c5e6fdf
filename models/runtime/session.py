"""An encoder's ONNX graph with its tokenizer: texts in, unit vectors out, without torch."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from models.runtime.files import TOKENIZER, EncoderRuntime
from models.runtime.free_cores import OneText, Run
from models.runtime.padding import padded_batches
from models.runtime.side_by_side import side_by_side
from models.spelling import FILE as SPELLING
from models.spelling import Spelling, load_spelling
from models.text_predictor import StoredClassifier
from shared.errors import EncoderError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

    from shared.finetuning.progress import ProgressReporter

Floats = NDArray[np.float32]
TOKEN_BUDGET = 1_024
"""Padded tokens of a batch."""

LEAST_PART = 64
"""Tokens below which a batch is not cut for the sake of other threads."""

SMALL = 48_000_000
"""Bytes of an int8 graph up to which its threads compute apart, each a part of a batch."""


class OnnxGraph:
    """A loaded graph. Versions of one encoder share it; calls are safe from any thread.

    ``threads`` compute within each product of it. Where it is small, one does, and as many calls
    go ``side_by_side``: its products are over before threads have met. ``run_one`` is for a text by
    itself, which has no parts: ``OneText``.
    """

    def __init__(self, runtime: EncoderRuntime, kind: str, threads: int) -> None:
        if runtime.failure is not None:
            raise EncoderError(f"the encoder has no graphs: {runtime.failure}")
        self.spelled = SPELLING in runtime.facts["files"]
        more = (SPELLING,) if self.spelled else ()
        runtime.check(runtime.graph(kind).name, TOKENIZER, *more)
        self.kind = kind
        self.facts = runtime.facts
        self.tokenizer_file = runtime.folder / TOKENIZER
        path = runtime.graph(kind)
        small = kind == "int8" and path.stat().st_size <= SMALL
        self.calls = threads if small else 1
        made = _openvino if kind == "openvino" else _onnxruntime
        self.run: Run = made(path, 1 if small else threads)
        self.run_one = OneText(made(path, threads), self.run) if self.calls > 1 else self.run


class LoadedGraphs:
    """The graphs of a process: each is in memory once, as long as somebody holds it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._graphs: WeakValueDictionary[tuple[str, str, int], OnnxGraph] = WeakValueDictionary()

    def get(self, runtime: EncoderRuntime, kind: str, threads: int | None = None) -> OnnxGraph:
        """The graph, loaded once its files were checked. Raises ManifestMismatch."""
        wanted = threads or len(os.sched_getaffinity(0))
        key = (str(runtime.folder), kind, wanted)
        with self._lock:
            graph = self._graphs.get(key)
            if graph is None:
                graph = OnnxGraph(runtime, kind, wanted)
                self._graphs[key] = graph
            return graph


IN_PROCESS = LoadedGraphs()
"""What serving uses: all versions of all apps in this process."""


class OnnxEncoder:
    """A graph and a tokenizer that cuts at ``max_length``; calls are safe from any thread."""

    def __init__(self, graph: OnnxGraph, name: str, max_length: int | None = None) -> None:
        facts = graph.facts
        self.name = name
        self.kind = graph.kind
        self.graph = graph
        self.dimensions = int(facts["dimensions"])
        longest = int(facts["max_length"])
        self.max_length = longest if max_length is None else min(max_length, longest)
        self._pad_id = int(facts["pad_id"])
        self._tokenizer = _tokenizer(graph.tokenizer_file, self.max_length)
        self._whole: Tokenizer | None = None
        self._spelling: Spelling | None = None
        if graph.spelled:
            folder = graph.tokenizer_file.parent
            self._spelling = load_spelling(folder, self._tokenizer.get_vocab)

    def tokenise(self, texts: Sequence[str]) -> list[Encoding]:
        """Ids, offsets (in what is read) and special tokens of each text, cut at ``max_length``."""
        if len(texts) == 1:
            return [self._tokenizer.encode(self.read(texts[0]))]
        return self._tokenizer.encode_batch([self.read(text) for text in texts])

    def read(self, text: str) -> str:
        """The text as it is tokenised: itself, unless its encoder learnt a spelling."""
        return text if self._spelling is None else self._spelling.read(text)

    def embed(self, texts: Sequence[str], *, report: ProgressReporter | None = None) -> Floats:
        """Unit vectors float32 [n, dimensions] in the order of the texts."""
        return self.embed_ids([encoding.ids for encoding in self.tokenise(texts)], report=report)

    def embed_ids(
        self, token_ids: Sequence[Sequence[int]], *, report: ProgressReporter | None = None
    ) -> Floats:
        """The same of token ids. Texts of like length go together, so that little is padding."""
        if len(token_ids) == 1:
            ids = np.array([token_ids[0]], dtype=np.int64)
            return self.graph.run_one(ids, np.ones_like(ids))
        vectors = np.zeros((len(token_ids), self.dimensions), dtype=np.float32)
        lengths = np.fromiter((len(ids) for ids in token_ids), np.int64, len(token_ids))
        calls = self.graph.calls
        share = int(lengths.sum()) // calls + int(lengths.max(initial=0))
        budget = min(TOKEN_BUDGET, max(LEAST_PART, share)) if calls > 1 else TOKEN_BUDGET
        reporting = threading.Lock()

        def compute(rows: NDArray[np.int64]) -> None:
            longest = int(lengths[rows].max())
            ids = np.full((len(rows), longest), self._pad_id, dtype=np.int64)
            for line, row in enumerate(rows.tolist()):
                ids[line, : lengths[row]] = token_ids[row]
            mask = (np.arange(longest) < lengths[rows, None]).astype(np.int64)
            vectors[rows] = self.graph.run(ids, mask)
            if report is not None:
                with reporting:
                    report.advance(len(rows))

        side_by_side(compute, padded_batches(lengths, budget), calls)
        return vectors

    @property
    def masked_id(self) -> int:
        """The id of the token that stands for "some word"."""
        return int(self.graph.facts["masked_id"])

    @property
    def unknown_id(self) -> int | None:
        """The id of what the vocabulary lacks, where there is one."""
        found = self.graph.facts["unknown_id"]
        return None if found is None else int(found)

    @property
    def room(self) -> int:
        """Tokens of a text before it is cut, special tokens not counted."""
        return self.max_length - self._tokenizer.num_special_tokens_to_add(False)

    def pieces(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of whole texts, not cut and without special tokens."""
        if self._whole is None:
            self._whole = _tokenizer(self.graph.tokenizer_file, None)
        found = self._whole.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in found]


class OnnxReader:
    """An encoder's graph and a version's head: a ``models.text_predictor.TextReader``."""

    def __init__(self, encoder: OnnxEncoder, stored: StoredClassifier) -> None:
        weight = stored.weight.astype(np.float32)
        if stored.cosine:
            length = np.linalg.norm(weight, axis=1, keepdims=True)
            weight = weight / np.maximum(length, np.float32(1e-12))
        self.encoder = encoder
        self._weight = np.ascontiguousarray(weight.T) * np.float32(stored.scale)
        self._bias = stored.bias.astype(np.float32)

    @property
    def dimensions(self) -> int:
        """The length of a vector."""
        return self.encoder.dimensions

    def embed(self, texts: Sequence[str]) -> Floats:
        """Unit vectors float32 [n, dimensions]."""
        return self.encoder.embed(texts)

    def logits_of(self, vectors: Floats) -> Floats:
        """Logits float32 [n, classes] of unit vectors [n, dimensions]."""
        logits: Floats = vectors @ self._weight + self._bias
        return logits


def _tokenizer(path: Path, max_length: int | None) -> Tokenizer:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    if max_length is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_length)
    return tokenizer


def open_session(model: str | bytes, threads: int) -> Any:
    """An ONNX Runtime session on the processor, of a file or of a serialised graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Lengths differ from call to call: a plan of the memory of each would be kept for ever.
    options.enable_mem_pattern = False
    # Threads that wait for the next call would take the cores from the server.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _onnxruntime(path: Path, threads: int) -> Run:
    session = open_session(str(path), threads)

    def run(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Floats:
        vectors: Floats = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        return vectors

    return run


def _openvino(path: Path, threads: int) -> Run:
    try:
        import openvino
    except ImportError as error:
        message = "OpenVINO is not installed: `pip install openvino`, or set TRIPTYCH_RUNTIME=auto"
        raise EncoderError(message) from error
    core: Any = openvino.Core()
    compiled = core.compile_model(
        core.read_model(str(path)),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    lock = threading.Lock()
    request = compiled.create_infer_request()

    def run(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Floats:
        with lock:
            found = request.infer({"input_ids": ids, "attention_mask": mask})
            vectors: Floats = np.array(found[compiled.output(0)], dtype=np.float32)
        return vectors

    return run
