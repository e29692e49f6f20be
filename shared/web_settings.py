"""The settings that say how clients, proxies and web pages reach the API."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, field_validator

from shared.addresses import Network, read_networks, read_origins
from shared.environment import EnvironmentSettings


class WebSettings(EnvironmentSettings):
    """A part of the settings."""

    max_wait_s: float = Field(
        50.0, ge=0, description="Maximum duration of a long poll; shorter than proxies wait (nginx: 60 s)"
    )
    keep_alive_s: int = Field(
        75, ge=1, description="How long an idle connection stays open; longer than load balancers keep theirs"
    )
    public_url: str = Field(
        "",
        pattern=r"^(https?://[^/?#\s]+(/[\w.~%-]+)*/?)?$",
        description="URL at which clients reach the API, with the path of a proxy if there is one: all links in "
        "responses begin with it. Empty: links are paths",
    )
    proxy_networks: str = Field(
        "",
        description="Networks of trusted proxies, for example `10.0.0.0/8,::1/128`: links in responses begin with what "
        "their `X-Forwarded-Proto`, `-Host` and `-Prefix` headers say",
    )
    cors_origins: str = Field(
        "",
        description="Origins of web pages that may use the API from a browser, for example "
        "`https://app.example.com,http://localhost:3000`. Empty: none",
    )

    @field_validator("proxy_networks")
    @classmethod
    def _proxies_can_be_read(cls, text: str) -> str:
        read_networks(text)
        return text

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, text: str) -> str:
        read_origins(text)
        return text

    @property
    def trusted_proxies(self) -> Sequence[Network]:
        """Networks whose forwarding headers are believed."""
        return read_networks(self.proxy_networks)

    @property
    def allowed_origins(self) -> Sequence[str]:
        """Origins of web pages that may use the API."""
        return read_origins(self.cors_origins)
