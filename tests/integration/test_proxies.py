"""Proxies of the shell are used for other hosts, never for this machine, and refused in one line if unusable."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from api.client import Client, RequestError, TransientError
from shared.settings import Settings
from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.socks import socks_proxy

NAMES = ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
DEAD = "127.0.0.1:1"


def set_proxy(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, proxy)


@pytest.mark.parametrize("proxy", [f"http://{DEAD}", f"socks5://{DEAD}", f"socks://{DEAD}"])
def test_a_server_of_this_machine_is_reached_without_the_proxy(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    set_proxy(monkeypatch, proxy)
    port = httpx.URL(server.url).port
    for host in ("127.0.0.1", "localhost"):
        with Client(f"http://{host}:{port}", tries=1) as client:
            client.ping()
            # The bytes come from a signed address of the S3 server.
            assert client.photo(client.upload(png_bytes())).startswith(b"\x89PNG")


def test_the_servers_reach_each_other_without_it(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_proxy(monkeypatch, f"http://{DEAD}")
    with api_server(settings, tmp_path) as own, Client(own.url, tries=1) as client:
        assert client.upload(png_bytes())


def test_another_host_is_reached_through_socks(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socks_proxy(httpx.URL(server.url).port or 0) as (proxy, hosts):
        set_proxy(monkeypatch, proxy)
        with Client("http://troupe.test", tries=1) as client:
            client.ping()
            assert client.workers() == []
    assert set(hosts) == {"troupe.test"}


def test_a_dead_or_unknown_proxy_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    set_proxy(monkeypatch, f"socks5://{DEAD}")
    with Client("http://troupe.test", tries=1) as client, pytest.raises(TransientError, match="does not answer"):
        client.queue()
    set_proxy(monkeypatch, f"socks4://{DEAD}")
    with pytest.raises(RequestError, match="HTTP_PROXY cannot be used: Unknown scheme"):
        Client("http://troupe.test")
