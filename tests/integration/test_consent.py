"""What is said of consent: kept with its photo, told to its tenant, asked for where the server must, never logged."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from api.cli.batch_folder import BatchFolder, BatchOptions
from api.client import AsyncClient, Client, scene
from api.photos.decode import photo_id
from shared.blob_store import BlobStore, photo_key, upload_key
from shared.errors import ConsentRequired
from shared.store import keys
from shared.store.connection import connect
from tests.integration.test_audit import entries
from tests.integration.test_cli import refused, troupe
from tests.integration.test_uploads import sent, why
from tests.support.api_server import ApiServer, png_bytes

PHOTOS = "/v1/photos"
SAID = "written release 2026-11-03, A. Person"
NAMES = "schriftlich, Zoë Łukasz, رضا\u200cیی, 陽子"
IMAGE = {"Content-Type": "image/png"}


@pytest.fixture(scope="module", params=["true", "false"])
def more_settings(request: pytest.FixtureRequest) -> Mapping[str, object]:
    """Once as a server that asks for consent, once as one that only takes it."""
    return {"require_consent": request.param == "true", "sweep_every_s": 0.2}


def portrait() -> bytes:
    """A photo that nobody has sent yet."""
    return png_bytes() + uuid.uuid4().bytes


def kept(client: httpx.Client, photo: str) -> str | None:
    answer = client.get(f"{PHOTOS}/{photo}", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["id"]) == (200, photo)
    consent: str | None = answer.json()["consent"]
    return consent


def noted(client: httpx.Client) -> list[tuple[str, str | None]]:
    return [(one["subject"], one["consent"]) for one in entries(client) if one["action"] == "photo.uploaded"]


def by_form(client: httpx.Client, data: bytes, said: str | None) -> httpx.Response:
    return client.post(PHOTOS, files={"photo": data}, data={} if said is None else {"consent": said})


def by_body(client: httpx.Client, data: bytes, said: str | None) -> httpx.Response:
    header = [] if said is None else [(b"troupe-consent", said.encode())]
    return client.post(PHOTOS, content=data, headers=[(b"content-type", b"image/png"), *header])


def by_escaped_header(client: httpx.Client, data: bytes, said: str | None) -> httpx.Response:
    header = {} if said is None else {"Troupe-Consent": f"UTF-8''{quote(said)}"}
    return client.post(PHOTOS, content=data, headers={**IMAGE, **header})


def by_address(client: httpx.Client, data: bytes, said: str | None) -> httpx.Response:
    header = {} if said is None else {"Troupe-Consent": f"utf-8''{quote(said)}"}
    return client.post(PHOTOS, json={"upload": sent(client, data)}, headers=header)


def by_job(client: httpx.Client, data: bytes, said: str | None) -> httpx.Response:
    fields = {"prompt": "a man", "phrase": "the man", **({} if said is None else {"consent": said})}
    return client.post("/v1/jobs", files={"photo": data}, data=fields)


def by_whole_job(client: httpx.Client, data: bytes, said: str | None) -> httpx.Response:
    job = '{"prompt": "a man", "concepts": [{"phrase": "the man", "photos": ["ben"]}]}'
    fields = {"job": job, **({} if said is None else {"consent": said})}
    return client.post("/v1/jobs", files={"ben": data}, data=fields)


WAYS = [by_form, by_body, by_escaped_header, by_address, by_job, by_whole_job]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("said", [SAID, NAMES, "x" * 500])
def test_what_is_said_is_kept_with_the_photo_and_noted_with_the_upload(
    client: httpx.Client, way: Any, said: str
) -> None:
    data = portrait()
    answer = way(client, data, said)
    assert answer.status_code in {201, 202}, answer.text
    assert kept(client, photo_id(data)) == said
    assert noted(client)[-1] == (photo_id(data), said)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("said", [None, "", " \t "])
def test_a_photo_without_a_word_is_refused_where_one_is_asked_for_and_not_kept(
    server: ApiServer, client: httpx.Client, way: Any, said: str | None
) -> None:
    data, before = portrait(), noted(client)
    answer = way(client, data, said if way is not by_body or said is None else said.strip())
    is_kept = BlobStore(server.settings).exists(photo_key("default", photo_id(data)))
    if server.settings.require_consent:
        assert (answer.status_code, answer.json()["code"]) == (422, "consent_required")
        assert (is_kept, noted(client)) == (False, before)
    else:
        assert answer.status_code in {201, 202}, answer.text
        assert (is_kept, kept(client, photo_id(data))) == (True, None)
        assert noted(client)[len(before) :] == [(photo_id(data), None)]


def test_consent_is_asked_for_before_a_long_body_is_read(server: ApiServer, client: httpx.Client) -> None:
    required = server.settings.require_consent
    answer = client.post(PHOTOS, content=b"no picture at all", headers=IMAGE)
    assert answer.json()["code"] == ("consent_required" if required else "not_a_picture")
    upload = sent(client, portrait())
    answer = client.post(PHOTOS, json={"upload": upload})
    assert answer.status_code == (422 if required else 201)
    # What was refused for it is still there for a request that states it now.
    assert BlobStore(server.settings).exists(upload_key("default", upload)) == required
    said = {"Troupe-Consent": SAID}
    assert client.post(PHOTOS, json={"upload": upload}, headers=said).status_code == (201 if required else 422)


def test_sent_again_a_photo_keeps_what_was_said_and_takes_what_is_new(server: ApiServer, client: httpx.Client) -> None:
    data = portrait()
    assert by_form(client, data, SAID).status_code == 201
    if not server.settings.require_consent:
        assert by_form(client, data, None).status_code == 200
        assert kept(client, photo_id(data)) == SAID
    assert by_form(client, data, "and by word of mouth").status_code == 200
    assert kept(client, photo_id(data)) == "and by word of mouth"
    with connect(server.settings) as redis:
        left_s = redis.ttl(keys.photo_key(server.settings.key_prefix, "default", photo_id(data)))
    assert left_s > server.settings.photo_expiry_s - 60


# No client sends control characters in a header as they are.
@pytest.mark.parametrize(
    ("way", "said"),
    [(by_body, "x" * 501)]
    + [(way, said) for way in WAYS if way is not by_body for said in ("x" * 501, "a\x1b[31mred", "bell\x07")],
)
def test_what_cannot_be_kept_is_refused_by_its_name(client: httpx.Client, way: Any, said: str) -> None:
    data = portrait()
    answer = way(client, data, said)
    where = "/consent" if way in {by_form, by_job, by_whole_job} else "Troupe-Consent"
    error = answer.json()["errors"][0]
    assert (answer.status_code, error.get("pointer", error.get("parameter"))) == (422, where)
    assert client.get(f"{PHOTOS}/{photo_id(data)}").status_code == 404


def test_it_is_said_in_one_place_and_of_a_photo(client: httpx.Client) -> None:
    both = client.post(
        PHOTOS, files={"photo": portrait()}, data={"consent": SAID}, headers={"Troupe-Consent": "another"}
    )
    assert why(both) == (422, "invalid_field", "/consent")
    twice = client.post(PHOTOS, files={"photo": portrait()}, data={"consent": [SAID, SAID]})
    assert why(twice) == (422, "invalid_field", "/photo")
    header = [(b"content-type", b"image/png"), (b"troupe-consent", b"Zo\xeb")]
    latin = client.post(PHOTOS, content=portrait(), headers=header)
    assert latin.json()["errors"][0]["code"] == "not_utf_8"
    photo = by_form(client, portrait(), SAID).json()["id"]
    texts = {"phrase": "the man", "prompt": "a", "photo": photo, "consent": SAID}
    of_nothing = client.post("/v1/jobs", files={name: (None, text) for name, text in texts.items()})
    assert why(of_nothing) == (422, "invalid_field", "/consent")
    plain = client.post("/v1/jobs", json={"prompt": "a", "concepts": [{"phrase": "the man", "photos": [photo]}]})
    assert plain.status_code == 202


def test_another_word_is_another_request(client: httpx.Client) -> None:
    data, once = portrait(), {"Idempotency-Key": uuid.uuid4().hex}
    header = {**IMAGE, **once, "Troupe-Consent": SAID}
    assert client.post(PHOTOS, content=data, headers=header).status_code == 201
    again = client.post(PHOTOS, content=data, headers=header)
    assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
    other = client.post(PHOTOS, content=data, headers={**header, "Troupe-Consent": "another"})
    assert other.json()["code"] == "idempotency_mismatch"


def test_it_goes_with_the_photo_and_all_words_with_the_tenant(server: ApiServer, client: httpx.Client) -> None:
    photo, other = (by_form(client, portrait(), SAID).json()["id"] for _ in range(2))
    assert client.delete(f"{PHOTOS}/{photo}").status_code == 204
    gone = client.get(f"{PHOTOS}/{photo}", headers={"Accept": "application/json"})
    assert (gone.status_code, gone.json()["code"]) == (404, "photo_not_found")
    # The log tells what was said at an upload for as long as it tells of the upload.
    assert (photo, SAID) in noted(client)
    assert SAID in everything(server)
    assert client.delete("/v1/tenant?confirm=default").status_code == 204
    assert SAID not in everything(server)
    assert {(photo, None), (other, None)} <= set(noted(client))
    by_form(client, portrait(), "of the time after")
    assert noted(client)[-1][1] == "of the time after"


def test_the_clients_say_it_of_the_photos_that_they_send(
    server: ApiServer, client: httpx.Client, tmp_path: Path
) -> None:
    first, second, third, fourth = (portrait() for _ in range(4))
    path = tmp_path / "ben.png"
    path.write_bytes(third)

    async def submitted() -> None:
        async with AsyncClient(server.url) as troupe_:
            await troupe_.submit(scene("a man", {"the man": second}), consent=NAMES)

    asyncio.run(submitted())
    with Client(server.url) as troupe_:
        troupe_.upload(first, consent=SAID)
        troupe_.upload(first, consent=f"{SAID}, renewed")
        troupe_.dry_run(scene("a man", {"the man": fourth}), consent=SAID)
        if server.settings.require_consent:
            with pytest.raises(ConsentRequired):
                troupe_.submit(scene("a man", {"the man": fourth}))
    assert kept(client, photo_id(first)) == f"{SAID}, renewed"
    assert kept(client, photo_id(second)) == NAMES
    words = ("submit", "a man", "-c", f"the man={path}")
    if server.settings.require_consent:
        refused(troupe(server.url, *words), 1, "(consent_required)")
    assert troupe(server.url, *words, "--consent", SAID).returncode == 0
    assert kept(client, photo_id(third)) == SAID
    path.write_bytes(fourth)
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"prompt": "a man", "concepts": [{"phrase": "the man", "photos": ["ben.png"]}]}\n')
    assert troupe(server.url, "batch", "run", str(lines), "--dry-run", "--consent", SAID).returncode == 0
    with Client(server.url) as troupe_:
        # As `batch run` does it, which would wait for the batch's end.
        folder = BatchFolder(path=tmp_path / "out", source=lines, options=BatchOptions(), consent="by word of mouth")
        folder.begin(troupe_)
    assert kept(client, photo_id(fourth)) == "by word of mouth"
    assert "by word of mouth" in troupe(server.url, "audit").stdout


def test_the_log_of_the_server_holds_no_word_of_it(server: ApiServer, client: httpx.Client) -> None:
    secret = f"hush {uuid.uuid4().hex}"
    for way in WAYS:
        way(client, portrait(), secret)
        way(client, b"no picture", secret)
        way(client, portrait(), secret + "x" * 500)
    assert secret[5:] not in server.running.log.read_text()


def everything(server: ApiServer) -> str:
    """All values that Redis keeps for this server."""
    found = []
    with connect(server.settings) as redis:
        for name in redis.scan_iter(f"{server.settings.key_prefix}:*"):
            match redis.type(name):
                case "string":
                    found.append(redis.get(name))
                case "hash":
                    found.append(redis.hgetall(name))
                case "stream":
                    found.append(redis.xrange(name))
    return repr(found)
