"""What stands in ``deploy/`` is what its readers accept: linters, schemas, and this program."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from apps.cli import main
from shared.settings import Settings

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))

# The fields of KubeRay's `ray.io/v1` (ray-operator/apis/ray/v1 in ray-project/kuberay), as far as
# anything may stand here: name -> whether it must.
RAY_SERVICE = {"serveConfigV2": True, "rayClusterConfig": True}
RAY_CLUSTER = {
    "rayVersion": True,
    "enableInTreeAutoscaling": False,
    "autoscalerOptions": False,
    "headGroupSpec": True,
    "workerGroupSpecs": False,
    "headServiceAnnotations": False,
    "suspend": False,
}
RAY_AUTOSCALER = {
    "resources": False,
    "image": False,
    "imagePullPolicy": False,
    "env": False,
    "envFrom": False,
    "volumeMounts": False,
    "securityContext": False,
    "idleTimeoutSeconds": False,
    "upscalingMode": False,
}
RAY_HEAD = {
    "rayStartParams": True,
    "template": True,
    "serviceType": False,
    "headService": False,
    "enableIngress": False,
}
RAY_WORKERS = {
    "groupName": True,
    "replicas": False,
    "minReplicas": True,
    "maxReplicas": True,
    "numOfHosts": False,
    "rayStartParams": True,
    "template": True,
    "scaleStrategy": False,
}
# https://github.com/compose-spec/compose-spec/blob/main/spec.md, as far as it is used here.
COMPOSE_SERVICE = set(
    "image build command entrypoint restart init read_only tmpfs cap_drop security_opt volumes"
    " depends_on networks environment ports healthcheck shm_size stop_grace_period".split()
)


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in KUBERNETES:
        for one in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            yield f"{file.name}:{one['kind']}/{one['metadata']['name']}", one


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for _, one in documents() if one["kind"] == kind]


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod's specification, those of Ray's nodes included."""
    for name, one in documents():
        if one["kind"] == "Deployment":
            yield name, one["spec"]["template"]["spec"]
        elif one["kind"] == "RayService":
            cluster = one["spec"]["rayClusterConfig"]
            yield f"{name} head", cluster["headGroupSpec"]["template"]["spec"]
            for group in cluster["workerGroupSpecs"]:
                yield f"{name} {group['groupName']}", group["template"]["spec"]


def only(found: dict[str, Any], fields: dict[str, bool]) -> None:
    assert set(found) <= set(fields), set(found) - set(fields)
    assert {name for name, must in fields.items() if must} <= set(found)


# Kubernetes


def test_the_manifests_hold_what_they_should() -> None:
    kinds = [one["kind"] for _, one in documents()]
    wanted = {
        "Deployment": 3, "HorizontalPodAutoscaler": 1, "PodDisruptionBudget": 2,
        "NetworkPolicy": 5, "RayService": 1, "Service": 2,
    }  # fmt: skip
    assert {kind: kinds.count(kind) for kind in wanted} == wanted


@pytest.mark.parametrize(
    ("name", "document"), [pair for pair in documents() if pair[1]["kind"] != "RayService"]
)
def test_a_manifest_fits_the_schema_of_kubernetes(name: str, document: dict[str, Any]) -> None:
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_a_wrong_field_would_be_noticed() -> None:
    (api,) = [one for one in of_kind("Deployment") if one["metadata"]["name"] == "api"]
    api["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readinesProbe"):
        kubernetes_validate.validate(api, kubernetes_validate.latest_version(), strict=True)


def test_the_ray_service_has_the_fields_of_its_definition() -> None:
    (service,) = of_kind("RayService")
    assert service["apiVersion"] == "ray.io/v1"
    only(service["spec"], RAY_SERVICE)
    cluster = service["spec"]["rayClusterConfig"]
    only(cluster, RAY_CLUSTER)
    only(cluster["autoscalerOptions"], RAY_AUTOSCALER)
    modes = {"Default", "Aggressive", "Conservative"}
    assert cluster["autoscalerOptions"]["upscalingMode"] in modes
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    only(groups[0], RAY_HEAD)
    for group in groups[1:]:
        only(group, RAY_WORKERS)
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for group in groups:
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **group["template"]}
        kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_ray_serve_accepts_the_applications_and_they_are_this_programs() -> None:
    (service,) = of_kind("RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    (application,) = config["applications"]
    module, builder = application["import_path"].split(":")
    found = importlib.import_module(module)
    assert callable(getattr(found, builder))
    found.ReplicaOptions(**application["args"])
    pinned = re.search(r"^ray==(\S+)", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    assert pinned is not None
    assert service["spec"]["rayClusterConfig"]["rayVersion"] == pinned.group(1)


@pytest.mark.parametrize(("name", "pod"), list(pods()))
def test_no_pod_runs_as_root_or_writes_to_its_image(name: str, pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    volumes = {one["name"] for one in pod["volumes"]}
    for container in pod["containers"]:
        locked = container["securityContext"]
        assert locked["allowPrivilegeEscalation"] is False
        assert locked["readOnlyRootFilesystem"] is True
        assert locked["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert {one["name"] for one in container["volumeMounts"]} <= volumes


def test_probes_ask_where_the_program_answers() -> None:
    probed = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]
        for one in of_kind("Deployment")
    }
    api = probed["api"]
    assert api["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert api["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert probed["pages"]["readinessProbe"]["httpGet"]["path"] == "/_stcore/health"
    routes = (ROOT / "shared" / "serving" / "watching" / "health.py").read_text("utf-8")
    assert '"/healthz"' in routes
    assert '"/readyz"' in routes


def test_the_autoscaler_follows_requests_in_flight_of_the_api() -> None:
    (scaler,) = of_kind("HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": "api",
    }
    (metric,) = scaler["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f'"{name}"' in (ROOT / "shared" / "serving" / "watching" / "metrics.py").read_text(
        "utf-8"
    )
    (api,) = [one for one in of_kind("Deployment") if one["metadata"]["name"] == "api"]
    assert "replicas" not in api["spec"], "the autoscaler and the manifest would disagree"


def test_selectors_find_their_pods_and_policies_shut_out_the_rest() -> None:
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in of_kind("Deployment")
    }
    for service in of_kind("Service"):
        selector = service["spec"]["selector"]
        assert selector.items() <= labels[service["metadata"]["name"]].items()
    for budget in of_kind("PodDisruptionBudget"):
        selector = budget["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels[budget["metadata"]["name"]].items()
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind("NetworkPolicy")}
    assert policies["nothing-else"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name in ("api", "watcher", "pages"):
        selector = policies[name]["podSelector"]["matchLabels"]
        assert selector.items() <= labels[name].items()
    open_to_all = [
        block["ipBlock"]["except"]
        for spec in policies.values()
        for rule in spec.get("egress", [])
        for block in rule["to"]
        if "ipBlock" in block
    ]
    assert all("169.254.0.0/16" in shut and "10.0.0.0/8" in shut for shut in open_to_all)


def test_every_variable_is_one_that_the_program_reads() -> None:
    known = {f"TRIPTYCH_{name}".upper() for name in Settings.model_fields}
    texts = [file.read_text("utf-8") for file in KUBERNETES]
    texts += [DOCKERFILE, (DEPLOY / "compose.yaml").read_text("utf-8")]
    named = set(re.findall(r"\bTRIPTYCH_[A-Z_]+", "\n".join(texts)))
    assert named <= known, named - known


# The image


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = shutil.which("hadolint") or str(Path(sys.executable).parent / "hadolint")
    subprocess.run([hadolint, str(DEPLOY / "Dockerfile")], check=True, timeout=60)


def test_the_last_stage_has_no_compiler_and_no_root() -> None:
    stages = re.split(r"(?m)^FROM ", DOCKERFILE)[1:]
    assert len(stages) == 2
    last = stages[-1]
    assert re.search(r"^USER 10001:10001$", last, re.M)
    assert "HEALTHCHECK" in last
    assert "/healthz" in last
    assert not re.search(r"pip install|apt-get|gcc|build-essential", last)
    assert all(re.match(r"python:\d+\.\d+\.\d+-slim", stage) for stage in stages)


def test_only_what_the_image_is_built_from_goes_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert "*" in lines
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied: set[str] = set()
    for sources in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE):
        copied |= {one.rstrip("/") for one in sources.split()}
    assert copied == let_in
    assert all((ROOT / one).exists() for one in copied)


def test_yaml_is_written_alike() -> None:
    rules = "{extends: default, rules: {line-length: {max: 120}, document-start: disable}}"
    files = [str(file) for file in (DEPLOY / "compose.yaml", *KUBERNETES)]
    command = [sys.executable, "-m", "yamllint", "--strict", "-d", rules, *files]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stdout


# Compose


def test_compose_has_the_four_parts_and_only_fields_of_its_specification() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"database", "api", "watcher", "pages"}
    for name, service in services.items():
        assert set(service) <= COMPOSE_SERVICE, (name, set(service) - COMPOSE_SERVICE)
        assert service["restart"] == "unless-stopped"
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for mount in service["volumes"]:
            assert mount.split(":")[0] in COMPOSE["volumes"]
        for needed, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "test" in services[needed].get("healthcheck", {}) or needed == "api"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), "open to the network without TLS"
    assert services["database"]["image"].startswith("pgvector/pgvector:")
    assert "ports" not in services["database"]


def test_no_secret_stands_in_the_files() -> None:
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    assert re.findall(r"POSTGRES_PASSWORD: (\S+)", text) == ["${POSTGRES_PASSWORD:?set"]
    example = (DEPLOY / ".env.example").read_text("utf-8")
    assert all(line.endswith("=") for line in example.splitlines() if not line.startswith("#"))
    assert "deploy/.env" in (ROOT / ".gitignore").read_text("utf-8").split()
    assert not of_kind("Secret")


@pytest.mark.soak
def test_docker_compose_reads_it() -> None:
    """Not in CI, which has no plugin: there the checks above stand alone."""
    docker = shutil.which("docker")
    asked = docker and subprocess.run([docker, "compose", "version"], capture_output=True)
    if not docker or not asked or asked.returncode != 0:
        pytest.skip("docker compose is not installed here")
    subprocess.run(
        [docker, "compose", "-f", str(DEPLOY / "compose.yaml"), "config", "--quiet"],
        check=True,
        env={"PATH": "/usr/bin:/bin", "POSTGRES_PASSWORD": "for-this-test"},
        timeout=60,
    )


# Commands


def commands() -> Iterator[list[str]]:
    for line in re.findall(r"(?m)^CMD (\[.*\])$", DOCKERFILE):
        yield yaml.safe_load(line)
    for service in COMPOSE["services"].values():
        if service.get("command") and "entrypoint" not in service:
            yield service["command"]
    for _, pod in pods():
        for container in pod["containers"]:
            if "args" in container:
                yield container["args"]


@pytest.mark.parametrize("command", list(commands()), ids=" ".join)
def test_the_commands_are_commands_of_this_program(command: list[str]) -> None:
    asked = CliRunner().invoke(main, [*command, "--help"])
    assert asked.exit_code == 0, asked.output


def test_the_pages_stand_where_the_image_has_them() -> None:
    version = re.search(r"python:(\d+\.\d+)\.", DOCKERFILE)
    assert version is not None
    path = f"/opt/triptych/lib/python{version.group(1)}/site-packages/apps/home.py"
    assert path in COMPOSE["services"]["pages"]["entrypoint"]
    pages = dict(pods())["pages.yaml:Deployment/pages"]
    assert path in pages["containers"][0]["command"]
    assert (ROOT / "apps" / "home.py").is_file()
