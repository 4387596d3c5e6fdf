"""How many connections each of several processes holds, in memory that all of them see.

Each process writes its own place and reads the others'; a number is written whole, so that nobody
needs a lock. Who is not there counts as full.
"""

from __future__ import annotations

import mmap
import struct
import tempfile
from typing import IO

ABSENT = 2**31 - 1
"""In the place of a process that takes no connections."""


def counts_file(places: int) -> IO[bytes]:
    """A file without a name for so many processes, none of which is there yet; its descriptor is
    what they inherit."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    file.write(struct.pack("i", ABSENT) * places)
    file.flush()
    return file


class ConnectionCounts:
    """The counts as the process at ``place`` sees them; ``number`` is the file's descriptor."""

    def __init__(self, number: int, place: int) -> None:
        self._memory = mmap.mmap(number, 0)
        self._counts = memoryview(self._memory).cast("i")
        if not 0 <= place < len(self._counts):
            raise ValueError(f"place {place} of {len(self._counts)} processes")
        self.place = place

    def tell(self, held: int) -> None:
        """That this process holds so many connections now."""
        self._counts[self.place] = held

    def leave(self) -> None:
        """Take no more: the others need not wait for this process."""
        self._counts[self.place] = ABSENT

    def fewest_of_others(self) -> int:
        """Of those that are there; ``ABSENT`` where this process is alone."""
        return min(
            (held for place, held in enumerate(self._counts) if place != self.place),
            default=ABSENT,
        )

    def close(self) -> None:
        """Let go of the memory."""
        self._counts.release()
        self._memory.close()
