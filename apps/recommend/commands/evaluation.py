"""``triptych evaluate recommend``: a model against what users did next."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from apps.recommend.commands.behaviour_options import behaviour_options, read_behaviour
from shared.command_line import json_option, print_json, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.recommendation.fitting import CatalogueTexts
    from shared.catalogue import CatalogueItem
    from shared.evaluation.ranking import FitRanker, ScoreUsers
    from shared.histories import Histories

PARTS = {"all": None, "text": "text", "behaviour": "behaviour", "popular": "popular"}
BASELINES = ("popularity", "item-knn", "directed-item-knn", "ease")


@click.command()
@behaviour_options
@click.option(
    "--protocol",
    type=click.Choice(["temporal", "leave-one-out", "cold-items", "cold-users"]),
    help="[temporal where every event has its time, else leave-one-out]",
)
@click.option(
    "--refit/--no-refit",
    default=True,
    help="Leave-one-out: train on the events before the one to find, or show the last of them only."
    " [refit]",
)
@click.option(
    "--model",
    type=click.Choice([*PARTS, *BASELINES]),
    default="all",
    show_default=True,
    help="The recommender, one part of it alone, or a baseline.",
)
@click.option("--windows", type=click.IntRange(1), default=10, show_default=True)
@click.option("--window-days", type=click.FloatRange(0, min_open=True), default=365.0)
@click.option("--encoder", help="A Hugging Face name or a folder. [the packaged MiniLM]")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@json_option
@reports_errors
def evaluate(
    protocol: Any,
    refit: bool,
    model: str,
    windows: int,
    window_days: float,
    encoder: str | None,
    seed: int,
    as_json: bool,
    **given: str | None,
) -> None:
    """Fit on what is before the events to find, rank every item that a user has not met.

    No negatives are sampled, and an item that scores like the one to find stands before it.
    Fits anew and leaves the bundles as they are.
    """
    settings = Settings()
    data = read_behaviour(settings, datetime.now(UTC), **given)

    from apps.recommend.measuring import measure, summary_of, tasks_of
    from models.encoder_store import load_encoder
    from models.recommendation.fitting import read_catalogue
    from shared.histories import histories_of

    histories = histories_of(data.events, [item.id for item in data.items])
    protocol = protocol or ("temporal" if histories.timed else "leave-one-out")
    tasks = tasks_of(
        histories, protocol, refit=refit, windows=windows, window_days=window_days, seed=seed
    )
    loaded = load_encoder(encoder or settings.encoder)
    catalogue = read_catalogue(data.items, loaded.embed, seed=seed)
    fit = _fitter(model, catalogue, loaded.embed)
    measured = measure(fit, tasks, data.items, seed=seed, vectors=catalogue.encoded, report=say)
    summary = {
        "app": "recommend",
        "protocol": protocol,
        "refit": refit,
        "model": model,
        "encoder": loaded.name,
        "seed": seed,
        "data": {
            "name": data.name,
            "items": len(data.items),
            "users": histories.users,
            "events": len(histories.rows),
            "rejects": len(data.rejects),
        },
        "metrics": summary_of(measured, protocol, timed=histories.timed, seed=seed),
        "seconds": {"fit": measured.fit_seconds, "rank": measured.rank_seconds},
    }
    if as_json:
        print_json(summary)
        return
    from apps.recommend.measurement_table import print_measurement

    print_measurement(summary)


def _fitter(model: str, catalogue: CatalogueTexts, embed: Any) -> FitRanker:
    from models.recommendation import baselines
    from models.recommendation.fitting import fit_ranker
    from models.recommendation.recipe import RecommendRecipe

    match model:
        case "popularity":
            return baselines.popularity()
        case "item-knn":
            return baselines.item_knn()
        case "directed-item-knn":
            return baselines.directed_item_knn()
        case "ease":
            return baselines.ease()

    def fit(train: Histories, items: Sequence[CatalogueItem], seed: int) -> ScoreUsers:
        score, _ = fit_ranker(
            train,
            items,
            recipe=RecommendRecipe(),
            seed=seed,
            encode=embed,
            part=PARTS[model],
            catalogue=catalogue,
        )
        return score

    return fit
