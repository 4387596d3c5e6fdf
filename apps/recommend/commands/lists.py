"""``triptych recommend for-user``, ``similar`` and ``query``: what the API would answer now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from apps.recommend.commands.tenant_option import tenant_option
from shared.command_line import database, json_option, print_json, reports_errors, say
from shared.errors import SettingsError
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.recommend.serving.lists import ListService
    from shared.api.recommend_lists import (
        EntryShape,
        FilterShape,
        ItemSummary,
        MissingShape,
        ReasonsShape,
        ScoredItem,
    )

SHARE = click.FloatRange(0, 1)
k_option = click.option(
    "-k", "--k", "k", type=click.IntRange(1, 200), default=10, show_default=True, help="How many."
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The filters of a list."""
    for option in reversed(
        (
            click.option("--category", "categories", multiple=True, help="Only of these."),
            click.option("--exclude-category", "excluded", multiple=True, help="None of these."),
            click.option("--min-price", type=click.FloatRange(0), help="In the catalogue's money."),
            click.option("--max-price", type=click.FloatRange(0), help="In the catalogue's money."),
            click.option("--unavailable", is_flag=True, help="Also what is not available."),
            click.option(
                "--attribute",
                "attributes",
                multiple=True,
                metavar="NAME=VALUE",
                help="Only with this value; may be given several times.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command("for-user")
@click.argument("user", metavar="USER")
@k_option
@filter_options
@click.option(
    "--hide",
    type=click.Choice(["bought", "seen", "none"]),
    default="bought",
    show_default=True,
    help="What the user bought, all that was seen, or nothing.",
)
@click.option("--diversity", type=SHARE, default=0.0, help="How unlike one another, 0 to 1.")
@click.option("--exploration", type=SHARE, default=0.0, help="Share of new items, 0 to 1.")
@click.option("--damping", type=SHARE, default=0.0, help="How far popularity is held down.")
@click.option("--category-cap", type=click.IntRange(1, 200), help="At most so many of a category.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Which new items are tried.")
@tenant_option
@json_option
@reports_errors
def for_user(
    user: str,
    k: int,
    hide: str,
    diversity: float,
    exploration: float,
    damping: float,
    category_cap: int | None,
    seed: int | None,
    tenant: str,
    as_json: bool,
    **filters: Any,
) -> None:
    """A list for USER with the reasons of each entry. It does not count as shown."""
    from shared.api.calls import made
    from shared.api.recommend_lists import ListBody

    body = made(
        ListBody,
        k=k,
        filters=_filters(hide=hide, **filters),
        diversity=diversity,
        exploration=exploration,
        damping=damping,
        category_cap=category_cap,
        seed=seed,
        record=False,
    )
    with _lists() as lists:
        answer = lists.for_user(tenant, user, body)
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    say(
        f"{answer.events} events of {user}, "
        + (f"bundle {answer.bundle}" if answer.bundle else "no bundle yet: texts and popularity")
    )
    _print(answer.entries)
    _tell_missing(answer.missing)


@click.command()
@click.argument("item", metavar="ITEM")
@k_option
@click.option("--category", help="Only of this category.")
@click.option("--unavailable", is_flag=True, help="Also what is not available.")
@tenant_option
@json_option
@reports_errors
def similar(
    item: str, k: int, category: str | None, unavailable: bool, tenant: str, as_json: bool
) -> None:
    """The items nearest to ITEM, by what people do and by text."""
    with _lists() as lists:
        answer = lists.similar(tenant, item, k, category=category, available_only=not unavailable)
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    say(f"nearest to {answer.item.title}")
    _print(answer.entries)


@click.command()
@click.argument("text", metavar="TEXT")
@k_option
@filter_options
@tenant_option
@json_option
@reports_errors
def query(text: str, k: int, tenant: str, as_json: bool, **filters: Any) -> None:
    """The items that fit TEXT, by what it means."""
    from shared.api.calls import made
    from shared.api.recommend_lists import QueryBody

    body = made(QueryBody, text=text, k=k, filters=_filters(hide="none", **filters))
    with _lists() as lists:
        answer = lists.query(tenant, body)
    if as_json:
        print_json(answer.model_dump(mode="json"))
        return
    _print(answer.entries)
    _tell_missing(answer.missing)


@contextmanager
def _lists() -> Iterator[ListService]:
    """The lists of this installation."""
    from apps.recommend.bootstrap import recommender
    from models.registry import ModelRegistry

    settings = Settings()
    with database(settings) as engine:
        wired = recommender(settings, engine, ModelRegistry(settings.models))
        try:
            yield wired.lists
        finally:
            wired.tenants.stop()


def _filters(
    *,
    hide: str,
    categories: tuple[str, ...],
    excluded: tuple[str, ...],
    min_price: float | None,
    max_price: float | None,
    unavailable: bool,
    attributes: tuple[str, ...],
) -> FilterShape:
    from shared.api.calls import made
    from shared.api.recommend_lists import FilterShape

    values: dict[str, list[str]] = {}
    for attribute in attributes:
        name, sign, value = attribute.partition("=")
        if not sign or not name.strip():
            raise SettingsError(f"--attribute is NAME=VALUE, as in colour=green; not {attribute!r}")
        values.setdefault(name, []).append(value)
    return made(
        FilterShape,
        categories=list(categories),
        exclude_categories=list(excluded),
        min_price=min_price,
        max_price=max_price,
        available_only=not unavailable,
        attributes=values,
        hide=hide,
    )


def _print(entries: list[EntryShape] | list[ScoredItem]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    reasoned = any(getattr(entry, "reasons", None) for entry in entries)
    table = Table()
    for title in ("item", "title", "category", "price", "score", *(["why"] if reasoned else [])):
        table.add_column(title, overflow="fold")
    for entry in entries:
        cells = [*_cells(entry.item), f"{entry.score:.3f}"]
        if reasoned:
            cells.append(_why(getattr(entry, "reasons", None)))
        table.add_row(*(escape(cell) for cell in cells))
    Console().print(table)


def _cells(item: ItemSummary) -> tuple[str, str, str, str]:
    price = "" if item.price is None else f"{item.price:,.2f}"
    return item.id, item.title, item.category or "", price


def _why(reasons: ReasonsShape | None) -> str:
    if reasons is None:
        return ""
    told = [f"{one.type} {one.title or one.item} ({one.share:.0%})" for one in reasons.because[:3]]
    if reasons.popular >= 0.005:
        told.append(f"popular ({reasons.popular:.0%})")
    if reasons.nearest:
        told.append(f"new; near {reasons.nearest.title or reasons.nearest.item}")
    return ", ".join(told)


def _tell_missing(missing: list[MissingShape]) -> None:
    if missing:
        told = ", ".join(f"{one.reason} {one.items:,}" for one in missing)
        say(f"shorter than asked for; taken out: {told}")
