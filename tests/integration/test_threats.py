"""Attacks on the assembled API and on its store of models that no other test makes."""

from __future__ import annotations

import ast
import base64
import json
import os
from pathlib import Path

import pytest

from models.registry import ModelRegistry, ModelVersion
from models.version_files import read_sealed
from shared.errors import ManifestMismatch
from shared.serving.guards.keys import create_key
from shared.storage.engine import open_database
from tests.fakes.assembled_api import NOW, AssembledApi, assemble

pytestmark = pytest.mark.integration
SECRET = "the operator's secret"
ROOT = Path(__file__).parents[2]
PACKAGES = ("apps", "shared", "models", "data_connectors")
ARBITRARY_CODE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


@pytest.fixture
def api(tmp_path: Path) -> AssembledApi:
    (tmp_path / "secret.txt").write_text(SECRET)
    return assemble(tmp_path)


def version_of(api: AssembledApi, **card: object) -> ModelVersion:
    def write(folder: Path) -> None:
        (folder / "report.html").write_text("<p>the report</p>")

    registry = ModelRegistry(api.settings.models)
    return registry.add("support", card={"method": "full", **card}, write=write, now=NOW)


@pytest.mark.parametrize(
    "path",
    [
        "support/..%2f..%2f..%2fsecret.txt/report.html",
        "support/..%2f..%2f..%2fsecret.txt",
        "support/../../../secret.txt",
        "support/%2e%2e/report.html",
        "support/%2e%2e%5c%2e%2e/report.html",
        "support/{name}%2f..%2f..%2f..%2f..%2fsecret.txt/report.html",
        "support/{name}/..%2f..%2f..%2f..%2fsecret.txt",
        "..%2f../secret.txt",
        "support/*/report.html",
        "support/%00/report.html",
        "support/{name}%00/report.html",
    ],
)
def test_the_name_of_a_model_leads_nowhere_else(api: AssembledApi, path: str) -> None:
    version = version_of(api)
    with api.client() as client:
        answer = client.get(f"/v1/models/{path.format(name=version.name)}")
        assert answer.status_code in (404, 422)
        assert SECRET not in answer.text
        assert client.get(f"/v1/models/support/{version.name}/report.html").status_code == 200


def test_a_link_in_a_version_shows_no_other_file(api: AssembledApi) -> None:
    version = version_of(api)
    report = version.folder / "report.html"
    report.unlink()
    report.symlink_to(api.settings.home / "secret.txt")
    with api.client() as client:
        answer = client.get(f"/v1/models/support/{version.name}/report.html")
    assert (answer.status_code, answer.json()["error"]) == (409, "manifest_mismatch")
    assert SECRET not in answer.text


def test_a_report_that_was_changed_is_not_shown(api: AssembledApi) -> None:
    version = version_of(api)
    assert read_sealed(version.folder, "report.html") == b"<p>the report</p>"
    assert read_sealed(version.folder, "other.html") is None
    (version.folder / "other.html").write_text("added")
    (version.folder / "report.html").write_text("<script>alert(1)</script>")
    for path in ("report.html", "other.html"):
        with pytest.raises(ManifestMismatch):
            read_sealed(version.folder, path)
    with api.client() as client:
        answer = client.get(f"/v1/models/support/{version.name}/report.html")
    assert answer.status_code == 409
    assert "alert" not in answer.text


def test_a_version_that_is_a_link_is_not_put_in_use(api: AssembledApi) -> None:
    version = version_of(api)
    elsewhere = api.settings.home / "elsewhere"
    os.rename(version.folder, elsewhere)
    version.folder.symlink_to(elsewhere)
    with api.client() as client:
        answer = client.post(
            f"/v1/models/support/{version.name}/promote", json={"author": "Eve", "force": True}
        )
    assert (answer.status_code, answer.json()["error"]) == (409, "manifest_mismatch")
    assert ModelRegistry(api.settings.models).in_use("support") is None


def test_nothing_unpickles() -> None:
    """No module of ours imports what runs code while it reads, nor asks a library to."""
    found = []
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name.split(".")[0] for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    names = [(node.module or "").split(".")[0]]
                elif isinstance(node, ast.Call):
                    names = _loads(node)
                found += [f"{file.name}: {name}" for name in names if name in ARBITRARY_CODE]
    assert found == []


def _loads(call: ast.Call) -> list[str]:
    """``marshal`` for calls that may run what they read: ``eval``, ``exec``, ``torch.load``."""
    called = ast.unparse(call.func)
    allows = [
        one.arg
        for one in call.keywords
        if one.arg in ("allow_pickle", "trust_remote_code", "shell")
        and not (isinstance(one.value, ast.Constant) and one.value.value is False)
    ]
    unsafe = called in ("eval", "exec", "torch.load", "yaml.load", "yaml.unsafe_load", "os.system")
    return ["marshal"] if unsafe or allows else []


def test_a_tenants_key_sees_no_model_of_another(api: AssembledApi) -> None:
    registry = ModelRegistry(api.settings.models)
    hidden = registry.add("recommend", card={"method": "x"}, write=lambda folder: None, now=NOW)
    engine = open_database(api.settings.database)
    other = create_key(engine, name="b", scopes=["admin"], actor="t", now=NOW, tenant="shop-b")
    engine.dispose()
    headers = {"X-API-Key": other.secret}
    with api.client(None) as client:
        for method, path in (
            ("GET", f"recommend/{hidden.name}"),
            ("GET", f"recommend/{hidden.name}/report.html"),
            ("POST", f"recommend/{hidden.name}/promote"),
            ("POST", "recommend/rollback"),
            ("GET", "recommend_default/x"),
        ):
            body = {"author": "Eve", "force": True} if method == "POST" else None
            if path.endswith("rollback"):
                body = {"author": "Eve"}
            answer = client.request(method, f"/v1/models/{path}", json=body, headers=headers)
            assert answer.status_code == 404, path
            assert hidden.name not in answer.text


def test_a_key_is_taken_from_headers_alone(api: AssembledApi) -> None:
    """A key in an address would stand in logs, in histories and in the Referer of links."""
    key = api.keys["admin"]
    basic = base64.b64encode(f"x:{key}".encode()).decode()
    with api.client(None) as client:
        for query in ("api_key", "key", "token", "X-API-Key", "authorization"):
            answer = client.get("/v1/audit", params={query: key})
            assert answer.status_code == 401
        sent = {"Authorization": f"Basic {basic}"}
        assert client.get("/v1/audit", headers=sent).status_code == 401
        client.cookies.set("X-API-Key", key)
        assert client.get("/v1/audit").status_code == 401
        assert client.get("/v1/audit", headers={"X-API-Key": key}).status_code == 200


def test_every_route_but_health_asks_for_a_key(api: AssembledApi) -> None:
    document = api.app.openapi()
    open_to_all = {"/healthz", "/readyz", "/metrics"}
    with api.client(None) as client:
        for path, operations in document["paths"].items():
            for method in operations:
                answer = client.request(method, path.replace("{", "").replace("}", ""), json={})
                if path in open_to_all:
                    assert answer.status_code != 401
                else:
                    assert answer.status_code == 401, (method, path)
        assert client.get("/openapi.json").status_code == 200


def test_a_problem_repeats_nothing_as_markup(api: AssembledApi) -> None:
    script = "<script>alert(1)</script>"
    with api.client() as client:
        answer = client.get(f"/v1/models/support/{script}", headers={"Accept": "text/html"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    json.loads(answer.content)
