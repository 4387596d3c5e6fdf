"""What the three apps show while they run: metrics, lines of the log, traces; who names them."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, insert

from apps.finance.serving.stored_gauges import finance_gauges
from apps.recommend.serving.watched import recommend_gauges
from apps.support.stored_gauges import support_gauges
from shared.serving.watching.logs import RequestContext
from shared.serving.watching.telemetry import Traces
from shared.storage.engine import open_database
from shared.storage.finance_tables import (
    alert_rules,
    alert_targets,
    alerts,
    counters,
    deliveries,
    feeds,
    leases,
    stories,
)
from shared.storage.monitoring_tables import drift_checks
from shared.storage.recommend_tables import catalogue_state
from tests.fakes.watched_api import WatchedApi, watched_api

pytestmark = pytest.mark.integration

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCUMENT = Path(__file__).parents[2] / "docs" / "monitoring.md"
RULES = DEPLOY / "prometheus" / "alerts.yml"
NOW = datetime.now(UTC).replace(microsecond=0)
ADDED_BY_PROMETHEUS = {"instance", "job", "alertname", "alertstate"}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchedApi]:
    with watched_api(tmp_path_factory.mktemp("watched")) as made:
        fall_behind(made.engine)
        made.use_everything()
        yield made


def ago(**time: float) -> datetime:
    return NOW - timedelta(**time)


def fall_behind(engine: Engine) -> None:
    """Feeds that lag, a story without a score, deliveries that fail, fits that are old."""

    def feed(name: str, **fields: Any) -> dict[str, Any]:
        row = {"id": name, "url": f"https://{name}.test", "name": name, "state": "active"}
        row |= {"interval_seconds": 900, "failures": 0, "added_by": "t", "created_at": ago(days=9)}
        return {**row, "update_after": None, "last_success_at": None, **fields}

    def story(id: str, **fields: Any) -> dict[str, Any]:
        row = {"id": id, "kind": "news", "title": id, "text": "", "published_at": ago(hours=1)}
        row |= {"first_seen_at": ago(minutes=40), "updated_at": NOW, "novelty": 1.0}
        return {**row, "label": None, "scored_at": None, **fields}

    def delivery(id: str, **fields: Any) -> dict[str, Any]:
        row = {"id": id, "alert_id": "a", "target_id": id, "channel": "webhook", "address": "x"}
        row |= {"payload": {}, "attempts": 0, "next_attempt_at": None, "delivered_at": None}
        return {**row, **fields}

    signals = [{"name": "labels", "drifted": True, "value": 0.31}]
    rows: Mapping[Any, list[dict[str, Any]]] = {
        feeds: [
            feed("late", update_after=ago(minutes=30), last_success_at=ago(hours=5)),
            feed("early", update_after=ago(minutes=-5), last_success_at=ago(hours=1), failures=2),
            feed("muted", state="muted", update_after=ago(days=3)),
        ],
        stories: [
            story("waits"),
            story("scored", label="negative", scored_at=ago(minutes=5)),
            story("old", label="positive", scored_at=ago(hours=3), first_seen_at=ago(hours=3)),
        ],
        alert_rules: [],
        alerts: [
            {"id": "a", "rule_id": "r", "rule": {}, "subject": "all", "fired_at": NOW}
            | {"numbers": {}, "story_ids": [], "state": "open", "note": ""}
        ],
        alert_targets: [],
        deliveries: [
            delivery("sent", delivered_at=NOW, attempts=1),
            delivery("waits", next_attempt_at=ago(minutes=2)),
            delivery("retried", next_attempt_at=ago(minutes=-9), attempts=3),
            delivery("given-up", attempts=48),
        ],
        leases: [
            {"name": "finance.watch", "holder": "h", "acquired_at": NOW, "expires_at": ago(hours=2)}
        ],
        counters: [{"name": "finance.watch.missed_runs", "value": 4}],
        drift_checks: [
            {"app": "support", "version": "v1", "at": NOW}
            | {"report": {"app": "support", "at": NOW.isoformat(), "signals": signals}}
        ],
        catalogue_state: [
            {"tenant": "default", "events_at_refit": 1, "settings": {}, "refit_error": None}
            | {"refit_requested_at": ago(hours=1), "refit_started_at": ago(days=2)}
            | {"refit_finished_at": ago(days=2)},
            {"tenant": "shoes", "events_at_refit": 1, "settings": {}, "refit_error": "no events"}
            | {"refit_requested_at": None, "refit_started_at": ago(days=1)}
            | {"refit_finished_at": ago(days=1)},
        ],
    }
    with engine.begin() as connection:
        for table, values in rows.items():
            for value in values:
                connection.execute(insert(table).values(value))


def test_gauges_read_the_same_on_both_databases(database_url: str) -> None:
    engine = open_database(database_url)
    try:
        fall_behind(engine)
        read = [
            *finance_gauges(engine)(NOW),
            *recommend_gauges(engine)(NOW),
            *support_gauges(engine)(NOW),
        ]
    finally:
        engine.dispose()
    found = {(one.name, *labels): value for one in read for labels, value in one.values.items()}
    assert found["triptych_feed_due_timestamp_seconds",] == ago(minutes=30).timestamp()
    assert found["triptych_deliveries", "retried"] == 1
    assert found["triptych_stories_scored_last_hour", "negative"] == 1
    assert found["triptych_stories_scored_last_hour", "positive"] == 0
    assert found["triptych_recommend_fit_asked_timestamp_seconds",] == ago(hours=1).timestamp()
    assert found["triptych_recommend_fit_timestamp_seconds",] == ago(days=2).timestamp()
    assert found["triptych_support_conversations", "waiting"] == 0
    assert ("triptych_support_waiting_timestamp_seconds",) not in found


def test_gauges_say_how_far_the_system_is_behind(api: WatchedApi) -> None:
    seen = {
        "feeds": api.value("triptych_feeds", state="active"),
        "muted": api.value("triptych_feeds", state="muted"),
        "failing": api.value("triptych_feeds_failing"),
        "due": api.value("triptych_feed_due_timestamp_seconds"),
        "read": api.value("triptych_feed_read_timestamp_seconds"),
        "waiting": api.value("triptych_stories_waiting"),
        "since": api.value("triptych_story_waiting_timestamp_seconds"),
        "index": api.value("triptych_index_timestamp_seconds"),
        "negative": api.value("triptych_stories_scored_last_hour", label="negative"),
        "positive": api.value("triptych_stories_scored_last_hour", label="positive"),
        "to send": api.value("triptych_deliveries", state="waiting"),
        "retried": api.value("triptych_deliveries", state="retried"),
        "given up": api.value("triptych_deliveries", state="given_up"),
        "send at": api.value("triptych_delivery_due_timestamp_seconds"),
        "lease": api.value("triptych_watcher_lease_timestamp_seconds"),
        "missed": api.value("triptych_watcher_missed_runs"),
        "fit": api.value("triptych_recommend_fit_timestamp_seconds"),
        "fits failed": api.value("triptych_recommend_fits_failed"),
        "fit asked": api.value("triptych_recommend_fit_asked_timestamp_seconds"),
    }
    assert seen == {
        "feeds": 2,
        "muted": 1,
        "failing": 1,
        "due": ago(minutes=30).timestamp(),
        "read": ago(hours=5).timestamp(),
        "waiting": 1,
        "since": ago(minutes=40).timestamp(),
        "index": ago(minutes=5).timestamp(),
        "negative": 1,
        "positive": 0,
        "to send": 2,
        "retried": 1,
        "given up": 1,
        "send at": ago(minutes=2).timestamp(),
        "lease": ago(hours=2).timestamp(),
        "missed": 4,
        "fit": ago(days=2).timestamp(),
        "fits failed": 1,
        "fit asked": ago(hours=1).timestamp(),
    }


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[WatchedApi]:
    with watched_api(tmp_path) as made:
        made.use_everything()
        yield made


def test_the_apps_count_what_they_say(fresh: WatchedApi) -> None:
    api = fresh
    actions = {
        action: api.value("triptych_support_actions_total", action=action)
        for action in ("answer", "clarify", "handoff")
    }
    assert actions == {"answer": 1, "clarify": 1, "handoff": 2}
    assert api.value("triptych_labels_total", app="support", label="refund") == 1
    assert api.value("triptych_labels_total", app="finance", label="positive") == 1
    assert api.value("triptych_confidence_count", app="support") == 4
    assert api.value("triptych_support_conversations", owner="waiting") == 1
    assert api.value("triptych_recommend_lists_total", kind="user", history="known") == 1
    assert api.value("triptych_recommend_short_lists_total", kind="session") == 1
    assert api.value("triptych_recommend_impressions_total", kind="user") == 1
    assert api.value("triptych_recommend_clicks_total") == 1  # the second click is the same one
    assert api.value("triptych_problems_total", error="not_found") == 1
    assert api.value("triptych_problems_total", error="invalid_request") == 1
    classified = {"route": "/v1/support/classify", "method": "POST", "status": "200"}
    assert api.value("triptych_requests_total", **classified) == 1
    assert api.value("triptych_batch_texts_sum", app="support") == 4
    assert api.value("triptych_queue_texts", app="support") == 0
    assert api.value("triptych_requests_in_flight") == 0
    assert api.value("triptych_model_info", app="support", version="v1") == 1


def test_a_request_that_is_being_answered_is_in_flight(
    api: WatchedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []
    count = api.metrics.reading

    def look(*given: Any) -> None:
        seen.append(api.value("triptych_requests_in_flight"))
        count(*given)

    monkeypatch.setattr(api.metrics, "reading", look)
    api.post("/v1/finance/score", texts=["Profit rises at Siemens"])
    assert seen == [1]
    assert api.client.get("/metrics").text.count("triptych_requests_in_flight 0.0") == 1


def test_every_line_of_a_request_has_its_id(
    api: WatchedApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(RequestContext())
    caplog.set_level(logging.INFO)
    paths = {
        "/v1/support/classify": {"texts": ["refund"]},
        "/v1/finance/score": {"texts": ["Profit rises at Siemens"]},
        "/v1/recommend/users/ann/list": {},
    }
    for number, (path, body) in enumerate(paths.items()):
        headers = {"X-Request-ID": f"given-{number}"}
        assert api.client.post(path, json=body, headers=headers).status_code == 200
    api.client.get("/healthz")
    told = [
        (getattr(record, "request_id", None), record.getMessage())
        for record in caplog.records
        if record.name == "shared.serving.watching.tracing"
    ]
    assert [id for id, _ in told] == ["given-0", "given-1", "given-2"]
    assert "POST /v1/support/classify 200 in" in told[0][1]
    assert "ann" not in told[2][1]


def test_one_request_is_one_trace(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    traces = Traces(exporter=exporter, at_once=True)
    with watched_api(tmp_path, traces=traces) as made:
        traces.watch_database(made.engine)
        exporter.clear()
        made.client.get("/healthz")
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01", "X-Request-ID": "mine"}
        body = {"text": "a human please"}
        assert made.client.post("/v1/support/chat", json=body, headers=headers).status_code == 200
    spans = exporter.get_finished_spans()
    assert {f"{one.context.trace_id:032x}" for one in spans} == {trace}
    by_name = defaultdict(list)
    for one in spans:
        by_name[one.name].append(one)
    (root,) = by_name["POST /v1/support/chat"]
    assert root.attributes["http.response.status_code"] == 200
    assert root.attributes["triptych.request_id"] == "mine"
    assert len(by_name["queue"]) == len(by_name["inference"]) == 1
    assert by_name["INSERT"]
    children = [one for one in spans if one is not root]
    assert all(one.parent.span_id == root.context.span_id for one in children)
    assert "human" not in str([dict(one.attributes) for one in spans])


NAME = re.compile(r"\b(?:triptych_[a-z_0-9]+|process_[a-z_]+)\b(\{[^}]*\})?")
LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
GROUPED = re.compile(r"\b(?:by|on|without)\s*\(([^)]*)\)")


def expressions() -> list[tuple[str, str]]:
    """Each expression of the dashboard and the rules, with who has it."""
    dashboard = json.loads((DEPLOY / "grafana" / "triptych.json").read_text())
    found = [
        (panel["title"], target["expr"])
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
    ]
    found += [(one["name"], one["expr"]) for one in dashboard["annotations"]["list"]]
    return found + [(rule["alert"], rule["expr"]) for rule in rules()]


def rules() -> list[dict[str, Any]]:
    read = yaml.safe_load(RULES.read_text())
    return [rule for group in read["groups"] for rule in group["rules"]]


def exposed(api: WatchedApi) -> dict[str, set[str]]:
    """The labels of each sample that the running application shows."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for family in text_string_to_metric_families(api.client.get("/metrics").text):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return found


def faults(expression: str, shown: Mapping[str, set[str]]) -> list[str]:
    """What an expression names that no process exposes."""
    wrong, labels = [], set(ADDED_BY_PROMETHEUS)
    for match in NAME.finditer(expression):
        name, selector = match.group().partition("{")[0], match.group(1) or ""
        if name not in shown:
            wrong.append(f"no metric {name}")
            continue
        labels |= shown[name]
        known = shown[name] | ADDED_BY_PROMETHEUS
        wrong += [f"{name} has no {one}" for one in LABEL.findall(selector) if one not in known]
    for group in GROUPED.findall(expression):
        wrong += [f"no label {one}" for one in re.findall(r"\w+", group) if one not in labels]
    return wrong


def test_dashboard_and_rules_name_what_is_exposed(api: WatchedApi) -> None:
    shown, all_of_them = exposed(api), expressions()
    assert len(all_of_them) > 60
    wrong = {(who, fault) for who, one in all_of_them for fault in faults(one, shown)}
    assert not wrong
    assert faults('sum by (kid) (rate(triptych_feeds{sort="x"}[5m]))', shown) == [
        "triptych_feeds has no sort",
        "no label kid",
    ]
    assert faults("triptych_feed", shown) == ["no metric triptych_feed"]


def test_every_metric_is_written_down_and_every_alert_has_a_runbook(api: WatchedApi) -> None:
    document = DOCUMENT.read_text()
    families = text_string_to_metric_families(api.client.get("/metrics").text)
    ours = {one.name for one in families if one.name.startswith("triptych_")}
    missing = {
        name
        for name in ours
        if not name.endswith("_created") and not re.search(rf"`{name}(_total)?[`{{]", document)
    }
    assert not missing
    headings = re.findall(r"^#+ (\w+)$", document, re.MULTILINE)
    for rule in rules():
        name, annotations = rule["alert"], rule["annotations"]
        assert name in headings
        assert annotations["runbook_url"] == f"docs/monitoring.md#{name.lower()}"
        assert annotations["summary"]
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_what_the_composition_mounts_is_there() -> None:
    read = yaml.safe_load((DEPLOY / "compose.watched.yaml").read_text())
    base = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    mounted = [
        mount.split(":")
        for service in read["services"].values()
        for mount in service["volumes"]
        if mount.startswith(".")
    ]
    assert len(mounted) == 3
    assert all((DEPLOY / where).exists() for where, *_ in mounted)
    assert {name for one in read["services"].values() for name in one["networks"]} <= set(
        base["networks"]
    )
    provider = DEPLOY / "grafana/provisioning/dashboards/triptych.yaml"
    (folder,) = [
        one["options"]["path"] for one in yaml.safe_load(provider.read_text())["providers"]
    ]
    assert f"{folder}/triptych.json" in {to for _, to, *_ in mounted}
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    targets, watcher = [one["targets"] for one in scraped["scrape_configs"][0]["static_configs"]]
    first = int(base["services"]["api"]["environment"]["TRIPTYCH_METRICS_PORT"])
    processes = int(base["services"]["api"]["command"][-1])
    assert targets == [f"api:{first + number}" for number in range(processes)]
    own = base["services"]["watcher"]["environment"]["TRIPTYCH_WATCHER_METRICS_PORT"]
    assert watcher == [f"watcher:{own}"]
    assert scraped["rule_files"] == ["alerts.yml"]


def test_promtool_agrees_where_it_is_installed() -> None:
    """Each rule rings for its fault and none without: alerts_test.yml has a case of both."""
    cases = yaml.safe_load((RULES.parent / "alerts_test.yml").read_text())["tests"]
    rung = {sample["labels"] for sample in cases[1]["promql_expr_test"][0]["exp_samples"]}
    assert rung == {f'{{alertname="{rule["alert"]}"}}' for rule in rules()}
    if (promtool := shutil.which("promtool")) is not None:
        for command in (
            ["check", "config", "prometheus.yml"],
            ["test", "rules", "alerts_test.yml"],
        ):
            ran = subprocess.run(
                [promtool, *command], cwd=RULES.parent, capture_output=True, text=True, timeout=240
            )
            assert ran.returncode == 0, ran.stdout + ran.stderr
