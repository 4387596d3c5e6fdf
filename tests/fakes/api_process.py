"""An API process of all three apps: real routes, stores and registry; fakes in place of models.

    python -m tests.fakes.api_process HOME DATABASE_URL

Keys are asked for. The first line printed is the address.
"""

from __future__ import annotations

import socket
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from apps.api import create_app
from apps.commands.serving import run_server
from apps.finance.bootstrap import ServedFinance, served_finance
from apps.support.bootstrap import ServedSupport, SupportSettings, served_support
from models.registry import ModelRegistry
from shared.settings import Settings
from tests.fakes.finance_monitor import ScorerFake
from tests.fakes.predictor import KeywordPredictor
from tests.fakes.recommend_service import make_recommender
from tests.fakes.support_desk import PointerFake, shop_desk


def _recommender(settings: Settings, engine: Engine, registry: ModelRegistry) -> Any:
    return make_recommender(settings, engine, registry, clock=lambda: datetime.now(UTC))


def _support(settings: Settings, engine: Engine, registry: ModelRegistry) -> ServedSupport:
    desk = shop_desk(KeywordPredictor(version="v1"))
    return served_support(
        settings,
        engine,
        PointerFake({"v1": desk}, "v1"),  # type: ignore[arg-type]
        desk_settings=SupportSettings(),
        load=lambda version: version,  # type: ignore[arg-type,return-value]
        poll_seconds=0.5,
    )


def _finance(settings: Settings, engine: Engine, registry: ModelRegistry) -> ServedFinance:
    return served_finance(
        settings,
        engine,
        PointerFake({}),  # type: ignore[arg-type]
        scorer=ScorerFake(engine),  # type: ignore[arg-type]
    )


def main(home: str, url: str) -> None:
    settings = Settings(home=Path(home), database_url=url, allowed_addresses=("127.0.0.1",))
    app = create_app(settings, require_keys=True, served=(_support, _finance, _recommender))
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        opened.listen(128)
        print(f"http://127.0.0.1:{opened.getsockname()[1]}", flush=True)
        run_server(app, opened)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
