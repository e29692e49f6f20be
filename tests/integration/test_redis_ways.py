"""The ways to a Redis that people have, for records and broker alike: TLS, users, unix sockets, IPv6."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from compose.servers import HOST, free_port
from shared import broker
from shared.errors import RecordsUnavailable
from shared.settings import Settings
from shared.startup import check_servers
from shared.store.connection import connect, redis_errors
from tests.support.api_server import api_server
from tests.support.authority import certified
from tests.support.queue_harness import queue_harness
from tests.support.servers import RedisServer, fresh_settings, redis_server

PASSWORD = "p@ss/w:o#r?d [é]"
# What the documents say that a user needs. INFO, ROLE and CONFIG are among the dangerous ones.
RULES = ("on", "~{prefix}:*", "&*", "+@all", "-@dangerous", "-@admin")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of the machine's own Redis."""
    with redis_server(tmp_path_factory.mktemp("own"), "redis-server") as server:
        yield server


@pytest.fixture(scope="module")
def tls(own: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """Its TLS address, the authority of its certificate, and a certificate that it takes from clients."""
    authority, pair = certified(tmp_path_factory.mktemp("tls"), HOST, "localhost")
    port = free_port()
    with redis.Redis.from_url(own.url) as client:
        client.config_set("tls-cert-file", str(pair), "tls-key-file", str(pair), "tls-ca-cert-file", str(authority))
        client.config_set("tls-auth-clients", "no", "tls-port", str(port))
    return f"rediss://{HOST}:{port}/0", authority, pair


def use(settings: Settings) -> None:
    """The records and the broker are written and read. Raises RecordsUnavailable or OperationalError."""
    with connect(settings) as client, redis_errors():
        client.set(f"{settings.key_prefix}:way", "there")
        assert client.get(f"{settings.key_prefix}:way") == "there"
    use_broker(settings)


def use_broker(settings: Settings) -> None:
    app = Celery(set_as_current=False)
    broker.configure(app, settings)
    assert sum(one.messages for one in broker.messages_waiting(app, settings)) == 0


def with_certificates(url: str, authority: Path, **more: object) -> Settings:
    return fresh_settings(url, "http://127.0.0.1:1", redis_tls_ca=str(authority), **more)


def test_tls_is_verified_by_the_authority_of_the_settings(tls: tuple[str, Path, Path]) -> None:
    url, authority, _ = tls
    use(with_certificates(url, authority))
    use(with_certificates(url.replace(HOST, "localhost"), authority))


def test_neither_records_nor_broker_trust_a_stranger(tls: tuple[str, Path, Path]) -> None:
    url, _, _ = tls
    stranger = fresh_settings(url, "http://127.0.0.1:1")
    with pytest.raises(RecordsUnavailable, match="certificate"), connect(stranger) as client, redis_errors():
        client.ping()
    with pytest.raises(OperationalError, match="certificate"):
        use_broker(stranger)
    use(fresh_settings(url, "http://127.0.0.1:1", redis_tls_verify=False))


def test_a_certificate_for_another_host_is_refused(
    own: RedisServer, tls: tuple[str, Path, Path], tmp_path: Path
) -> None:
    url, first, pair = tls
    authority, other = certified(tmp_path, "elsewhere.example.com")
    with redis.Redis.from_url(own.url) as client:
        client.config_set("tls-cert-file", str(other), "tls-key-file", str(other))
        try:
            settings = with_certificates(url, authority)
            with pytest.raises(RecordsUnavailable, match="certificate"), connect(settings) as tried, redis_errors():
                tried.ping()
            with pytest.raises(OperationalError, match="certificate"):
                use_broker(settings)
        finally:
            client.config_set("tls-cert-file", str(pair), "tls-key-file", str(pair))
    use(with_certificates(url, first))


def test_a_server_that_asks_for_a_certificate_gets_ours(own: RedisServer, tls: tuple[str, Path, Path]) -> None:
    url, authority, pair = tls
    with redis.Redis.from_url(own.url) as client:
        client.config_set("tls-auth-clients", "yes")
        try:
            with pytest.raises((RecordsUnavailable, OperationalError)):
                use(with_certificates(url, authority))
            use(with_certificates(url, authority, redis_tls_certificate=str(pair), redis_tls_key=str(pair)))
        finally:
            client.config_set("tls-auth-clients", "no")


def test_a_password_with_any_character_is_taken_in_both_places(own: RedisServer) -> None:
    place = own.url.partition("://")[2]
    with redis.Redis.from_url(own.url) as client:
        client.acl_setuser(
            "whole", enabled=True, passwords=[f"+{PASSWORD}"], keys="*", channels="*", categories=["+@all"]
        )
    use(fresh_settings(f"redis://whole@{place}", "http://127.0.0.1:1", redis_password=PASSWORD))
    use(fresh_settings(f"redis://whole:{PASSWORD}@{place}", "http://127.0.0.1:1"))
    wrong = fresh_settings(f"redis://whole:{PASSWORD}x@{place}", "http://127.0.0.1:1")
    (found,) = check_servers(wrong, None)
    assert found.fatal
    assert PASSWORD[:4] not in found.words


def test_ipv6_and_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with redis_server(tmp_path, "redis-server") as server:
        server.kill()
        more = ["--bind", HOST, "::1", "--unixsocket", str(path)]
        server.program = replace(server.program, command=[*server.program.command, *more])
        server.start()
        use(fresh_settings(f"unix://{path}?db=1", "http://127.0.0.1:1"))
        use(fresh_settings(server.url.replace(HOST, "[::1]"), "http://127.0.0.1:1"))


def test_a_limited_user_behind_tls_runs_jobs_and_is_warned_of_what_it_may_not_see(
    own: RedisServer, tls: tuple[str, Path, Path], s3_url: str, tmp_path: Path
) -> None:
    url, authority, _ = tls
    settings = fresh_settings(
        url.replace("://", "://queue@"), s3_url, redis_tls_ca=str(authority), redis_password="secret"
    )
    with redis.Redis.from_url(own.url) as client:
        rules = [rule.format(prefix=settings.key_prefix) for rule in RULES]
        client.execute_command("ACL SETUSER", "queue", ">secret", *rules)
    (warning,) = check_servers(settings, None)
    assert not warning.fatal
    assert "does not show its configuration" in warning.words
    with queue_harness(settings, tmp_path) as stand:
        stand.start_workers("all")
        stand.check_one_picture(stand.submit())
        with api_server(stand.settings, tmp_path / "api") as api, api.client() as client:
            ready = client.get("/readyz")
            assert ready.status_code == 200, ready.text
            assert "does not show its configuration" in ready.json()["warnings"][0]
            assert client.get("/metrics").status_code == 200
            assert client.get("/v1/queue").status_code == 200
