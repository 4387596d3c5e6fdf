"""Settings of one installation. Nothing is read when this module is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.web.addresses import AddressPolicy


def default_home() -> Path:
    """The user's data folder for Triptych."""
    return Path(platformdirs.user_data_dir("triptych"))


class Settings(BaseSettings):
    """Read from ``TRIPTYCH_*`` variables when it is made, and handed on from there."""

    model_config = SettingsConfigDict(env_prefix="TRIPTYCH_", extra="ignore", frozen=True)

    home: Path = Field(default_factory=default_home, description="where all state lives")
    data: Path | None = Field(default=None, description="folder with the public data sets")
    database_url: str | None = Field(
        default=None, description="SQLAlchemy address; SQLite if unset"
    )
    sqlite_synchronous: Literal["normal", "full"] = Field(
        default="normal",
        description="full: each commit waits for the disk, so that a loss of power loses none",
    )
    encoder: str | None = Field(default=None, description="encoder name or folder; MiniLM if unset")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="where models run")
    runtime: Literal["auto", "int8", "fp32", "openvino", "torch"] = Field(
        default="auto",
        description="what computes served models; auto: what their promotion chose",
    )
    serving_threads: int | None = Field(
        default=None, ge=1, description="threads of a served model; all cores if unset"
    )
    api_url: str = Field(default="http://127.0.0.1:8000", description="what pages and clients call")
    api_key: str | None = Field(default=None, description="the key that pages and clients send")
    person_timeout_minutes: float = Field(
        default=30.0, gt=0, description="silence after which a chat goes back to the bot"
    )
    allowed_addresses: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="hosts, host:port and networks that feeds and webhooks may call though they"
        " are not public, comma separated",
    )

    log_format: Literal["text", "json"] = Field(
        default="text", description="lines of the log: text, or a JSON object each"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="the least level that is logged"
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="each API process shows its metrics on the first free port from here on;"
        " needed where several share the API's port",
    )
    watcher_metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="the watcher shows its metrics on the first free port from here on; none if"
        " unset",
    )
    metrics_host: str = Field(
        default="127.0.0.1", description="where those ports listen; they ask for no key"
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("TRIPTYCH_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="where OpenTelemetry traces go (OTLP over HTTP); none are taken if unset",
    )

    rescore_days: float = Field(
        default=7.0,
        ge=0,
        le=3_650,
        description="days of stories that the watcher scores again after a promotion; 0: none",
    )
    drift_hours: float = Field(
        default=6.0, ge=0, description="hours between two drift checks by the API; 0: none"
    )
    rate_limit: str | None = Field(
        default=None, description="requests that a key may make, such as 600/minute; any if unset"
    )
    guess_limit: str = Field(
        default="30/minute", description="wrong API keys that one address may send"
    )
    request_seconds: float = Field(
        default=60.0, gt=0, description="time to answer a request that neither trains nor promotes"
    )
    upload_seconds: float = Field(
        default=120.0, gt=0, description="time for the body of a request to arrive"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="origins of web pages that may call the API from a browser, comma separated",
    )

    @field_validator("allowed_addresses", "cors_origins", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(entry.strip() for entry in value.split(",") if entry.strip())
        return value

    def address_policy(self) -> AddressPolicy:
        """Which addresses feeds and webhooks may call. Raises SettingsError for a bad entry."""
        return AddressPolicy(self.allowed_addresses)

    @property
    def database(self) -> str:
        """The address of the database: the one that was set, or SQLite under ``home``."""
        url = self.database_url or f"sqlite:///{self.home / 'triptych.sqlite3'}"
        if self.sqlite_synchronous == "normal" or not url.startswith("sqlite"):
            return url
        if "synchronous=" in url:
            return url
        return f"{url}{'&' if '?' in url else '?'}synchronous=full"

    @property
    def models(self) -> Path:
        """The folder of model versions."""
        return self.home / "models"
