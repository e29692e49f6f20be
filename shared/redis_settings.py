"""The settings that say where Redis is and how it is reached, for the records and the broker alike."""

from __future__ import annotations

import os

from pydantic import Field, SecretStr, field_validator

from shared.environment import EnvironmentSettings
from shared.redis_address import RedisAddress, RedisTls, is_redis, read_redis_address


class RedisSettings(EnvironmentSettings):
    """A part of the settings. A field that may contain a password is left out of `repr` and of error messages."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="Redis server that holds job records, queues and progress: "
        "`redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]`, `rediss://...` (TLS), `unix:///PATH?db=N`, "
        "`sentinel://HOST:PORT,HOST:PORT/SERVICE[/DB]` or `sentinels://...` (TLS)",
    )
    redis_password: SecretStr = Field(
        SecretStr(""), description="Redis password, if `TROUPE_REDIS_URL` does not contain one"
    )
    redis_sentinel_password: SecretStr = Field(SecretStr(""), description="Password of the Sentinels")
    redis_tls_ca: str = Field(
        "", description="PEM file of the authorities that sign Redis' certificate. Empty: those of the system"
    )
    redis_tls_certificate: str = Field("", description="PEM file of the client certificate for Redis. Empty: none")
    redis_tls_key: str = Field("", description="PEM file of the private key of the client certificate")
    redis_tls_verify: bool = Field(
        True, description="Refuse a Redis server whose certificate is not valid for its host"
    )
    broker_url: str = Field(
        "", repr=False, description="Redis of the Celery broker, in the same forms. Empty: that of `TROUPE_REDIS_URL`"
    )

    @field_validator("redis_url")
    @classmethod
    def _redis_can_be_read(cls, url: str) -> str:
        read_redis_address(url)
        return url

    @field_validator("broker_url")
    @classmethod
    def _broker_can_be_read(cls, url: str) -> str:
        # Tests have a broker in memory.
        if url and url != "memory://":
            read_redis_address(url)
        return url

    @field_validator("redis_tls_ca", "redis_tls_certificate", "redis_tls_key")
    @classmethod
    def _tls_files_are_there(cls, path: str) -> str:
        if path and not os.access(path, os.R_OK):
            message = "this file cannot be read"
            raise ValueError(message)
        return path

    @property
    def redis_address(self) -> RedisAddress:
        """The Redis of the records."""
        return self._redis_at(self.redis_url)

    @property
    def broker_address(self) -> RedisAddress | None:
        """The Redis of the broker: its own setting, else that of the records. None where the broker is no Redis."""
        url = self.broker_url or self.redis_url
        return self._redis_at(url) if is_redis(url) else None

    def _redis_at(self, url: str) -> RedisAddress:
        return read_redis_address(
            url,
            password=self.redis_password.get_secret_value(),
            sentinel_password=self.redis_sentinel_password.get_secret_value(),
            tls=RedisTls(
                authorities=self.redis_tls_ca,
                certificate=self.redis_tls_certificate,
                key=self.redis_tls_key,
                verify=self.redis_tls_verify,
            ),
        )
