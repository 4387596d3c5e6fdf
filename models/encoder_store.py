"""Encoders read from their files and written: whole, or as corrections of a base.

The base encoders of several versions' adapters are shared in memory, loaded once and checked.
Each version has modules and corrections of its own on the same frozen weights, so that no thread
switches an adapter below another's feet. A base goes when the last version on it does.
"""

from __future__ import annotations

import copy
import hashlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch import nn

from models.encoder import TextEncoder
from models.encoder_files import DEFAULT_ENCODER, DEFAULT_SHA256
from models.low_rank_encoder import (
    CONFIGURATION,
    BaseReference,
    base_tensors,
    plain_name,
    put_adapters,
    read_reference,
    sharing_copy,
    without_adapters,
    write_adapters,
)
from models.plain_encoder import load_plain, save_plain
from shared.errors import EncoderError
from shared.finetuning.recipe import Recipe

STORED = "base"
"""The folder of a base beside its adapters, where no name leads to it."""
_LONGEST = 2**31


@dataclass(eq=False, slots=True, weakref_slot=True)
class SharedBase:
    """A base encoder, its weights by device, and tokenizers by the length that they cut at."""

    reference: BaseReference
    encoder: TextEncoder
    weights: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    tokenizers: dict[int, Any] = field(default_factory=dict)

    def on(self, device: str) -> dict[str, torch.Tensor]:
        """The weights on that device, by name; they are copied there once."""
        if device not in self.weights:
            own = dict(self.encoder.backbone.named_parameters())
            self.weights[device] = {name: p.detach().to(device) for name, p in own.items()}
        return self.weights[device]

    def tokenizer(self, max_length: int) -> Any:
        """A tokenizer that cuts there: its state never changes under another thread."""
        if max_length not in self.tokenizers:
            tokenizer = copy.deepcopy(self.encoder.tokenizer)
            tokenizer(["a"], truncation=True, max_length=max_length, padding=False)
            self.tokenizers[max_length] = tokenizer
        return self.tokenizers[max_length]


class SharedBases:
    """The bases of a process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._bases: WeakValueDictionary[tuple[str, str], SharedBase] = WeakValueDictionary()
        self._sharing: WeakKeyDictionary[TextEncoder, SharedBase] = WeakKeyDictionary()

    def load(self, folder: Path, *, max_length: int) -> TextEncoder:
        """The encoder of a folder of adapters, on the base that all versions of it share.

        EncoderError when the base is missing, is another by now, or is not of the adapters' shape.
        """
        reference, settings, marked_spans = read_reference(folder)
        where = str((folder / STORED).resolve()) if reference.stored else reference.name
        with self._lock:
            base = self._bases.get((where, reference.sha256))
            if base is None:
                base = SharedBase(reference, _checked(folder, where, reference.sha256))
                self._bases[where, reference.sha256] = base
            whole = base.encoder
            limit = max(4, min(max_length, whole.max_length))
            backbone = sharing_copy(whole.backbone)
            tokenizer = base.tokenizer(limit)
        encoder = TextEncoder(whole.name, backbone, tokenizer, limit, whole.pooling)
        put_adapters(encoder, folder, settings)
        if marked_spans:
            encoder.pool_marked_spans()
        encoder.find_spelling(folder)
        with self._lock:
            self._sharing[encoder] = base
        return encoder.eval().requires_grad_(False)

    def place(self, encoder: TextEncoder, device: str) -> None:
        """Let an encoder that ``load`` gave use the shared weights on that device.

        The base is copied to a device once, not for each version; other encoders stay as they are.
        """
        with self._lock:
            base = self._sharing.get(encoder)
            if base is None:
                return
            weights = base.on(device)
        for path, module in list(encoder.backbone.named_modules()):
            for name, _ in list(module.named_parameters(recurse=False)):
                shared = weights.get(plain_name(f"{path}.{name}"))
                if shared is not None:
                    setattr(module, name, nn.Parameter(shared, requires_grad=False))

    def reference_of(self, encoder: TextEncoder) -> BaseReference | None:
        """The name and sha256 of what the encoder's corrections lie beside.

        None where no name leads to these weights: they were changed, or their source is gone.
        """
        with self._lock:
            base = self._sharing.get(encoder)
        if base is not None:
            return None if base.reference.stored else base.reference
        name = encoder.name
        if name != DEFAULT_ENCODER and Path(name).is_dir():
            name = str(Path(name).resolve())
        try:
            found = load_encoder(name, max_length=_LONGEST)
            reference = BaseReference(name, weights_sha256(name))
        except EncoderError:
            return None
        wanted, own = found.backbone.state_dict(), base_tensors(encoder.backbone)
        same = set(wanted) == set(own) and found.pooling == encoder.pooling
        same = same and all(torch.equal(wanted[name], own[name].cpu()) for name in wanted)
        return reference if same else None


IN_PROCESS = SharedBases()
"""What ``TextPredictor.load`` uses: all versions of all apps in this process."""


def load_encoder(name_or_folder: str | Path | None = None, *, max_length: int = 128) -> TextEncoder:
    """The packaged MiniLM (None or its name), a local folder, or a Hugging Face name.

    Weights must be safetensors, code of a repository is never run. Low-rank adapters in a folder
    are merged into their base. EncoderError says what could not be found, trusted or understood.
    """
    if name_or_folder is not None and (Path(name_or_folder) / CONFIGURATION).is_file():
        return _merged(Path(name_or_folder), max_length=max_length)
    return load_plain(name_or_folder, max_length=max_length)


def choose_encoder(name_or_folder: str | Path | None, recipe: Recipe) -> TextEncoder:
    """Step 2: the pre-trained model that a recipe starts from, its weights checked."""
    encoder = load_encoder(name_or_folder, max_length=recipe.max_length)
    if recipe.marked_spans:
        encoder.pool_marked_spans()
    return encoder


def save_encoder(encoder: TextEncoder, folder: Path) -> None:
    """Write weights (safetensors), configuration, tokenizer, pooling and learnt spelling.

    Of an encoder with adapters these alone, where a name leads to the base they lie beside.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if encoder.spelling is not None:
        encoder.spelling.save(folder)
    if encoder.adapters is None:
        save_plain(encoder, folder)
    else:
        _save_adapters(encoder, folder)


def _save_adapters(encoder: TextEncoder, folder: Path) -> None:
    """Write the corrections and what they belong to, whole where no name leads to it."""
    reference = IN_PROCESS.reference_of(encoder)
    if reference is None:
        save_encoder(without_adapters(encoder, merged=False), folder / STORED)
        reference = BaseReference(STORED, weights_sha256(str(folder / STORED)), stored=True)
    write_adapters(encoder, reference, folder)


def _merged(folder: Path, *, max_length: int) -> TextEncoder:
    """An encoder that trains on: the corrections are in its matrices, which are its own."""
    encoder = IN_PROCESS.load(folder, max_length=max_length)
    merged = copy.deepcopy(without_adapters(encoder, merged=True))
    merged.name = str(folder)
    return merged.requires_grad_(True)


def weights_sha256(name_or_folder: str) -> str:
    """The sha256 of an encoder's weights file; of names and sums where it has several.

    EncoderError where no file is found.
    """
    if name_or_folder == DEFAULT_ENCODER:
        return DEFAULT_SHA256
    folder = Path(name_or_folder)
    files = sorted(folder.glob("*.safetensors"))
    if not folder.is_dir():
        from transformers.utils import cached_file

        try:
            found = cached_file(name_or_folder, "config.json", local_files_only=True)
        except OSError as error:
            message = f"the weights of {name_or_folder!r} were not found"
            raise EncoderError(message, encoder=name_or_folder) from error
        files = sorted(Path(str(found)).parent.glob("model*.safetensors"))
    if not files:
        message = f"{name_or_folder!r} has no safetensors file"
        raise EncoderError(message, encoder=name_or_folder)
    sums = []
    for path in files:
        with path.open("rb") as stream:
            sums.append((path.name, hashlib.file_digest(stream, "sha256").hexdigest()))
    if len(sums) == 1:
        return sums[0][1]
    listed = "".join(f"{name} {value}\n" for name, value in sums)
    return hashlib.sha256(listed.encode()).hexdigest()


def _checked(folder: Path, name: str, sha256: str) -> TextEncoder:
    """The base by its name, frozen; EncoderError when it is missing or has other weights."""
    try:
        encoder = load_encoder(name, max_length=_LONGEST)
        found = weights_sha256(name)
    except EncoderError as error:
        message = f"the adapters in {folder} need their base {name!r}: {error.message}"
        raise EncoderError(message, path=str(folder), encoder=name) from error
    if found != sha256:
        message = (
            f"the adapters in {folder} were trained on {name!r} with weights of sha256 {sha256}; "
            f"there they have {found} now: put the former ones back, or train again"
        )
        raise EncoderError(message, path=str(folder), found=found, wanted=sha256)
    return encoder.eval().requires_grad_(False)
