"""The API below a path of nginx and of Caddy, set up by the examples in compose/proxies, and for pages of elsewhere."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from compose.processes import ROOT, Processes, Program
from compose.servers import HOST, free_port, listens
from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.authority import certified
from tests.support.servers import fresh_settings, missing

EXAMPLES = ROOT / "compose" / "proxies"
APP = "https://app.example.com"
FORWARDED = {"X-Forwarded-Prefix": "/troupe", "X-Forwarded-Host": "pictures.example.com", "X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def more_settings() -> dict[str, object]:
    return {"proxy_networks": f"{HOST}/32", "cors_origins": f"{APP},http://localhost:3000"}


def submit(client: httpx.Client, below: str = "", **headers: str) -> httpx.Response:
    form = {"prompt": "a man", "phrase": "the man"}
    answer = client.post(f"{below}/v1/jobs", data=form, files={"photo": ("me.png", png_bytes())}, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer


@contextmanager
def nginx(api: ApiServer, folder: Path) -> Iterator[httpx.Client]:
    """The example with this host's names."""
    if shutil.which("nginx") is None:
        missing("nginx")
    port, (authority, pair) = free_port(), certified(folder, HOST)
    example = (EXAMPLES / "nginx.conf").read_text()
    for own, ours in {
        "127.0.0.1:8000": urlsplit(api.url).netloc,
        "listen 443": f"listen {HOST}:{port}",
        "/etc/ssl/pictures.example.com.pem": str(pair),
        "/etc/ssl/pictures.example.com.key": str(pair),
        "server_name pictures.example.com": f"server_name {HOST}",
    }.items():
        assert own in example
        example = example.replace(own, ours)
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder / 'nginx.pid'};\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{temporary}{example}}}\n"
    )
    command = [str(shutil.which("nginx")), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with Processes(folder) as processes:
        processes.start(Program(name="nginx", command=command))
        processes.wait_until("nginx", lambda: listens(port), timeout_s=20)
        with httpx.Client(
            base_url=f"https://{HOST}:{port}", verify=ssl.create_default_context(cafile=str(authority)), timeout=30
        ) as client:
            yield client


@contextmanager
def caddy(api: ApiServer, folder: Path) -> Iterator[httpx.Client]:
    """The example with this host's names, without TLS: it would ask an authority on the internet."""
    if shutil.which("caddy") is None:
        missing("caddy")
    port, example = free_port(), (EXAMPLES / "Caddyfile").read_text()
    for own, ours in {
        "127.0.0.1:8000": urlsplit(api.url).netloc,
        "\npictures.example.com {": f"\nhttp://{HOST}:{port} {{",
    }.items():
        assert own in example
        example = example.replace(own, ours)
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + example)
    command = [str(shutil.which("caddy")), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]
    home = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with Processes(folder) as processes:
        processes.start(Program(name="caddy", command=command, environment=home))
        processes.wait_until("caddy", lambda: listens(port), timeout_s=20)
        with httpx.Client(base_url=f"http://{HOST}:{port}", timeout=30) as client:
            yield client


@pytest.mark.parametrize("proxy", [nginx, caddy], ids=["nginx", "caddy"])
def test_every_link_leads_through_the_proxy(proxy: object, server: ApiServer, tmp_path: Path) -> None:
    with proxy(server, tmp_path) as client:  # type: ignore[operator]
        base = f"{str(client.base_url).rstrip('/')}/troupe"
        made = submit(client, "/troupe")
        job = made.json()
        assert made.headers["location"] == job["urls"]["self"] == f"{base}/v1/jobs/{job['id']}"
        assert all(url.startswith(f"{base}/v1/jobs/") for url in job["urls"].values() if url)
        assert client.get(made.headers["location"]).json()["id"] == job["id"]
        # The page finds its files beside itself.
        page = client.get("/troupe/")
        assert (page.status_code, client.get("/troupe/page/main.js").status_code) == (200, 200)
        assert 'src="page/main.js"' in page.text
        # Events come as they happen, and say the same.
        with client.stream("GET", f"/troupe/v1/jobs/{job['id']}/events") as events:
            lines = events.iter_lines()
            first = next(line for line in lines if line.startswith("data:"))
            player = threading.Thread(target=server.run_stages, args=[job["id"]])
            player.start()
            assert any('"succeeded"' in line for line in lines)
            player.join()
        assert base in first
        # A long poll that outlasts its job's news is answered by the API, not by the proxy.
        done = client.get(f"/troupe/v1/jobs/{job['id']}?wait=60").json()
        assert done["urls"]["picture"].startswith(base)


def test_the_headers_of_a_trusted_proxy_count_and_no_others(
    redis_url: str, s3_url: str, server: ApiServer, tmp_path: Path
) -> None:
    with server.client() as client:
        assert (
            submit(client, **FORWARDED).headers["location"].startswith("https://pictures.example.com/troupe/v1/jobs/")
        )
        only = {"X-Forwarded-Prefix": "/troupe/"}
        assert submit(client, **only).headers["location"].startswith("/troupe/v1/jobs/")
        for prefix in ("//evil.example.com", "/a b", "/a?b", "troupe", "/a/../b c"):
            location = submit(client, **{"X-Forwarded-Prefix": prefix}).headers["location"]
            assert location.startswith("/v1/jobs/")
        chain = {**FORWARDED, "X-Forwarded-Host": "evil.example.com, pictures.example.com"}
        assert submit(client, **chain).headers["location"].startswith("https://pictures.example.com/troupe/")
    with api_server(fresh_settings(redis_url, s3_url), tmp_path) as other, other.client() as client:
        assert submit(client, **FORWARDED).headers["location"].startswith("/v1/jobs/")


def test_the_public_url_is_the_beginning_of_every_link(redis_url: str, s3_url: str, tmp_path: Path) -> None:
    settings = fresh_settings(redis_url, s3_url, public_url="https://pictures.example.com/troupe/")
    with api_server(settings, tmp_path) as server, server.client() as client:
        job = submit(client, **{"X-Forwarded-Prefix": "/evil"}).json()
        assert job["urls"]["self"] == f"https://pictures.example.com/troupe/v1/jobs/{job['id']}"
        photo = job["spec"]["concepts"][0]["photos"][0]
        line = {"custom_id": "a", "prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo]}]}
        batch = client.post(
            "/v1/batches", content=json.dumps(line), headers={"Content-Type": "application/jsonl"}
        ).raise_for_status()
        assert batch.headers["location"].startswith("https://pictures.example.com/troupe/v1/batches/")


def test_an_idle_connection_stays_open_as_long_as_the_setting_says(redis_url: str, s3_url: str, tmp_path: Path) -> None:
    with api_server(fresh_settings(redis_url, s3_url, keep_alive_s=7), tmp_path) as server:
        place = urlsplit(server.url)
        with socket.create_connection((place.hostname, place.port), timeout=20) as idle:
            idle.sendall(f"GET /healthz HTTP/1.1\r\nHost: {place.netloc}\r\n\r\n".encode())
            began, heard = time.monotonic(), b""
            while data := idle.recv(4096):
                heard += data
            # uvicorn's own default is five seconds.
            assert time.monotonic() - began > 6
            assert b"200 OK" in heard


def test_a_page_of_a_named_origin_may_use_the_api(client: httpx.Client) -> None:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}
    preflight = client.options("/v1/jobs", headers={"Origin": APP, **asked})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == APP
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "idempotency-key" in preflight.headers["access-control-allow-headers"].lower()
    for answer in (client.get("/v1/jobs", headers={"Origin": APP}), client.get("/v1/nothing", headers={"Origin": APP})):
        assert answer.headers["access-control-allow-origin"] == APP
        assert "access-control-allow-credentials" not in answer.headers
        exposed = answer.headers["access-control-expose-headers"]
        assert {"ETag", "Location", "Retry-After", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"} <= set(
            exposed.split(", ")
        )


@pytest.mark.parametrize(
    "origin", ["https://app.example.com.evil.org", "http://app.example.com", "null", f"{APP}:8443"]
)
def test_a_page_of_any_other_origin_may_not(client: httpx.Client, origin: str) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.options("/v1/jobs", headers=asked).headers
    assert "access-control-allow-origin" not in client.get("/v1/jobs", headers={"Origin": origin}).headers


def test_without_the_setting_no_origin_is_let_in(redis_url: str, s3_url: str, tmp_path: Path) -> None:
    with api_server(fresh_settings(redis_url, s3_url), tmp_path) as server, server.client() as client:
        assert "access-control-allow-origin" not in client.get("/v1/jobs", headers={"Origin": APP}).headers


def test_a_method_that_an_address_has_not_is_told_all_that_it_has(client: httpx.Client) -> None:
    answer = client.put(f"/v1/jobs/{'0' * 32}")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD"
    assert client.put("/v1/jobs").headers["allow"] == "GET, HEAD, POST"
