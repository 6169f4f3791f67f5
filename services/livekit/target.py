"""Which LiveKit server we talk to, and how its clients reach it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from services.settings import Settings, http_form, ws_form


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveKitTarget:
    """Address and key pair. `repr` does not show the secret."""

    url: str  # http(s), for server calls
    public_url: str  # ws(s), for browsers and SDKs
    api_key: str
    api_secret: SecretStr
    metrics_url: str | None = None  # livekit-server's Prometheus page
    embedded: bool = False

    @property
    def env(self) -> dict[str, str]:
        """The environment by which LiveKit's SDKs and our worker find this server."""
        return {
            "LIVEKIT_URL": ws_form(self.url),
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret.get_secret_value(),
        }

    @classmethod
    def outside(cls, settings: Settings) -> Self:
        """The server that `LIVEKIT_URL` names."""
        if settings.livekit_url is None:
            raise ValueError("no LIVEKIT_URL")
        return cls(
            url=http_form(settings.livekit_url),
            public_url=ws_form(settings.livekit_public_url or settings.livekit_url),
            api_key=settings.livekit_api_key,
            api_secret=settings.livekit_api_secret,
            metrics_url=settings.switchboard_livekit_metrics_url,
        )
