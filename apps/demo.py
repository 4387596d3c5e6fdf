"""``triptych demo``: the main job, on what the project ships. No hub, no server, no key."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from shared.command_line import reports_errors, say
from shared.settings import Settings

TARGET_ERROR = 0.1
"""At most 10 in 100 automatic answers wrong. The shipped sample is hard on purpose, and its 238
validation messages are too few to certify 5, let alone the usual 2."""

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
    """Fine-tune the support desk on the shipped sample, show how good it is, and serve it."""
    if serve:
        _check_ports(port, ui_port)
    settings = Settings()
    train_support(settings, seed)
    show_decisions(settings)
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


def serve_all(port: int, ui_port: int) -> None:
    """Run the API and the pages until one of them ends or Ctrl-C."""
    triptych = [sys.executable, "-m", "apps.cli"]
    commands = (
        [*triptych, "serve", "--port", str(port)],
        [*triptych, "ui", "--port", str(ui_port), "--api-url", f"http://127.0.0.1:{port}"],
    )
    say(f"API http://127.0.0.1:{port} · pages http://127.0.0.1:{ui_port} · Ctrl-C ends both")
    processes = [subprocess.Popen(command) for command in commands]
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
