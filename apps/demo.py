"""``triptych demo``: the main job, on what the project ships. No hub, no server, no key."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from shared.command_line import database, reports_errors, say
from shared.settings import Settings

if TYPE_CHECKING:
    from apps.finance.samples.demo_server import DemoServer

TARGET_ERROR = 0.1
"""At most 10 in 100 automatic answers wrong. The shipped sample is hard on purpose, and its 238
validation messages are too few to certify 5, let alone the usual 2."""

FINANCE_EPOCHS = 5
"""Fewer than the default for so small a sample: the demo has three minutes for everything."""

ALERTS_SHOWN = 10
REASONS_SHOWN = 2
"""Of each entry of a list, the greatest ones."""

MESSAGES = (
    "where on earth is my parcel, it shoud be here since monday",
    "hi! my new kettle came with a broken lid",
    "I want to send it back... or maybe just swap it for a bigger one?",
    "what is the capital of Mongolia",
)


@click.command()
@click.option("--serve/--no-serve", default=True, help="Serve the API and the pages afterwards.")
@click.option("--port", default=8000, show_default=True, help="Of the API.")
@click.option("--ui-port", default=8501, show_default=True, help="Of the pages.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(min=0))
@reports_errors
def demo(serve: bool, port: int, ui_port: int, seed: int) -> None:
    """Fine-tune each app on what the project ships, show what it does, and serve them all."""
    if serve:
        _check_ports(port, ui_port)
    from apps.finance.samples.demo_server import serve as serve_feeds

    settings = Settings()
    train_support(settings, seed)
    show_decisions(settings)
    train_finance(settings, seed)
    now = datetime.now(UTC)
    with serve_feeds(now=now) as feeds:
        show_monitor(settings, feeds, now)
        show_recommender(settings, seed, now)
        if serve:
            serve_all(port, ui_port)


def train_support(settings: Settings, seed: int) -> None:
    """Train on the shipped sample, register, promote through the gate, and print the table."""
    from apps.support.conversation.knowledge import APP, SAMPLE_SOURCE
    from apps.support.learning.training_data import load_source
    from data_connectors.data_source import DataSource
    from models.training_run import train_and_gate
    from shared.evaluation.summary_table import print_summary
    from shared.finetuning.recipe import make_recipe

    trained = train_and_gate(
        load_source(DataSource(SAMPLE_SOURCE), settings),
        app=APP,
        recipe=make_recipe(method="auto", seed=seed, target_error=TARGET_ERROR),
        settings=settings,
        source=SAMPLE_SOURCE,
        author="demo",
        now=datetime.now(UTC),
        promote=True,
        announce="Support desk: fine-tuning on the shipped sample of an invented shop's inbox",
    )
    print_summary(trained.summary)
    click.echo(f"report: {trained.version.folder / 'report.html'}")


def show_decisions(settings: Settings, messages: Sequence[str] = MESSAGES) -> None:
    """What the desk would do with a few messages, as a table."""
    from rich.console import Console
    from rich.table import Table

    from apps.support.conversation.decision import DecisionPolicy
    from apps.support.conversation.knowledge import APP
    from models.registry import ModelRegistry
    from models.text_classifier import TextPredictor

    predictor = TextPredictor.load(ModelRegistry(settings.models).get(APP))
    policy = DecisionPolicy(answer_threshold=predictor.answer_threshold)
    table = Table(title="what the desk does")
    for title in ("message", "decision", "intent", "confidence"):
        table.add_column(title)
    for message, prediction in zip(messages, predictor.predict(messages), strict=True):
        decision = policy.decide(prediction)
        table.add_row(message, decision.action, prediction.label, f"{prediction.confidence:.2f}")
    Console().print(table)


def train_finance(settings: Settings, seed: int) -> None:
    """Train the monitor's sentiment model on the shipped headlines and print the table."""
    from apps.finance.training_data import APP, DEFAULTS, MEASURED_BY, SAMPLE_SOURCE, load_source
    from data_connectors.data_source import DataSource
    from models.training_run import train_and_gate
    from shared.evaluation.summary_table import print_summary
    from shared.finetuning.recipe import make_recipe

    fields = {**DEFAULTS, "seed": seed, "target_error": TARGET_ERROR, "epochs": FINANCE_EPOCHS}
    trained = train_and_gate(
        load_source(DataSource(SAMPLE_SOURCE), settings),
        app=APP,
        recipe=make_recipe(**fields),
        settings=settings,
        source=SAMPLE_SOURCE,
        author="demo",
        now=datetime.now(UTC),
        promote=True,
        announce="Finance monitor: fine-tuning on headlines about invented and real companies",
        measured_by=MEASURED_BY,
    )
    print_summary(trained.summary)


def show_monitor(settings: Settings, feeds: DemoServer, now: datetime) -> None:
    """Let ten days of the sample feeds go by, and print where companies stand and what fired."""
    from rich.console import Console
    from rich.table import Table

    from apps.finance.demonstration import STEP, play_sample_feeds
    from apps.finance.scoring.in_use import scorer_for
    from models.registry import ModelRegistry
    from shared.finetuning.progress import ConsoleProgress

    with database(settings) as engine, ConsoleProgress() as report:
        scorer = scorer_for(settings, ModelRegistry(settings.models), engine)
        report.start("ten days of news", len(feeds.moments(STEP)), unit="poll")
        played = play_sample_feeds(engine, scorer, feeds, now=now, advance=report.advance)
        report.finish()
    counts = played.counts
    click.echo(
        f"{counts.polls} polls of {len(feeds.urls)} feeds: {counts.entries} entries read, "
        f"{counts.repeats} known before, {counts.stories} stories, {counts.revisions} reworded, "
        f"{counts.rejected} rejected; {len(played.alerts)} alerts"
    )
    console = Console()
    table = Table(title="where the news moves companies (index from -1 to 1; all of it invented)")
    for title in ("company", "index"):
        table.add_column(title)
    for name, stands in played.readings:
        table.add_row(name, f"{stands.value:+.2f}")
    console.print(table)
    table = Table(title="alerts")
    for title in ("when (UTC)", "rule", "about", "stories"):
        table.add_column(title)
    for alert in played.alerts[:ALERTS_SHOWN]:
        when = f"{alert.fired_at:%Y-%m-%d %H:%M}"
        stories = str(len(alert.story_ids))
        table.add_row(
            when, str(alert.rule["name"]), alert.subject.removeprefix("company:"), stories
        )
    console.print(table)


def show_recommender(settings: Settings, seed: int, now: datetime) -> None:
    """Fit the recommender on the shipped catalogue, and print a shopper's list with reasons."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from apps.recommend.demonstration import DIVERSITY, demonstrate
    from apps.recommend.page_parts.reasons import deed, reason_parts
    from apps.recommend.tenants import DEFAULT_TENANT
    from apps.recommend.training_table import print_training
    from models.promotion_audit import audited_registry

    say("Recommender: fitting on the shipped catalogue and generated behaviour")
    with database(settings) as engine:
        registry = audited_registry(settings)
        shown = demonstrate(settings, engine, registry, seed=seed, now=now, say=say)
    if shown.tenant != DEFAULT_TENANT:
        say(f"your catalogue stays as it is: the sample is in that of the tenant {shown.tenant}")
    print_training(shown.summary)
    click.echo("The behaviour is synthetic: a generator made it up, and no person did any of it.")
    lately = "; ".join(deed(type, title) for type, title in shown.lately)
    click.echo(f"{shown.user}, {shown.answer.events} events, the newest first: {lately}; ...")
    table = Table(title=f"what the shop shows {shown.user} (diversity {DIVERSITY:g})")
    for heading in ("item", "why"):
        table.add_column(heading, overflow="fold")
    for entry in shown.answer.entries:
        parts = reason_parts(entry.reasons)[:REASONS_SHOWN] if entry.reasons else []
        why = "\n".join(part.sentence for part in parts)
        table.add_row(escape(entry.item.title), escape(why), end_section=True)
    Console().print(table)


def serve_all(port: int, ui_port: int) -> None:
    """Run the API, the watcher of feeds and the pages until one of them ends or Ctrl-C."""
    triptych = [sys.executable, "-m", "apps.cli"]
    commands = (
        [*triptych, "serve", "--port", str(port)],
        [*triptych, "finance", "watch"],
        [*triptych, "ui", "--port", str(ui_port), "--api-url", f"http://127.0.0.1:{port}"],
    )
    say(f"API http://127.0.0.1:{port} · pages http://127.0.0.1:{ui_port} · Ctrl-C ends all")
    # The sample feeds come from this machine: users' own feeds may not, unless they are named.
    environment = {**os.environ, "TRIPTYCH_ALLOWED_ADDRESSES": "127.0.0.1"}
    processes = [subprocess.Popen(command, env=environment) for command in commands]
    try:
        while all(process.poll() is None for process in processes):
            time.sleep(0.5)
    except KeyboardInterrupt:
        say("ending")
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def _check_ports(port: int, ui_port: int) -> None:
    """Refuse before the training, not after it, when a port is taken."""
    from apps.commands.serving import listen

    listen("127.0.0.1", port).close()
    listen("127.0.0.1", ui_port, option="--ui-port").close()
