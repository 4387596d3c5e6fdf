"""The pages in a real Chromium: Streamlit in a process of its own, the API on loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

import apps
from shared.client import TriptychClient
from tests.fakes.loopback import served
from tests.fakes.shop_api import keyword_shop_api

HOME = Path(apps.__file__).parent / "home.py"

expect.set_options(timeout=30_000)  # as long as what is clicked may take: a page computes meanwhile


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for one module: while it is open, Playwright keeps an event loop in this thread."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine: browser tests need one on PATH")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the pages did not start:\n{log.read_text()}")


@pytest.fixture
def pages_url(api_url: str, tmp_path: Path) -> Iterator[str]:
    """Streamlit as a user starts it, from another folder, against ``api_url``."""
    port = _free_port()
    log = tmp_path / "streamlit.log"
    command = [sys.executable, "-m", "streamlit", "run", str(HOME)]
    command += ["--server.headless=true", f"--server.port={port}"]
    command += ["--server.address=127.0.0.1", "--server.fileWatcherType=none"]
    environment = {**os.environ, "TRIPTYCH_API_URL": api_url}
    environment.pop("TRIPTYCH_API_KEY", None)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(f"{url}/_stcore/health", process, log)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of 1280 by 900; every error in the browser's console fails the test."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin", locale="en-GB"
    )
    context.set_default_timeout(30_000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert faults == []


@pytest.fixture
def api_url(tmp_path: Path) -> Iterator[str]:
    """The real API over a keyword predictor: everything but the transformer is the real thing."""
    with served(keyword_shop_api(tmp_path)) as url:
        with TriptychClient(url) as client:
            deadline = time.monotonic() + 30
            while client.ready().status != "ready":
                if time.monotonic() > deadline:
                    raise RuntimeError("the API did not become ready")
                time.sleep(0.05)
        yield url


@pytest.fixture(scope="session")
def photograph_of() -> Callable[[Page], Callable[[str], None]]:
    """Takes pictures at 400 and 1280 pixels where TRIPTYCH_SCREENSHOTS names a folder.

    In any case the page must not be wider than the screen.
    """
    folder = os.environ.get("TRIPTYCH_SCREENSHOTS")

    def photograph(page: Page, name: str) -> None:
        for width, height in ((400, 860), (1280, 900)):
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(1500 if folder else 400)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} pixels wide on a screen of {width}"
            if folder:
                page.screenshot(path=Path(folder) / f"{name}-{width}.png")

    return lambda page: partial(photograph, page)
