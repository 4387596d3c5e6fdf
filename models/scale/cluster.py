"""The Ray that work runs on: a cluster that is there, or one on loopback for this command."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import secrets
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager, redirect_stdout

from shared.errors import SettingsError

LOOPBACK = "127.0.0.1"
OBJECT_STORE = 128 * 2**20
"""Bytes of shared memory of a cluster for one command: results go to files and not through it."""


def require_ray() -> None:
    """SettingsError, naming the extra, where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise SettingsError(
            "this needs Ray, which is not installed: pip install 'triptych[scale]'", extra="scale"
        )


def guarded(environment: MutableMapping[str, str]) -> None:
    """Set what a cluster for one command needs: a token of its own, and nothing sent to anybody.

    Must happen before Ray is imported. What is set already stays.
    """
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    environment.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if environment.setdefault("RAY_AUTH_MODE", "token") == "token":
        environment.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


@contextmanager
def ray_cluster(workers: float) -> Iterator[None]:
    """Connect to the cluster at ``RAY_ADDRESS``, or start one on loopback that ends with the work.

    ``workers`` are processors that the work takes; a cluster of its own offers at least as many,
    whatever the machine has. SettingsError where Ray is missing or does not answer.
    """
    require_ray()
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        guarded(os.environ)
    import ray

    # What workers print is shown as it comes; standard output is for the command's own result.
    with redirect_stdout(sys.stderr):
        if ray.is_initialized():
            yield
            return
        try:
            if address:
                ray.init(address=address, logging_level=logging.WARNING)
            else:
                ray.init(
                    address="local",  # not one that another program left behind
                    num_cpus=max(os.cpu_count() or 1, math.ceil(workers)) + 1,
                    object_store_memory=OBJECT_STORE,
                    include_dashboard=False,
                    logging_level=logging.WARNING,
                    _node_ip_address=LOOPBACK,
                )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise SettingsError(
                f"Ray cannot be reached or started ({error}): set RAY_ADDRESS to a cluster, or "
                "unset it for one of this command's own",
                address=address,
            ) from error
        try:
            yield
        finally:
            ray.shutdown()
