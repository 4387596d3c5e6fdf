"""Work on many texts, part by part: in this process, or by Ray Data on any number of workers.

Both run ``compute_part``. Ray hands out the numbers of the parts and not their texts; a worker
holds the model, reads a part and writes its result whole. So memory is bounded whatever the number
of texts, and a part whose worker or machine dies is computed by another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from models.scale.cluster import ray_cluster
from models.scale.parts import Parts, write_whole
from shared.finetuning.progress import ProgressReporter

if TYPE_CHECKING:
    import pyarrow

Compute = Callable[[Sequence[str]], "pyarrow.Table"]


class Work(Protocol):
    """What is done with texts. It travels to the workers; a model is loaded there."""

    def open(self, threads: int | None) -> Compute:
        """Load what is needed. The result gives a table with one row a text, in order.

        ``threads`` of the model; None leaves it to the settings.
        """
        ...


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """Texts computed in this run, by how many workers, and the seconds from first to last part.

    ``seconds`` leave out what came before the first part was begun: starting Ray, loading models.
    """

    computed: int
    seconds: float
    workers: int

    @property
    def per_second(self) -> float:
        """Texts a second."""
        return self.computed / max(self.seconds, 1e-9)


def run_bulk(
    parts: Parts,
    work: Work,
    *,
    engine: str = "local",
    workers: int = 1,
    report: ProgressReporter,
) -> BulkOutcome:
    """Compute the parts that are missing. Raises what the work raises; what is done stays done."""
    missing = parts.missing()
    if not missing:
        return BulkOutcome(0, 0.0, workers)
    behind = (parts.count - len(missing)) * (parts.rows // max(1, parts.count))
    report.start("texts", parts.rows, behind)
    computed, begun, ended = 0, float("inf"), 0.0
    on_ray = engine == "ray"
    for done in _on_ray(parts, work, missing, workers) if on_ray else _here(parts, work, missing):
        computed += done["rows"]
        begun, ended = min(begun, done["began"]), max(ended, done["ended"])
        report.advance(done["rows"])
    report.finish()
    return BulkOutcome(computed, ended - begun, workers)


def compute_part(parts: Parts, part: int, compute: Compute) -> dict[str, Any]:
    """Read a part, compute it and write its result; how many rows, and when (seconds of the clock).

    A part that is there already is left alone: it was written by one that was thought dead.
    """
    import pyarrow.parquet

    began = time.time()
    if parts.result(part).is_file():
        return {"part": part, "rows": 0, "began": began, "ended": began}
    given = pyarrow.parquet.read_table(parts.source(part))
    found = compute(given.column("text").to_pylist())
    write_whole(found.add_column(0, "line", given.column("line")), parts.result(part))
    return {"part": part, "rows": len(given), "began": began, "ended": time.time()}


def _here(parts: Parts, work: Work, missing: Sequence[int]) -> Iterator[dict[str, Any]]:
    compute = work.open(None)
    for part in missing:
        yield compute_part(parts, part, compute)


class PartWorker:
    """An actor of Ray: holds the model, computes one part after another."""

    def __init__(self, parts: Parts, work: Work) -> None:
        self.parts = parts
        self.compute = work.open(1)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Compute the parts of a batch; a row about each."""
        done = [compute_part(self.parts, int(part), self.compute) for part in batch["part"]]
        return {key: [one[key] for one in done] for key in done[0]}


def _on_ray(
    parts: Parts, work: Work, missing: Sequence[int], workers: int
) -> Iterator[dict[str, Any]]:
    with ray_cluster(workers):
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        numbers = ray.data.from_items(
            [{"part": part} for part in missing], override_num_blocks=len(missing)
        )
        done = numbers.map_batches(
            PartWorker,
            fn_constructor_args=(parts, work),
            compute=ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=2),
            batch_size=1,
            num_cpus=1,
        )
        yield from done.iter_rows()
