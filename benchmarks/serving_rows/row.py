"""One line of the table of serving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ServingRow:
    """What was measured, beside its peer's and what should be reached.

    ``measured`` and ``peer`` are numbers with units, as people read them; ``met`` is None where
    the row has no target; ``details`` hold all numbers behind it.
    """

    name: str
    measured: str
    peer: str
    reach: str
    met: bool | None
    details: dict[str, object]


def print_rows(rows: Sequence[ServingRow]) -> None:
    """What a module of rows prints at its end: one JSON object."""
    print(json.dumps({"rows": [asdict(row) for row in rows]}))
