"""``triptych train recommend``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from apps.recommend.commands.behaviour_options import behaviour_options, read_behaviour
from apps.recommend.commands.tenant_option import tenant_option
from shared.command_line import database, json_option, print_json, reports_errors, say, user_name
from shared.settings import Settings
from shared.training_options import parse_fields

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from shared.catalogue import BehaviourData


@click.command()
@behaviour_options
@tenant_option
@click.option("--encoder", help="A Hugging Face name or a folder. [the packaged MiniLM]")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option(
    "--set",
    "fields",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting of the recipe, such as text_weight=5. Repeatable.",
)
@click.option(
    "--test/--no-test",
    default=True,
    show_default=True,
    help="Measure on each user's last event, by a fit of its own; else on validation events.",
)
@click.option("--promote", is_flag=True, help="Put it in use if the gate allows it.")
@json_option
@reports_errors
def train(
    tenant: str,
    encoder: str | None,
    seed: int,
    fields: tuple[str, ...],
    test: bool,
    promote: bool,
    as_json: bool,
    **given: str | None,
) -> None:
    """Fit a bundle on a data set, or on what is stored where none is named, and measure it.

    A data set that is named is taken into the tenant's catalogue first, so that its lists can be
    asked for. The first bundle of a tenant is put in use at once; a later one with --promote, or by
    `triptych recommend bundles promote`.
    """
    settings, now = Settings(), datetime.now(UTC)
    from models.recommendation.recipe import RecommendRecipe

    recipe = RecommendRecipe.of(parse_fields(fields))
    named = any(given.values())
    data = read_behaviour(settings, now, **given) if named else None
    with database(settings) as engine:
        if data is not None:
            _take_in(engine, tenant, data, now)
        summary = _trained(
            settings, engine, tenant, data, recipe, encoder, seed, test, promote, now
        )
    if as_json:
        print_json(summary)
        return
    from apps.recommend.training_table import print_training

    print_training(summary)


def _take_in(engine: Engine, tenant: str, data: BehaviourData, now: datetime) -> None:
    from apps.recommend.items.store import ItemStore
    from apps.recommend.loading import load_data

    items, events = load_data(engine, tenant, data, now)
    say(f"taken in: {items.added:,} new items, {events.added:,} new events")
    others = ItemStore(engine, tenant).count() - len(data.items)
    if others > 0:
        say(f"{others:,} other items are in this catalogue: --tenant gives each its own")


def _trained(
    settings: Settings,
    engine: Engine,
    tenant: str,
    data: BehaviourData | None,
    recipe: Any,
    encoder: str | None,
    seed: int,
    test: bool,
    promote: bool,
    now: datetime,
) -> dict[str, Any]:
    from apps.recommend.events.store import EventStore
    from apps.recommend.items.store import ItemStore
    from apps.recommend.tenants import registry_app
    from apps.recommend.training import Origin, fit_bundle
    from models.promotion import gate_and_promote
    from models.promotion_audit import audited_registry
    from shared.errors import PromotionRefused
    from shared.histories import histories_of

    registry, store, events = (
        audited_registry(settings),
        ItemStore(engine, tenant),
        EventStore(engine, tenant),
    )
    synthetic = events.any_synthetic()
    if data is None:
        items = tuple(store.all())
        histories = events.histories([item.id for item in items])
        origin = Origin(f"stored:{tenant}", None, synthetic)
    else:
        items = data.items
        histories = histories_of(data.events, [item.id for item in items])
        origin = Origin(data.name, data.name, synthetic)
    version, summary = fit_bundle(
        settings, registry, tenant, histories, items, origin=origin, now=now, recipe=recipe,
        encoder=encoder, seed=seed, test=test, say=say,
    )  # fmt: skip
    app = registry_app(tenant)
    outcome: dict[str, Any] = {"promoted": False, "reason": "not asked for"}
    if promote or registry.in_use(app) is None:
        try:
            done = gate_and_promote(registry, app, version, author=user_name(), now=now)
            outcome = {"promoted": True, "reason": done.reason}
        except PromotionRefused as error:
            outcome = {"promoted": False, "reason": error.message}
    return {**summary, "promotion": outcome}
