"""What a run of ingestion did, in numbers that add up."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """``entries`` = ``repeats`` + ``distinct`` + ``rejected``.

    ``polls`` counts documents asked for; ``entries`` all that were read; ``repeats`` those known
    by identity; ``distinct`` those new by identity; ``stories`` the new stories after
    near-duplicates were grouped; ``revisions`` changed wordings; ``rejected`` entries that hold no
    story; ``errors`` polls that gave neither a feed nor "not modified".
    """

    polls: int = 0
    entries: int = 0
    repeats: int = 0
    distinct: int = 0
    stories: int = 0
    revisions: int = 0
    rejected: int = 0
    errors: int = 0

    def __add__(self, other: IngestCounts) -> IngestCounts:
        return IngestCounts(
            *(getattr(self, one.name) + getattr(other, one.name) for one in fields(self))
        )
