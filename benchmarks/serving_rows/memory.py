"""All three apps in one process: resident memory, torch or not, and seconds until it is ready.

The server is started anew as a process, on the home that TRIPTYCH_HOME names; then each app is
asked once, so that every model is loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from benchmarks.serving_rows.row import ServingRow, print_rows

MOST_BYTES = 700e6
MOST_SECONDS = 5.0

SERVER = """
import json, sys, time
started = time.monotonic()
import psutil
from fastapi.testclient import TestClient
from apps.api import create_app
from models.registry import ModelRegistry
from models.runtime.serving import shared_encoder
from shared.settings import Settings
settings = Settings()
with TestClient(create_app(settings, require_keys=False), base_url="http://127.0.0.1") as client:
    while client.get("/readyz").status_code != 200:
        time.sleep(0.05)
    ready = time.monotonic() - started
    answers = [
        client.post("/v1/support/classify", json={"texts": ["my card has not arrived"]}),
        client.post("/v1/finance/score", json={"texts": ["Profit rises sharply at Siemens"]}),
        client.post("/v1/recommend/query", json={"text": "running shoes"}),
    ]
    shared_encoder(settings).embed(["running shoes"])
    used = psutil.Process().memory_info().rss
print(json.dumps({"ready": ready, "rss": used, "torch": "torch" in sys.modules,
                  "status": [answer.status_code for answer in answers]}))
"""


def main() -> None:
    """Measure, and print the rows."""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", SERVER],
        capture_output=True, text=True, env=dict(os.environ), timeout=300, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    print_rows(
        [
            ServingRow(
                "resident memory, all three apps in one process",
                f"{found['rss'] / 1e6:.0f} MB, torch {'' if found['torch'] else 'not '}imported",
                "",
                "<= 700 MB",
                found["rss"] <= MOST_BYTES and not found["torch"],
                {**found, "wall": round(time.monotonic() - started, 2)},
            ),
            ServingRow(
                "start until ready, all three apps",
                f"{found['ready']:.1f} s",
                "",
                "<= 5 s",
                found["ready"] <= MOST_SECONDS,
                found,
            ),
        ]
    )


if __name__ == "__main__":
    main()
