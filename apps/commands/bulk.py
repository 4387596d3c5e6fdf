"""``triptych embed`` and ``triptych score``: work on as many texts as there are."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.scale.training import ENGINE, WORKERS
from shared.command_line import json_option, print_json, reports_errors, say, user_name
from shared.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from models.scale.bulk import BulkOutcome, Work
    from models.scale.parts import Parts

SHIPPED = {
    "sample:support": Path("support/samples/utterances.csv"),
    "sample:finance": Path("finance/samples/headlines.csv"),
}
"""The samples of the apps, below the folder of the apps."""


def bulk_options(command: Callable[..., Any]) -> Any:
    """Text column, query, size of a part, engine, workers and output."""
    for option in reversed(
        (
            click.argument("source"),
            click.option("--text-column", help="The column of the texts; guessed when left out."),
            click.option("--query", help="The SQL query that goes with a database address."),
            click.option(
                "--rows-per-part",
                type=click.IntRange(min=1),
                default=4096,
                show_default=True,
                help="Texts that are computed, written and kept at once.",
            ),
            ENGINE,
            WORKERS,
            json_option,
        )
    ):
        command = option(command)
    return command


@click.command()
@bulk_options
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The folder of the vectors."
)
@click.option("--encoder", help="A Hugging Face name or a folder. [the pre-trained encoder]")
@reports_errors
def embed(source: str, out: Path, encoder: str | None, as_json: bool, **options: Any) -> None:
    """Write the vector of each text of SOURCE: a data set, a table, or a .txt with one a line.

    OUT gets Parquet files part-00000.parquet, ... with the columns line (of the source) and vector
    (float32). Broken off and run again, it computes what is missing.
    """
    from models.scale.embedding import Embedding

    settings = Settings()
    name = encoder or settings.encoder
    identity = {"embed": name or "the packaged encoder", "runtime": settings.runtime}
    parts, outcome = compute(
        source, out, Embedding(settings, name), identity, settings=settings, **options
    )
    parts.finish()
    tell(source, str(out), parts, outcome, as_json=as_json)


@click.command()
@click.argument("app", type=click.Choice(["support", "finance"]))
@bulk_options
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="A .parquet or .jsonl file.",
)
@reports_errors
def score(app: str, source: str, out: Path, as_json: bool, **options: Any) -> None:
    """Write what the version in use says of each text of SOURCE.

    support: intent, confidence, the next intent, and whether it would be answered. finance: the
    sentiment overall and toward each company, and the event. Parts stand in OUT.parts until all
    is done: broken off and run again, it computes what is missing.
    """
    if out.suffix not in {".parquet", ".jsonl"}:
        raise SettingsError(f"{out} ends in neither .parquet nor .jsonl", path=str(out))
    from models.registry import ModelRegistry
    from models.scale.parts import join

    settings = Settings()
    version = ModelRegistry(settings.models).get(app, None).name
    folder = out.with_name(f"{out.name}.parts")
    identity = {"score": app, "version": version, "runtime": settings.runtime}
    parts, outcome = compute(
        source, folder, scoring_of(app, settings, version), identity, settings=settings, **options
    )
    join(parts, out)
    shutil.rmtree(folder)
    tell(source, str(out), parts, outcome, as_json=as_json)


def scoring_of(app: str, settings: Settings, version: str) -> Work:
    """The work of an app's version, imported when it is asked for."""
    if app == "support":
        from apps.support.bulk import SupportScoring

        return SupportScoring(settings, version)
    from apps.finance.bulk import FinanceScoring

    return FinanceScoring(settings, version)


def compute(
    source: str,
    folder: Path,
    work: Work,
    identity: Mapping[str, Any],
    *,
    settings: Settings,
    text_column: str | None,
    query: str | None,
    rows_per_part: int,
    engine: str,
    workers: int,
) -> tuple[Parts, BulkOutcome]:
    """Cut the source into parts below ``folder`` and compute those that are missing."""
    from data_connectors.unlabelled import iterate_texts
    from models.scale.bulk import run_bulk
    from models.scale.cluster import require_ray
    from models.scale.parts import cut
    from shared.finetuning.progress import ConsoleProgress

    if engine == "ray":
        require_ray()
    elif workers > 1:
        raise SettingsError("several workers need an engine: --engine ray", workers=workers)
    apps = Path(__file__).parent.parent
    shipped = {name: apps / path for name, path in SHIPPED.items()}
    place = shipped.get(source, Path(source))
    about = dict(identity) | {"source": source, "text_column": text_column, "query": query}
    about["rows_per_part"] = rows_per_part
    if place.is_file():
        status = place.stat()
        about |= {"source": str(place.resolve()), "bytes": status.st_size}
        about["changed"] = status.st_mtime_ns
    texts = iterate_texts(
        source, settings=settings, shipped=shipped, text_column=text_column, query=query
    )
    parts = cut(texts, folder.resolve(), about, rows_per_part=rows_per_part)
    if parts.rejected:
        say(f"{parts.rejected:,} rows rejected ({parts.first_reason})")
    with ConsoleProgress() as report:
        outcome = run_bulk(parts, work, engine=engine, workers=workers, report=report)
    return parts, outcome


def tell(source: str, out: str, parts: Parts, outcome: BulkOutcome, *, as_json: bool) -> None:
    """Say what was computed, by whom and how fast."""
    told = {
        "source": source,
        "out": out,
        "texts": parts.rows,
        "rejected": parts.rejected,
        "parts": parts.count,
        "computed_now": outcome.computed,
        "workers": outcome.workers,
        "seconds": round(outcome.seconds, 3),
        "texts_per_second": round(outcome.per_second, 1),
        "author": user_name(),
    }
    if as_json:
        print_json(told)
    else:
        click.echo(
            f"{parts.rows:,} texts in {out} ({outcome.computed:,} computed now, "
            f"{outcome.per_second:,.0f} a second)"
        )
