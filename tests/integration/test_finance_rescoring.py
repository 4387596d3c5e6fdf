"""Stories scored again after a promotion: in batches, once each, with no alert for old news."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, func, select, update

import apps.finance.scoring.in_use
from apps.finance.alerts.live import evaluate_rules
from apps.finance.alerts.rule_store import RuleStore
from apps.finance.alerts.store import AlertStore
from apps.finance.commands.rescore import rescore
from apps.finance.entities.companies import watch
from apps.finance.ingest.assembly import side_jobs
from apps.finance.ingest.pipeline import Ingestion
from apps.finance.ingest.rescoring import Rescored, Rescoring
from apps.finance.records import StoryScore, StoryText
from apps.finance.sentiment_index.queries import index_points
from apps.finance.serving.overview import OverviewService
from data_connectors.feed_parsing import FeedEntry
from models.registry import ModelRegistry
from shared.settings import Settings
from shared.storage.engine import open_database, reading
from shared.storage.finance_tables import alert_rule_states, alerts, mentions, stories
from tests.fakes.feed_fetcher import CannedFetcher
from tests.fakes.story_scorer import WordScorer

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ROOT = Path(__file__).parents[2]
NEUTRAL = "words-0"
KNOWING = "words-1"
COMPANIES = {"Siemens": "siemens"}


class Unsure(WordScorer):
    """The version before: all news is neutral to it, and speaks of nobody."""

    def score(self, stories: Sequence[StoryText]) -> list[StoryScore]:
        return super().score([StoryText("Words", "") for _ in stories])


def rescoring(engine: Engine, scorer: WordScorer | None = None, **options: Any) -> Rescoring:
    used = scorer or WordScorer(KNOWING, COMPANIES)
    return Rescoring(engine, used, in_use=lambda: used.version, **options)


def read(
    engine: Engine, scorer: WordScorer, titles: Sequence[str], at: datetime = NOW, **options: Any
) -> None:
    """Stories read a minute apart, the last one at ``at``."""
    ingestion = Ingestion(engine, CannedFetcher(), scorer, **options)
    for place, title in enumerate(titles):
        moment = at - (len(titles) - 1 - place) * MINUTE
        entry = FeedEntry(
            guid=f"{moment:%d%H%M%S}-{place}", title=title, summary="", updated_at=None, link=None,
            author=None, publisher=None, published_at=moment,
        )  # fmt: skip
        ingestion.ingest_entries("feed:1", "Wire", [entry], moment)


def distinct(count: int, word: str = "falls") -> list[str]:
    return [f"Siemens {word} w{n}a w{n}b w{n}c w{n}d w{n}e" for n in range(count)]


def versions(engine: Engine) -> dict[str, int]:
    query = select(stories.c.version, func.count()).group_by(stories.c.version)
    with reading(engine) as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def moods(engine: Engine) -> list[tuple[datetime, float | None]]:
    with reading(engine) as connection:
        points = index_points(
            connection, "company:siemens", step="hour", since=NOW - 3 * HOUR, until=NOW + HOUR
        )
    return [(point.at, point.value) for point in points]


def test_stories_are_scored_again_the_newest_first_and_each_once(engine: Engine) -> None:
    read(engine, Unsure(NEUTRAL), distinct(5))
    work = rescoring(engine, batch=2)
    assert work.waiting() == 5
    assert work.step(NOW + HOUR) == Rescored(taken=2, written=2, changed=2)
    newest = select(stories.c.title).where(stories.c.version == KNOWING)
    with reading(engine) as connection:
        assert set(connection.scalars(newest)) == set(distinct(5)[-2:])
    assert work.some(NOW + HOUR, since=NOW - timedelta(days=7)) == Rescored(3, 3, 3)
    assert work.step(NOW + HOUR) == Rescored()
    assert versions(engine) == {KNOWING: 5}
    with reading(engine) as connection:
        rows = connection.execute(select(stories.c.scored_at, stories.c.rescored_at)).all()
        about = connection.execute(select(mentions.c.story_id, mentions.c.version)).all()
    assert {row.rescored_at for row in rows} == {NOW + HOUR}
    assert max(row.scored_at for row in rows) == NOW  # when it was first scored stays
    assert [version for _, version in about] == [KNOWING] * 5
    assert len({story for story, _ in about}) == 5


def test_only_stories_of_the_last_days_and_some_at_a_time(sqlite_engine: Engine) -> None:
    read(sqlite_engine, Unsure(NEUTRAL), distinct(3), at=NOW - timedelta(days=9))
    read(sqlite_engine, Unsure(NEUTRAL), distinct(9, "rises"))
    work = rescoring(sqlite_engine, batch=2)
    week = NOW - timedelta(days=7)
    assert work.waiting(since=week) == 9
    assert work.some(NOW, since=week, batches=3).written == 6
    assert work.some(NOW, since=week).written == 3
    assert versions(sqlite_engine) == {NEUTRAL: 3, KNOWING: 9}


def test_the_index_is_as_if_the_version_had_scored_from_the_first(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    titles = [*distinct(4), *distinct(3, "rises"), "Siemens soars on record orders abroad"]
    read(sqlite_engine, Unsure(NEUTRAL), titles)
    assert {value for _, value in moods(sqlite_engine)} <= {None, 0.0}
    while rescoring(sqlite_engine, batch=3).step(NOW + HOUR).taken:
        pass
    fresh = open_database(f"sqlite:///{tmp_path / 'fresh.sqlite3'}")
    read(fresh, WordScorer(KNOWING, COMPANIES), titles)
    assert moods(sqlite_engine) == moods(fresh)
    assert any(value for _, value in moods(fresh))
    fresh.dispose()


def add_rules(engine: Engine) -> None:
    watch(engine, "siemens", added_by="Ada", now=NOW - 9 * HOUR)
    rules = RuleStore(engine)
    for kind, scope, given in (
        ("threshold", "company:*", {"level": -0.2, "min_stories": 1}),
        ("burst", "company:*", {"min_stories": 2, "within_hours": 6}),
        ("fall", "company:*", {"points": 0.2, "within_hours": 6, "min_stories": 1}),
        ("event", "company:*", {"events": ["insolvency"], "within_hours": 48}),
    ):
        rules.add(
            name=kind, kind=kind, scope=scope, parameters=given, author="Ada", now=NOW - 9 * HOUR
        )


def fired(engine: Engine, now: datetime) -> list[str]:
    with engine.begin() as connection:
        return sorted(firing.rule.kind for firing in evaluate_rules(connection, now))


BAD = [*distinct(3), "Siemens supplier nears bankruptcy and nobody helps"]


def test_old_stories_raise_no_alert_when_they_are_scored_again(engine: Engine) -> None:
    add_rules(engine)
    read(engine, Unsure(NEUTRAL), BAD)
    assert fired(engine, NOW) == []
    work = rescoring(engine, batch=3)
    moment = NOW
    while work.step(moment + MINUTE).taken:
        moment += MINUTE
        assert fired(engine, moment) == []  # a round of the watcher between two batches
    assert fired(engine, moment + MINUTE) == []
    assert AlertStore(engine).page(now=NOW + HOUR).alerts == ()
    # The scores themselves would have raised them: without the memory of the rules they do.
    with engine.begin() as connection:
        connection.execute(alert_rule_states.delete())
    assert fired(engine, moment + 2 * MINUTE) == ["burst", "event", "fall", "threshold"]


def test_new_stories_raise_alerts_after_old_ones_were_scored_again(sqlite_engine: Engine) -> None:
    add_rules(sqlite_engine)
    read(sqlite_engine, Unsure(NEUTRAL), BAD)
    assert rescoring(sqlite_engine).step(NOW + MINUTE).written == 4
    later = NOW + 2 * HOUR
    read(
        sqlite_engine,
        WordScorer(KNOWING, COMPANIES),
        ["Siemens rival in bankruptcy court today"],
        later,
    )
    assert fired(sqlite_engine, later) == ["event"]
    (alert,) = AlertStore(sqlite_engine).page(now=later).alerts
    assert len(alert.story_ids) == 1


def test_what_was_told_before_is_not_told_again_and_what_waited_still_is(engine: Engine) -> None:
    add_rules(engine)
    knowing = WordScorer(NEUTRAL, COMPANIES)  # the version before was right already
    read(engine, knowing, BAD)
    assert fired(engine, NOW) == ["burst", "event", "fall", "threshold"]
    waits = NOW + MINUTE
    read(engine, knowing, ["Siemens customer in bankruptcy x1 x2 x3 x4"], waits)
    assert fired(engine, waits) == []  # the event rule cools down: it will tell of this one
    assert rescoring(engine).step(waits).written == 5
    assert fired(engine, waits + MINUTE) == []
    rule = next(one for one in RuleStore(engine).list() if one.kind == "event")
    cool = timedelta(hours=rule.parameters.cooldown_hours)
    assert "event" in fired(engine, waits + cool)
    with reading(engine) as connection:
        told = connection.scalars(
            select(alerts.c.story_ids).where(alerts.c.rule_id == rule.id)
        ).all()
    assert sorted(len(ids) for ids in told) == [1, 1]


def test_a_story_that_changes_while_the_model_works_stays_in_line(sqlite_engine: Engine) -> None:
    read(sqlite_engine, Unsure(NEUTRAL), distinct(2))

    class Interrupted(WordScorer):
        def score(self, given: Sequence[StoryText]) -> list[StoryScore]:
            with sqlite_engine.begin() as connection:
                connection.execute(
                    update(stories)
                    .where(stories.c.title == distinct(2)[0])
                    .values(title="Siemens rises after all w0a w0b w0c w0d")
                )
            return super().score(given)

    work = rescoring(sqlite_engine, Interrupted(KNOWING, COMPANIES))
    assert work.step(NOW) == Rescored(taken=2, written=1, changed=1)
    assert versions(sqlite_engine) == {NEUTRAL: 1, KNOWING: 1}
    assert work.step(NOW).written == 1
    with reading(sqlite_engine) as connection:
        assert set(connection.scalars(select(stories.c.label))) == {"positive", "negative"}


def test_nothing_is_done_by_a_version_that_is_not_in_use(sqlite_engine: Engine) -> None:
    read(sqlite_engine, Unsure(NEUTRAL), distinct(2))
    behind = Rescoring(sqlite_engine, WordScorer("words-9"), in_use=lambda: KNOWING)
    assert behind.step(NOW) == Rescored()
    assert Rescoring(sqlite_engine, WordScorer(None), in_use=lambda: None).step(NOW) == Rescored()
    assert versions(sqlite_engine) == {NEUTRAL: 2}


def test_a_story_that_the_scorer_fails_on_does_not_stop_those_before_it(engine: Engine) -> None:
    read(
        engine,
        Unsure(NEUTRAL),
        [*distinct(5), "Siemens breaks all w6a w6b w6c", *distinct(1, "up")],
    )
    work = rescoring(engine, WordScorer(KNOWING, COMPANIES, fails_on="breaks"), batch=2)
    done = sum((work.step(NOW) for _ in range(6)), Rescored())
    assert (done.taken, done.written, done.failed) == (7, 6, 1)
    assert versions(engine) == {KNOWING: 6, NEUTRAL: 1}
    assert work.step(NOW).taken == 0
    assert work.waiting() == 1
    assert rescoring(engine).step(NOW).written == 1


def test_two_at_once_do_no_harm(engine: Engine) -> None:
    read(engine, Unsure(NEUTRAL), distinct(24))

    def work() -> None:
        one = rescoring(engine, batch=3)
        while one.step(NOW).taken:
            pass

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert versions(engine) == {KNOWING: 24}
    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(mentions)) == 24


def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'triptych.sqlite3'}"
    engine = open_database(url)
    titles = [title.replace("Siemens", "Acme") for title in distinct(48)]
    read(engine, Unsure(NEUTRAL), titles)
    command = [sys.executable, "-m", "tests.fakes.rescoring_process", url, KNOWING]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    kept = [0]
    for _ in range(2):
        process = subprocess.Popen([*command, "0.3"], cwd=ROOT, env=environment)
        deadline = time.monotonic() + 30
        while versions(engine).get(KNOWING, 0) <= kept[-1]:
            assert time.monotonic() < deadline, "nothing was scored"
            time.sleep(0.02)
        process.kill()
        process.wait(timeout=10)
        kept.append(versions(engine)[KNOWING])
    assert 0 < kept[1] < kept[2] < 48, "it was killed before or after its work: no test"
    subprocess.run([*command, "0"], cwd=ROOT, env=environment, check=True, timeout=60)
    assert versions(engine) == {KNOWING: 48}
    with reading(engine) as connection:
        about = connection.scalars(select(mentions.c.story_id)).all()
    assert (len(about), len(set(about))) == (48, 48)
    engine.dispose()


def in_use(settings: Settings) -> str:
    registry = ModelRegistry(settings.models)

    def write(folder: Path) -> None:
        (folder / "gate.jsonl").write_text("")

    version = registry.add("finance", card={"labels": ["a"]}, write=write, now=NOW)
    registry.promote("finance", version, gate=None, author="Ada", now=NOW)
    return version.name


def test_the_command_says_what_it_did_and_the_second_time_that_nothing_is_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path, database_url=None)
    name = in_use(settings)
    engine = open_database(settings.database)
    read(engine, Unsure(NEUTRAL), distinct(3), at=datetime.now(UTC))
    monkeypatch.setattr(
        apps.finance.scoring.in_use, "scorer_for", lambda *_, **__: WordScorer(name, COMPANIES)
    )
    environment = {"TRIPTYCH_HOME": str(tmp_path), "TRIPTYCH_DATABASE_URL": None}

    def run(*options: str) -> dict[str, Any]:
        result = CliRunner().invoke(rescore, [*options, "--json"], env=environment)
        assert result.exit_code == 0, result.stderr
        told: dict[str, Any] = json.loads(result.stdout)
        assert told.pop("seconds") >= 0
        return told

    nothing = {"version": name, "taken": 0, "written": 0, "changed": 0, "failed": 0, "left": 0}
    assert run("--since", "1d") == {**nothing, "taken": 3, "written": 3, "changed": 3}
    assert run() == nothing
    assert run("--again") == {**nothing, "taken": 3, "written": 3}
    result = CliRunner().invoke(rescore, [], env=environment)
    assert f"all stories are scored by {name}" in result.stderr
    engine.dispose()


def test_the_watcher_scores_again_by_itself_unless_told_not_to(
    sqlite_engine: Engine, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    read(sqlite_engine, Unsure(NEUTRAL), distinct(2), at=now)
    work = rescoring(sqlite_engine)
    ingestion = Ingestion(sqlite_engine, CannedFetcher(), WordScorer(KNOWING), rescoring=work)
    with side_jobs(Settings(home=tmp_path, rescore_days=0), sqlite_engine, ingestion) as jobs:
        assert [job.id for job in jobs] == ["deliver"]
    with side_jobs(Settings(home=tmp_path, rescore_days=1), sqlite_engine, ingestion) as jobs:
        next(job for job in jobs if job.id == "rescore").run(now)
    assert versions(sqlite_engine) == {KNOWING: 2}


def test_how_far_it_is_can_be_asked(engine: Engine) -> None:
    read(engine, Unsure(NEUTRAL), distinct(2), at=NOW - timedelta(days=9))
    read(engine, Unsure(NEUTRAL), distinct(3, "rises"))
    read(engine, WordScorer(None), distinct(1, "wins"), at=NOW + MINUTE)
    rescoring(engine, batch=2).step(NOW)
    scorer = WordScorer(KNOWING)
    overview = OverviewService(
        engine=engine,
        scorer=scorer,  # type: ignore[arg-type]
        clock=lambda: NOW,
        rescore_days=7,
    )
    found = overview.scored_by()
    assert (found.version, found.days, found.waiting) == (KNOWING, 7, 1)
    assert [(one.version, one.stories, one.lately) for one in found.versions] == [
        (KNOWING, 2, 2),
        (NEUTRAL, 3, 1),
    ]
