"""Gives memory that was freed back to the machine."""

from __future__ import annotations

import ctypes
import gc
import sys


def give_back_freed_memory() -> None:
    """Return to the system what this process has freed and its allocator still holds.

    Training frees a gigabyte in pieces that glibc keeps for later; what comes after it would stand
    on top of them. Elsewhere than on glibc only Python's own garbage is collected.
    """
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's own; musl has none
        if trim is not None:
            trim(0)
