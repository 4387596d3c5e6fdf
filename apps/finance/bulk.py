"""Scoring of many headlines: sentiment overall and toward each company, and the event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.finance.records import SENTIMENTS, StoryText
from shared.settings import Settings

if TYPE_CHECKING:
    import pyarrow

    from models.scale.bulk import Compute


@dataclass(frozen=True, slots=True)
class FinanceScoring:
    """A row a headline: ``label``, a probability of each sentiment, ``rule`` where one decided,
    ``event``, ``event_probability``, and a list of ``companies`` with theirs.
    """

    settings: Settings
    version: str

    def open(self, threads: int | None) -> Compute:
        """Load the version in use, the companies and the rules. DataError for another version."""
        from apps.finance.scoring.in_use import scorer_for
        from models.registry import ModelRegistry
        from models.scale.embedding import with_threads
        from shared.errors import DataError
        from shared.storage.engine import open_database

        settings = with_threads(self.settings, threads)
        scorer = scorer_for(
            settings, ModelRegistry(settings.models), open_database(settings.database)
        )
        if scorer.version != self.version:
            raise DataError(
                f"version {scorer.version} is in use and {self.version} began this: delete the "
                "folder of parts to begin anew",
                version=scorer.version,
            )

        def compute(texts: Sequence[str]) -> pyarrow.Table:
            import pyarrow

            found = scorer.score([StoryText(text) for text in texts])
            kinds = [(kind, pyarrow.float64()) for kind in SENTIMENTS]
            company = pyarrow.struct(
                [("id", pyarrow.string()), ("name", pyarrow.string()),
                 ("label", pyarrow.string()), *kinds]
            )  # fmt: skip
            companies = [
                [
                    {"id": m.company_id, "name": m.name, "label": m.label, **m.probabilities}
                    for m in one.mentions
                ]
                for one in found
            ]
            columns: dict[str, Any] = {
                "label": pyarrow.array([one.label for one in found], "string"),
                **{
                    kind: pyarrow.array([one.probabilities[kind] for one in found], "float64")
                    for kind in SENTIMENTS
                },
                "rule": pyarrow.array(
                    [str(one.reason["rule"]) if one.reason else None for one in found], "string"
                ),
                "event": pyarrow.array([one.event for one in found], "string"),
                "event_probability": pyarrow.array(
                    [one.event_probability for one in found], "float64"
                ),
                "companies": pyarrow.array(companies, pyarrow.list_(company)),
            }
            return pyarrow.table(columns)

        return compute
