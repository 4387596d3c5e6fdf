"""Whichever way a version comes into use, the audit log says who did it."""

from __future__ import annotations

import ast
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from apps.cli import main
from apps.recommend.operations.assembly import refit_of
from apps.support.commands.learning import registry_models
from apps.support.conversation.knowledge import APP
from apps.support.learning.improvement import retrain
from data_connectors.data_source import DataSource
from models.promotion import gate_and_promote
from models.promotion_audit import audited_registry
from models.registry import ModelRegistry, ModelVersion
from shared.errors import PromotionRefused, StorageError
from shared.evaluation.gate import GateReport
from shared.finetuning.progress import SilentProgress
from shared.records import Dataset, Example
from shared.settings import Settings
from shared.storage.audit import AuditLine, read_audit, recorded_within
from shared.storage.engine import open_database
from tests.fakes.assembled_api import AssembledApi, assemble
from tests.fakes.bundle_fitting import BundleFitting, Gate, fill

pytestmark = pytest.mark.integration
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]

Way = Callable[[Settings], None]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", database_url=None)


def add(settings: Settings, day: int = 0, app: str = "support") -> ModelVersion:
    def write(folder: Path) -> None:
        (folder / "gate.jsonl").write_text("")

    card = {"method": "full", "labels": ["a", "b"], "number": day}
    moment = NOW + timedelta(days=day)
    return ModelRegistry(settings.models).add(app, card=card, write=write, now=moment)


def lines(settings: Settings) -> list[AuditLine]:
    engine = open_database(settings.database)
    try:
        return read_audit(engine, action="model ")
    finally:
        engine.dispose()


def triptych(settings: Settings, *arguments: str) -> None:
    environment = {"TRIPTYCH_HOME": str(settings.home), "TRIPTYCH_DATABASE_URL": None}
    result = CliRunner().invoke(main, list(arguments), env=environment)
    assert result.exit_code == 0, result.stderr


def by_models_promote(settings: Settings) -> None:
    triptych(settings, "models", "promote", add(settings).name, "--author", "Ada")


def by_bundles_promote(settings: Settings) -> None:
    version = add(settings, app="recommend")
    triptych(settings, "recommend", "bundles", "promote", version.name, "--author", "Ada")


def by_support_retrain(settings: Settings) -> None:
    models = registry_models(settings)
    version = add(settings)

    class Trained:
        summary: dict[str, object] = {}  # noqa: RUF012

        def __init__(self) -> None:
            self.version = version

    models.train = lambda *given, **options: Trained()  # type: ignore[method-assign]
    done = retrain(
        models,
        Dataset("mine", (Example("text", "a"),)),
        Dataset("feedback", ()),
        source=DataSource("mine"),
        author="Ada",
        now=NOW,
        seed=1,
        report=SilentProgress(),
    )
    assert done["promotion"]["promoted"]


def by_a_training_or_the_demo(settings: Settings) -> None:
    # What `models.training_run.train_and_gate` and `triptych demo` call once a model is trained.
    version = add(settings)
    gate_and_promote(audited_registry(settings), APP, version, author="Ada", now=NOW)


def by_a_refit(settings: Settings) -> None:
    engine = open_database(settings.database)
    fill(engine)
    fit = BundleFitting(ModelRegistry(settings.models))
    refit = refit_of(settings, engine, fit=fit, promote=Gate(), clock=lambda: NOW)
    assert refit.run("default", author="Ada").outcome == "promoted"
    engine.dispose()


def by_the_api(settings: Settings) -> None:
    version = add(settings)
    api = assemble(settings.home)
    with api.client() as client:
        path = f"/v1/models/support/{version.name}/promote"
        assert client.post(path, json={"author": "Ada"}).status_code == 200


@pytest.mark.parametrize(
    "way",
    [
        by_models_promote,
        by_bundles_promote,
        by_support_retrain,
        by_a_training_or_the_demo,
        by_a_refit,
        by_the_api,
    ],
)
def test_each_way_to_promote_leaves_one_line(settings: Settings, way: Way) -> None:
    way(settings)
    (line,) = lines(settings)
    app = "recommend" if way in (by_bundles_promote, by_a_refit) else "support"
    assert (line.actor, line.action) == ("Ada", "model promotion")
    assert line.details["app"] == app
    assert line.details["version"] == ModelRegistry(settings.models).in_use(app)
    who = line.details.get("by_key_name") or line.details.get("by", "")
    expected = {by_the_api: "admin", by_a_refit: ""}.get(way)
    assert who == expected or (expected is None and who.endswith("the command line"))


@pytest.mark.parametrize("group", [("models",), ("recommend", "bundles")])
def test_each_command_to_go_back_leaves_a_line(settings: Settings, group: tuple[str, ...]) -> None:
    app = "support" if group == ("models",) else "recommend"
    registry = ModelRegistry(settings.models)
    first, second = add(settings, 0, app), add(settings, 1, app)
    registry.promote(app, first, gate=None, author="Bo", now=NOW)
    registry.promote(app, second, gate=None, author="Bo", now=NOW, force=True)
    triptych(settings, *group, "rollback", "--author", "Ada")
    (line,) = lines(settings)
    assert (line.actor, line.action) == ("Ada", "model rollback")
    assert (line.details["version"], line.details["previous"]) == (first.name, second.name)


def test_what_is_refused_or_in_use_already_leaves_no_line(settings: Settings) -> None:
    registry = audited_registry(settings)
    first, second = add(settings), add(settings, 1)
    registry.promote("support", first, gate=None, author="Ada", now=NOW)
    registry.promote("support", first, gate=None, author="Ada", now=NOW)
    worse = GateReport(False, "worse", 100, 0.5, 0.8, -0.3, -0.4, -0.2)
    with pytest.raises(PromotionRefused):
        registry.promote("support", second, gate=worse, author="Ada", now=NOW)
    assert [line.details["version"] for line in lines(settings)] == [first.name]


def test_what_cannot_be_recorded_does_not_come_into_use(settings: Settings) -> None:
    version = add(settings)
    nowhere = Settings(home=settings.home, database_url="sqlite:////proc/none/x.sqlite3")
    with pytest.raises(StorageError):
        audited_registry(nowhere).promote("support", version, gate=None, author="Ada", now=NOW)
    assert ModelRegistry(settings.models).in_use("support") is None


def test_a_line_of_a_larger_change_goes_with_it(settings: Settings) -> None:
    version = add(settings)
    engine = open_database(settings.database)
    registry = audited_registry(settings)
    with engine.connect() as connection, connection.begin() as whole:
        with recorded_within(connection):
            registry.promote("support", version, gate=None, author="Ada", now=NOW)
        whole.rollback()
    engine.dispose()
    assert lines(settings) == []


def test_a_tenants_bundle_is_told_to_that_tenant(settings: Settings) -> None:
    version = add(settings, app="recommend_my_shop")
    registry = audited_registry(settings)
    registry.promote("recommend_my_shop", version, gate=None, author="Ada", now=NOW)
    api: AssembledApi = assemble(settings.home)
    engine = open_database(api.settings.database)
    assert len(read_audit(engine, tenant="my-shop")) == 1
    assert read_audit(engine, tenant="other") == []
    engine.dispose()


READERS = frozenset(
    f"{folder}/{name}.py"
    for folder, names in {
        "apps": ("demo",),
        "apps/commands": ("bulk", "doctor_checks", "drift", "models"),
        "apps/finance": ("bulk",),
        "apps/finance/commands": ("rescore", "score"),
        "apps/finance/ingest": ("assembly",),
        "apps/recommend/commands": ("lists",),
        "apps/support": ("bulk",),
        "apps/support/commands": ("classify",),
        "models": ("promotion_audit", "training_run"),
    }.items()
    for name in names
)
"""Modules that open the registry without the log, to read from it."""


def test_only_readers_open_the_registry_without_the_log() -> None:
    found = set()
    for path in [*ROOT.glob("apps/**/*.py"), *ROOT.glob("models/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ModelRegistry"):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == READERS
