"""Work on Ray, in a network namespace of its own: workers, machines and replicas come and go.

One quick test runs in CI; what trains, serves or takes two machines is for ``make soak``.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from models.registry import ModelRegistry
from tests.fakes.ray_namespace import command, needs_namespace, run_inside

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

BULK = """
import json, sys
from models.scale.bulk import run_bulk
from models.scale.parts import cut
from shared.finetuning.progress import SilentProgress
from tests.fakes.bulk_work import Lengths

folder, kill_once = __import__("pathlib").Path(sys.argv[1]), sys.argv[2]
rows = ((n, "kill" if n == 25 else "x" * (n % 9 + 1), "") for n in range(100))
parts = cut(rows, folder, {}, rows_per_part=5)
work = Lengths(0.05, kill_once)
outcome = run_bulk(parts, work, engine="ray", workers=2, report=SilentProgress())
print(json.dumps({"computed": outcome.computed, "missing": parts.missing()}))
"""


def test_parts_of_a_worker_that_dies_are_computed_by_another(tmp_path: Path) -> None:
    needs_namespace()
    done = run_inside(BULK, tmp_path / "parts", tmp_path / "killed", home=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "killed").exists(), "a worker has died"
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"computed": 100, "missing": []}
    parts = sorted((tmp_path / "parts").glob("part-*.parquet"))
    rows = [row for part in parts for row in pyarrow.parquet.read_table(part).to_pylist()]
    assert [row["line"] for row in rows] == list(range(100))
    lengths = [4 if n == 25 else n % 9 + 1 for n in range(100)]
    assert [row["length"] for row in rows] == lengths
    assert len({row["process"] for row in rows}) >= 2, "two workers shared the work"


STREAM = """
import json, pathlib, sys
from models.scale.bulk import run_bulk
from models.scale.parts import cut
from shared.finetuning.progress import SilentProgress
from tests.fakes.bulk_work import Lengths

folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
rows = ((n, f"message {n} of a long list of them", "") for n in range(count))
parts = cut(rows, folder, {})
outcome = run_bulk(parts, Lengths(), engine="ray", workers=2, report=SilentProgress())
peak = next(l for l in open("/proc/self/status") if l.startswith("VmHWM"))
print(json.dumps({"computed": outcome.computed, "missing": parts.missing(),
                  "peak_mb": int(peak.split()[1]) / 1024}))
"""


@pytest.mark.soak
def test_a_million_texts_pass_in_the_memory_of_some_thousands(tmp_path: Path) -> None:
    """The model left out; ``benchmarks.serving_rows.million`` has the same with it."""
    needs_namespace()
    told = {}
    for count in (20_000, 1_000_000):
        folder = tmp_path / str(count)
        done = run_inside(STREAM, folder, str(count), home=tmp_path, seconds=540)
        assert done.returncode == 0, done.stderr[-3000:]
        told[count] = json.loads(done.stdout.splitlines()[-1])
        assert told[count]["computed"] == count
        assert told[count]["missing"] == []
        lines = [
            line
            for part in sorted(folder.glob("part-*.parquet"))
            for line in pyarrow.parquet.read_table(part, columns=["line"])["line"].to_pylist()
        ]
        assert lines == list(range(count))
    few, many = (told[count]["peak_mb"] for count in (20_000, 1_000_000))
    assert many < few + 50, "a million texts must not be held at once"


TWO_NODES = """
import json, sys
from models.scale.cluster import guarded
import os
guarded(os.environ)
import ray
from ray.cluster_utils import Cluster
from models.scale.bulk import run_bulk
from models.scale.parts import cut
from shared.finetuning.progress import SilentProgress
from tests.fakes.bulk_work import Lengths

small = {"object_store_memory": 80 * 2**20, "node_ip_address": "127.0.0.1"}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **small})
second = cluster.add_node(num_cpus=1, **small)
ray.init(address=cluster.address)
assert len([n for n in ray.nodes() if n["Alive"]]) == 2

class KillsANode(SilentProgress):
    done, killed = 0, False
    def advance(self, count, **figures):
        self.done += count
        if self.done >= 40 and not self.killed:
            self.killed = True
            cluster.remove_node(second, allow_graceful=False)

folder = __import__("pathlib").Path(sys.argv[1])
parts = cut(((n, "x" * (n % 9 + 1), "") for n in range(200)), folder, {}, rows_per_part=5)
report = KillsANode()
outcome = run_bulk(parts, Lengths(0.5), engine="ray", workers=2, report=report)
alive = len([n for n in ray.nodes() if n["Alive"]])
print(json.dumps({"computed": outcome.computed, "missing": parts.missing(),
                  "killed": report.killed, "alive": alive}))
os._exit(0)
"""


@pytest.mark.soak
def test_nothing_is_lost_when_one_of_two_machines_dies(tmp_path: Path) -> None:
    needs_namespace()
    done = run_inside(TWO_NODES, tmp_path / "parts", home=tmp_path, seconds=240)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["killed"]
    assert told["alive"] == 1
    assert told["missing"] == []
    parts = sorted((tmp_path / "parts").glob("part-*.parquet"))
    rows = [row for part in parts for row in pyarrow.parquet.read_table(part).to_pylist()]
    assert [row["line"] for row in rows] == list(range(200))
    assert len({row["node"] for row in rows}) == 2, "both machines had a share before"


def small_data(path: Path) -> Path:
    """Forty messages of each of four intents."""
    kept: dict[str, list[str]] = {}
    with Path("apps/support/samples/utterances.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["intent"] in kept or len(kept) < 4:
                kept.setdefault(row["intent"], []).append(row["text"])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((text, label) for label, texts in kept.items() for text in texts[:40])
    return path


TRAINING = """
import os, pathlib, signal, sys, threading, time
import psutil
sys.argv = ["triptych", *sys.argv[1:]]
home = pathlib.Path(os.environ["TRIPTYCH_HOME"])

def kill_one():
    while not (home / "models/checkpoints/support/checkpoint.safetensors").is_file():
        time.sleep(0.1)
    workers = [p for p in psutil.process_iter(["cmdline"])
               if "RayTrainWorker" in " ".join(p.info["cmdline"] or ())]
    workers[-1].send_signal(signal.SIGKILL)
    print("killed", workers[-1].pid, file=sys.stderr, flush=True)

threading.Thread(target=kill_one, daemon=True).start()
from apps.cli import main
main()
"""


@pytest.mark.soak
def test_a_training_on_ray_goes_on_after_a_worker_was_killed(tmp_path: Path) -> None:
    needs_namespace()
    done = run_inside(
        TRAINING, "train", "support", "--data", small_data(tmp_path / "small.csv"), "--method",
        "full", "--set", "epochs=6", "--set", "batch_size=8", "--set", "checkpoint_seconds=0.1",
        "--engine", "ray", "--workers", "2", "--json", home=tmp_path, seconds=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "killed" in done.stderr
    resumed = re.search(r"going on from step (\d+) of \d+", done.stderr)
    assert resumed, done.stderr[-3000:]
    assert int(resumed[1]) > 0
    version = json.loads(done.stdout)["version"]
    assert ModelRegistry(tmp_path / "models").in_use("support") == version
    assert len(ModelRegistry(tmp_path / "models").versions("support")) == 1


@pytest.mark.soak
def test_the_same_command_runs_under_torchrun(tmp_path: Path) -> None:
    needs_namespace()
    data = small_data(tmp_path / "small.csv")
    torchrun = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "-m", "apps.cli"),
    ]
    words = [
        *("train", "support", "--data", str(data), "--method", "full", "--json"),
        *("--set", "epochs=3", "--set", "batch_size=8"),
    ]
    environment = {**os.environ, "TRIPTYCH_HOME": str(tmp_path), "GLOO_SOCKET_IFNAME": "lo"}
    done = subprocess.run(
        [*command(), *torchrun, *words, "--workers", "2"],
        capture_output=True, text=True, env=environment, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert len(ModelRegistry(tmp_path / "models").versions("support")) == 1
    assert told["metrics"]["accuracy"] > 0.8
    refused = subprocess.run(
        [*command(), *torchrun, *words, "--workers", "3"],
        capture_output=True, text=True, env=environment, check=False, timeout=200,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "3 workers were asked for and 2 runs" in refused.stderr


SERVE = """
import concurrent.futures, json, sys, time, urllib.request
from models.scale.cluster import ray_cluster
from apps.ray_serve import build

def classify():
    body = json.dumps({"texts": ["where is my parcel"] * 8}).encode()
    request = urllib.request.Request("http://127.0.0.1:18123/v1/support/classify", data=body,
                                     headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["version"]

def running():
    replicas = serve.status().applications["default"].deployments["triptych-api"].replica_states
    return int(replicas.get("RUNNING", 0))

with ray_cluster(3):
    from ray import serve
    from ray.serve.config import HTTPOptions
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=18123))
    serve.run(build({"keys": False, "max_replicas": 2, "in_flight": 2, "wait_up": 1}))
    ready = urllib.request.urlopen("http://127.0.0.1:18123/readyz", timeout=30).status
    version, alone, answers = classify(), running(), 0
    ends, at_once = time.time() + 120, 8
    with concurrent.futures.ThreadPoolExecutor(at_once) as callers:
        while running() < 2 and time.time() < ends:
            answers += len(list(callers.map(lambda _: classify(), range(40))))
        answers += len(list(callers.map(lambda _: classify(), range(200))))
    told = {"ready": ready, "version": version, "first": alone, "then": running()}
    serve.shutdown()
print(json.dumps({**told, "answers": answers}))
"""


@pytest.mark.soak
def test_replicas_answer_and_a_second_one_comes_with_the_load(tmp_path: Path) -> None:
    needs_namespace()
    trained = subprocess.run(
        [sys.executable, "-m", "apps.cli", "train", "support", "--data",
         str(small_data(tmp_path / "small.csv")), "--method", "head", "--json"],
        capture_output=True, text=True, env={**os.environ, "TRIPTYCH_HOME": str(tmp_path)},
        check=False, timeout=300,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr[-2000:]
    done = run_inside(SERVE, home=tmp_path, seconds=280)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["version"] == json.loads(trained.stdout)["version"]
    assert (told["ready"], told["first"], told["then"]) == (200, 1, 2)
    assert told["answers"] >= 200
