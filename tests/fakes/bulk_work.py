"""Work for bulk tests that needs no model: slow on purpose, and able to kill its own process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow


@dataclass(frozen=True)
class Lengths:
    """Counts characters. ``kill_once`` is a file: the process that makes it dies by SIGKILL."""

    seconds: float = 0.0
    kill_once: str | None = None

    def open(self, threads: int | None) -> Callable[[Sequence[str]], pyarrow.Table]:
        """Nothing to load; each row tells which process counted, and on which of Ray's nodes."""

        def compute(texts: Sequence[str]) -> pyarrow.Table:
            import pyarrow

            time.sleep(self.seconds)
            if self.kill_once and any("kill" in text for text in texts):
                try:
                    Path(self.kill_once).touch(exist_ok=False)
                except FileExistsError:
                    pass
                else:
                    os.kill(os.getpid(), signal.SIGKILL)
            node = ""
            if threads is not None:
                import ray

                node = ray.get_runtime_context().get_node_id()
            return pyarrow.table(
                {
                    "length": [len(text) for text in texts],
                    "process": [os.getpid()] * len(texts),
                    "node": [node] * len(texts),
                }
            )

        return compute
