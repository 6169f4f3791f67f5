"""Every setting, read once at start and passed down. `.env.example` documents each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit, urlunsplit

import platformdirs
from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from services.errors import ConfigError

PROJECT_DIR: Final = Path(__file__).resolve().parent.parent
_PROXY_SECRET_LEAST: Final = 24
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def _livekit_url(value: str | None) -> str | None:
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https", "ws", "wss"} or not parts.hostname:
        raise ValueError("must look like ws://host:7880 or wss://host")
    return value.rstrip("/")


def _http_url(value: str | None) -> str | None:
    if not value:
        return None
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must look like http://host:8501 or https://host")
    return value.rstrip("/")


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


LiveKitUrl = Annotated[str | None, AfterValidator(_livekit_url)]
HttpUrl = Annotated[str | None, AfterValidator(_http_url)]


class Settings(BaseSettings):
    """Read once at start and passed down; nothing else reads the environment."""

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, env_ignore_empty=True
    )  # hide_input: a validation error would else print the raw secret

    livekit_url: LiveKitUrl = None  # None: start the embedded server
    livekit_public_url: LiveKitUrl = None  # as browsers reach it; None: the same
    livekit_api_key: str = ""
    livekit_api_secret: SecretStr = SecretStr("")
    database_url: SecretStr = SecretStr("")  # holds a password; "": SQLite in the data folder

    switchboard_data_dir: Path = PROJECT_DIR / ".switchboard"
    switchboard_cache_dir: Path = Field(
        default_factory=lambda: platformdirs.user_cache_path("switchboard")
    )
    switchboard_url: HttpUrl = None  # the dashboard as others reach it; None: from the port
    switchboard_langgraph_json: Path = PROJECT_DIR / "langgraph.json"
    switchboard_scripts_dir: Path = PROJECT_DIR / "agents" / "pm_agent" / "scripts"  # test sessions
    switchboard_review_rubric_file: Path | None = None  # a question a line; None: three of our own
    switchboard_log_level: Literal["debug", "info", "warning", "error"] = "info"

    switchboard_embedded_livekit: Literal["auto", "off"] = "auto"  # off: start no livekit-server
    switchboard_livekit_server_bin: Path | None = None  # the binary; None: found or built
    switchboard_livekit_metrics_url: HttpUrl = None  # Prometheus page of an outside server

    switchboard_worker: Literal["auto", "on", "off"] = "auto"  # auto: beside the embedded server
    switchboard_worker_max_jobs: int = Field(default=8, ge=1, le=1000)  # sessions at once, at most
    switchboard_worker_idle_processes: int = Field(
        default=1, ge=0, le=32
    )  # processes that wait for a job
    switchboard_worker_drain_timeout_s: float = Field(
        default=20.0, ge=0, le=3600
    )  # a stopping worker's patience
    switchboard_spool_dir: Path | None = None  # what agents could not deliver; None: data folder
    switchboard_stt: str = "offline"  # or a LiveKit plugin: deepgram.STT {"model": "nova-3"}
    switchboard_tts: str = "offline"  # likewise
    switchboard_agent_version: str = ""  # what our worker's agents call their version
    pm_agent_model: str = ""  # such as openai:gpt-4.1-mini; "": rules, no model and no key

    switchboard_livekit_timeout_s: float = Field(default=5.0, gt=0, le=60)
    switchboard_store_timeout_s: float = Field(default=5.0, gt=0, le=60)
    switchboard_poll_interval_s: float = Field(default=2.0, ge=0.1, le=60)
    switchboard_token_ttl_minutes: float = Field(default=15.0, ge=1, le=24 * 60)
    switchboard_session_max_hours: float = Field(default=24.0, gt=0, le=24 * 30)
    switchboard_idempotency_hours: float = Field(default=24.0, gt=0, le=24 * 30)
    switchboard_event_retention_days: int = Field(default=90, ge=1, le=3650)
    switchboard_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    switchboard_cors_origins: Annotated[tuple[str, ...], NoDecode] = ()  # http://localhost:3000
    switchboard_auth_mode: Literal["none", "password", "proxy", "oidc"] = "none"
    switchboard_users_file: Path | None = None  # roles and passwords; None: in the data folder
    switchboard_auth_session_ttl_hours: float = Field(default=12.0, gt=0, le=24 * 30)
    switchboard_proxy_secret: SecretStr = SecretStr("")  # what the proxy proves itself by
    switchboard_proxy_user_header: str = "X-Forwarded-User"
    switchboard_proxy_groups_header: str = "X-Forwarded-Groups"
    switchboard_oidc_groups_claim: str = "groups"
    switchboard_api_rate_limit_per_minute: int = Field(
        default=1200, ge=1, le=1_000_000
    )  # of one caller
    switchboard_alert_webhook_url: HttpUrl = None  # where alerts are posted
    switchboard_alert_webhook_secret: SecretStr = SecretStr("")  # what signs them
    switchboard_pii_redaction: Annotated[tuple[str, ...], NoDecode] = ()  # card, email, iban, phone
    switchboard_pii_redaction_patterns_file: Path | None = (
        None  # further ones: `name = expression`, one a line
    )
    switchboard_allow_unauthenticated_public: bool = (
        False  # True: serve beyond loopback although no login is set
    )

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, data: dict[str, object]) -> dict[str, object]:
        lists = (
            "switchboard_allowed_hosts",
            "switchboard_cors_origins",
            "switchboard_pii_redaction",
        )
        return {**data, **{name: _names(data[name]) for name in lists if name in data}}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Values come from `load_settings` or the constructor alone: tests see no environment."""
        return (init_settings,)

    @property
    def embedded(self) -> bool:
        """Whether a livekit-server of our own is wanted."""
        return self.livekit_url is None and self.switchboard_embedded_livekit == "auto"

    @property
    def people_file(self) -> Path:
        """Where roles and passwords stand; it need not be there without a login."""
        return self.switchboard_users_file or self.switchboard_data_dir / "people.yaml"

    @property
    def sqlite_path(self) -> Path | None:
        """The SQLite file, or None where `DATABASE_URL` names another database."""
        if self.database_url.get_secret_value():
            return None
        return self.switchboard_data_dir / "switchboard.db"


def load_settings(
    environ: Mapping[str, str] | None = None, *, env_file: Path | None = PROJECT_DIR / ".env"
) -> Settings:
    """The settings from the environment, over those in `.env`.

    Raises:
        ConfigError: a value cannot be used, a `SWITCHBOARD_` name is unknown, or
            `LIVEKIT_URL` stands without its key and secret.
    """
    environ = os.environ if environ is None else environ
    found: dict[str, str] = {}
    if env_file is not None and env_file.is_file():
        found |= {name.lower(): value or "" for name, value in dotenv_values(env_file).items()}
    found |= {name.lower(): value for name, value in environ.items()}
    fields = set(Settings.model_fields)
    if unknown := sorted(n for n in found if n.startswith("switchboard_") and n not in fields):
        raise ConfigError(
            f"{unknown[0].upper()} is not a setting.",
            hint=f"Correct or remove it; {_nearest(unknown[0], fields)}",
        )
    values: dict[str, object] = {n: v for n, v in found.items() if n in fields and v.strip()}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "A setting"
        reason = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"{name} cannot be used: {reason}.", hint="See .env.example for each setting."
        ) from None  # the cause may hold the value
    _check_together(settings)
    return settings


def _nearest(name: str, fields: set[str]) -> str:
    from difflib import get_close_matches

    prefix = "switchboard_"  # it would make every name look alike
    ours = [field.removeprefix(prefix) for field in fields if field.startswith(prefix)]
    near = get_close_matches(name.removeprefix(prefix), ours, n=1)
    return f"did you mean {(prefix + near[0]).upper()}?" if near else ".env.example lists them all."


def _check_together(settings: Settings) -> None:
    if settings.livekit_url is not None:
        for name in ("livekit_api_key", "livekit_api_secret"):
            value = getattr(settings, name)
            if not (value.get_secret_value() if isinstance(value, SecretStr) else value):
                raise ConfigError(
                    f"LIVEKIT_URL is set but {name.upper()} is not.",
                    hint="Set it to the key pair of that server, or unset LIVEKIT_URL.",
                )
    shared = settings.switchboard_proxy_secret.get_secret_value()
    if settings.switchboard_auth_mode == "proxy" and len(shared) < _PROXY_SECRET_LEAST:
        raise ConfigError(
            "SWITCHBOARD_AUTH_MODE is proxy, and SWITCHBOARD_PROXY_SECRET is missing or short.",
            hint=f"Choose {_PROXY_SECRET_LEAST} characters or more, and have the proxy send them as "
            "X-Switchboard-Proxy-Secret: else whoever sends X-Forwarded-User is who they like.",
        )
    scheme = settings.database_url.get_secret_value().split(":", 1)[0]
    if scheme and scheme.split("+", 1)[0] not in {"postgres", "postgresql", "sqlite"}:
        raise ConfigError(
            "DATABASE_URL names a database that Switchboard does not know.",
            hint="Use postgresql://user:password@host/name, or leave it unset for SQLite.",
        )


def http_form(url: str) -> str:
    """The URL with http or https for ws or wss: what server calls use."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme))


def ws_form(url: str) -> str:
    """The URL with ws or wss for http or https: what clients join by."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme))
