"""Who may use an API that asks for keys, and how the operator says so."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import pytest

from api.app import create_app
from api.auth.key_table import KeyTable
from api.auth.keys import KeyRing, token
from api.auth.middleware import OPEN_PATHS
from api.cli import keys as commands
from api.cli.app import main, make_app
from shared.errors import Unauthorized
from shared.settings import Settings
from shared.store import keys
from shared.store.connection import connect, connect_async
from tests.support.api_server import ApiServer, png_bytes

PATIENCE_S = 10.0
NOWHERE = f"/v1/jobs/{'0' * 32}"


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"auth": True}


def key_of(settings: Settings, tenant: str) -> str:
    """A new key of the tenant, as it is shown."""
    with connect(settings) as redis:
        return KeyTable(redis, settings).create(tenant)


def shown(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def opens(server: ApiServer, key: str) -> bool:
    with server.client() as client:
        status = client.get(NOWHERE, headers=shown(key)).status_code
    assert status in {401, 404}
    return status == 404


def until(server: ApiServer, key: str, *, open_: bool) -> None:
    """Waits until the API has heard of a change: it asks again within a second or so."""
    deadline = time.monotonic() + PATIENCE_S
    while opens(server, key) != open_:
        assert time.monotonic() < deadline


def keys_command(settings: Settings, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    app = make_app()
    commands.add(app, lambda: settings)
    with pytest.raises(SystemExit) as ended:
        main(app, ["keys", *words])
    out, err = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    return ended.value.code, out.strip(), err


def addresses() -> list[tuple[str, str]]:
    """Every method and address that is not open."""
    paths = create_app(Settings()).openapi()["paths"]
    closed = {path: methods for path, methods in paths.items() if path not in OPEN_PATHS}
    return [(method.upper(), re.sub(r"\{\w+\}", "0" * 32, path)) for path in closed for method in closed[path]]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *addresses(),
        ("HEAD", NOWHERE),
        ("OPTIONS", "/v1/jobs"),
        ("GET", "/nowhere"),
        ("GET", "/v1/jobs/../../docs/x"),
        ("GET", "/docs//"),
    ],
)
def test_nothing_is_answered_without_a_key(server: ApiServer, method: str, path: str) -> None:
    with server.client() as client:
        # The whole address: of `//docs` alone httpx makes the host `docs`.
        answer = client.request(method, f"{server.url}{path}")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    if method != "HEAD":
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unauthorized"


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json"])
def test_what_tells_nothing_of_anybody_is_open(server: ApiServer, path: str) -> None:
    with server.client() as client:
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer troupe",
        f"Bearer {token('0' * 16, 'f' * 64)}",
        f"Bearer {token('0' * 16, 'f' * 64)}x",
        "Basic dHJvdXBlOnRyb3VwZQ==",
        "Bearer \u00e9",
        f"Bearer {'a' * 8000}",
    ],
)
def test_what_is_no_key_opens_nothing(server: ApiServer, header: str) -> None:
    with server.client() as client:
        answer = client.get(NOWHERE, headers={b"Authorization": header.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")


def test_two_keys_at_once_are_none(server: ApiServer) -> None:
    key = key_of(server.settings, "someone")
    with server.client() as client:
        answer = client.get(NOWHERE, headers=[*shown(key).items(), *shown(key).items()])
    assert answer.status_code == 401


def test_a_key_opens_the_api_for_its_tenant_alone(server: ApiServer) -> None:
    mine, theirs = (shown(key_of(server.settings, tenant)) for tenant in ("mine", "theirs"))
    with server.client() as client:
        data = png_bytes(colour="navy")
        photo = client.post("/v1/photos", content=data, headers={**mine, "Content-Type": "image/png"})
        assert photo.status_code == 201
        asked: dict[str, Any] = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [photo.json()["id"]]}]}
        # The photo is unknown to the other, who may have one of the same bytes.
        assert client.post("/v1/jobs", json=asked, headers=theirs).json()["code"] == "unknown_photo"
        job = client.post("/v1/jobs", json=asked, headers=mine).json()
        server.run_stages(job["id"])
        for method, path in (("GET", ""), ("GET", "/picture"), ("GET", "/masks"), ("POST", "/cancel")):
            there = client.request(method, f"/v1/jobs/{job['id']}{path}", headers=theirs)
            never = client.request(method, f"/v1/jobs/{uuid.uuid4().hex}{path}", headers=theirs)
            assert (there.status_code, there.content) == (404, never.content)
        assert client.get(f"/v1/jobs/{job['id']}", headers=mine).json()["status"] == "succeeded"
        picture = client.get(f"/v1/jobs/{job['id']}/template", headers=mine)
        assert "/mine/stages/render/" in picture.headers["location"]


def test_a_photo_that_another_tenant_has_is_new_to_this_one(server: ApiServer) -> None:
    data = png_bytes(colour="salmon")
    answers = []
    with server.client() as client:
        for tenant in ("mine", "theirs"):
            headers = {**shown(key_of(server.settings, tenant)), "Content-Type": "image/png"}
            answers.append(client.post("/v1/photos", content=data, headers=headers))
    assert [answer.status_code for answer in answers] == [201, 201]


def test_readyz_names_hosts_only_to_those_with_a_key(server: ApiServer) -> None:
    server.announce_workers(ready=False, reason="unet is missing")
    key = key_of(server.settings, "someone")
    with server.client() as client:
        told = client.get("/readyz", headers=shown(key))
        assert "unet is missing" in told.text
        for headers in ({}, shown("troupe_no_key")):
            outline = client.get("/readyz", headers=headers)
            assert (outline.status_code, outline.json()["ready"]) == (503, False)
            assert {check["detail"] for check in outline.json()["checks"]} == {"ready", "not ready"}


def test_a_key_is_shown_once_listed_and_disabled(server: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    status, key, _ = keys_command(server.settings, capsys, "create", "agency-7")
    assert status == 0
    assert opens(server, key)
    key_id, secret = key.split("_")[1:]
    _, listed, _ = keys_command(server.settings, capsys, "list")
    assert any(key_id in row and "agency-7" in row and "active" in row for row in listed.splitlines())
    assert secret not in listed
    assert keys_command(server.settings, capsys, "disable", key_id)[0] == 0
    until(server, key, open_=False)
    assert "disabled" in keys_command(server.settings, capsys, "list")[1]


def test_the_secret_itself_is_not_kept(server: ApiServer) -> None:
    key = key_of(server.settings, "someone")
    _, key_id, secret = key.split("_")
    with connect(server.settings) as redis:
        fields: Any = redis.hgetall(keys.api_key_key(server.settings.key_prefix, key_id))
    assert secret not in str(fields)


def test_a_rotated_key_has_two_secrets_for_the_grace_time(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _, old, _ = keys_command(server.settings, capsys, "create", "agency")
    key_id = old.split("_")[1]
    _, new, told = keys_command(server.settings, capsys, "rotate", key_id, "--grace", "1h")
    assert "3600 seconds" in told
    until(server, new, open_=True)
    assert opens(server, old)
    _, newest, _ = keys_command(server.settings, capsys, "rotate", key_id, "--grace", "0")
    until(server, newest, open_=True)
    assert not opens(server, old)
    assert not opens(server, new)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "No Name"), "not a tenant name"),
        (("disable", "0123"), "there is no key"),
        (("rotate", "0123"), "there is no key"),
        (("tenant", "agency", "--weight", "0"), "--weight: "),
        (("tenant", "agency", "--concurrency", "many"), "--concurrency: "),
        (("tenant", "../agency"), "not a tenant name"),
    ],
)
def test_what_cannot_be_is_said_in_words(
    settings: Settings, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
) -> None:
    status, out, err = keys_command(settings, capsys, *words)
    assert (status, out) == (1, "")
    assert told in err


def test_limits_are_set_one_by_one_and_lifted(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    def set_to(*words: str) -> dict[str, str]:
        _, out, _ = keys_command(settings, capsys, "tenant", "agency", *words)
        return dict(row.split() for row in out.splitlines())

    assert set_to()["weight"] == "1.0"
    assert set_to("--weight", "2")["weight"] == "2.0"
    both = set_to("--concurrency", "4")
    assert (both["weight"], both["concurrency"]) == ("2.0", "4")
    assert set_to("--concurrency", "none")["concurrency"] == "none"
    assert set_to("--rate", "60/minute")["rate"] == "60/60s"
    quota = set_to("--daily-quota", "5000", "--rate", "5 per 10 seconds")
    assert (quota["daily-quota"], quota["rate"]) == ("5000", "5/10s")
    assert set_to("--rate", "none")["rate"] == "none"


def test_a_key_costs_one_question_a_second_however_often_it_is_shown(settings: Settings) -> None:
    key = key_of(settings, "someone")

    async def ask() -> int:
        async with connect_async(settings) as redis:
            before = (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"]
            known = KeyRing(redis, settings)
            await asyncio.gather(*(known.key_of(key) for _ in range(100)))
            after = (await redis.info("commandstats"))["cmdstat_hgetall"]["calls"]
        return int(after - before)

    assert asyncio.run(ask()) == 1


def test_a_disabled_key_opens_nothing_even_with_its_old_secret(settings: Settings) -> None:
    with connect(settings) as redis:
        table = KeyTable(redis, settings)
        old = table.create("someone")
        key_id = old.split("_")[1]
        new = table.rotate(key_id, 3600)
        table.disable(key_id)

    async def ask(key: str) -> None:
        async with connect_async(settings) as client:
            with pytest.raises(Unauthorized):
                await KeyRing(client, settings).key_of(key)

    for key in (old, new):
        asyncio.run(ask(key))
