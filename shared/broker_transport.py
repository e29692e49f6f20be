"""kombu's Redis transport on the connections that the records use: the same address, TLS, Sentinels and failover."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as kombu_redis

from shared.redis_address import RedisAddress
from shared.store.link import link_class, link_options

# Under `transport_options`.
ADDRESS = "troupe_address"


class Channel(kombu_redis.Channel):
    """A channel whose connections are made from the address in the transport's options."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """What kombu makes its pools from."""
        connection: Any = self.connection
        address: RedisAddress = connection.client.transport_options[ADDRESS]
        link: Any = link_class(address)
        channel: Any = self

        class Polled(link):  # type: ignore[misc]
            """A connection whose socket Celery's loop watches, as in kombu's own method."""

            def disconnect(self, *args: Any, **options: Any) -> None:
                super().disconnect(*args, **options)
                # As kombu does it.
                if channel._registered:  # noqa: SLF001
                    channel._on_connection_disconnect(self)  # noqa: SLF001

        return {
            **link_options(address),
            "max_connections": self.max_connections,
            "connection_class": Polled if asynchronous else link,
        }


class Transport(kombu_redis.Transport):
    """Takes the address as it is, and shows it without its password."""

    Channel = Channel
    can_parse_url = True
    # Celery only asks for it where it publishes groups; kombu would look for options in the address.
    supports_batch_publish = False

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:  # noqa: ARG002 - kombu's signature
        """The address for logs and for Flower."""
        connection: Any = self.client
        address: RedisAddress = connection.transport_options[ADDRESS]
        return address.full_url if include_password else address.url
