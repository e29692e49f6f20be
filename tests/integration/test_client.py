"""The Python client against the API as a process of its own; lines break where a test says so."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

from api.client import AsyncClient, Client, Photo, scene
from api.photos.decode import photo_id
from shared.errors import (
    JobNotFound,
    NotReadyYet,
    PhotoNotFound,
    RateLimited,
    RequestError,
    TransientError,
    UnknownPhoto,
)
from shared.job import Concept, JobSpec
from shared.settings import Settings
from shared.stages import Stage
from tests.support.api_server import (
    FACE,
    REGION,
    ApiServer,
    api_server,
    png_bytes,
)

_PATIENCE_S = 30.0


@pytest.fixture
def troupe(server: ApiServer) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


class Line(httpx.BaseTransport):
    """A line to the real server that notes what goes over it, and breaks: before a request, or before its answer."""

    def __init__(self, breaks: str = "") -> None:
        self._inner = httpx.HTTPTransport()
        self._breaks = list(breaks)
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        how = self._breaks.pop(0) if self._breaks else ""
        if how == "b":
            raise httpx.ConnectError("no route", request=request)
        answer = self._inner.handle_request(request)
        if how == "a":
            answer.close()
            raise httpx.ReadError("cut", request=request)
        if how in {"3", "9"}:
            answer.close()
            status = {"3": 503, "9": 429}[how]
            return httpx.Response(status, headers={"Retry-After": "0"}, text="busy", request=request)
        return answer

    def close(self) -> None:
        self._inner.close()

    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


def photo(colour: str = "teal", *, fresh: bool = True) -> bytes:
    """A picture that no other test has sent."""
    return png_bytes(colour=colour) + (uuid.uuid4().bytes if fresh else b"")


def test_a_job_from_files_to_its_picture(server: ApiServer, troupe: Client, tmp_path: Path) -> None:
    ben, anna = tmp_path / "ben.png", tmp_path / "anna.png"
    ben.write_bytes(photo())
    anna.write_bytes(photo("plum"))
    cast: dict[str, Photo | list[Photo]] = {
        "the man": str(ben),
        "the woman": [anna, io.BytesIO(photo("navy")), photo("gold")],
    }
    job = troupe.submit(scene("a man and a woman on the beach", cast, sampling={"seed": 7}))
    assert (job.status, job.spec.sampling.seed, job.done) == ("queued", 7, False)
    assert [len(concept.photos) for concept in job.spec.concepts] == [1, 3]
    with pytest.raises(NotReadyYet):
        troupe.picture(job.id)
    playing = threading.Thread(target=server.run_stages, args=(job.id,))
    playing.start()
    done = troupe.wait(job.id, timeout_s=_PATIENCE_S)
    playing.join()
    done.check()
    assert (done.status, done.urls["picture"]) == ("succeeded", f"/v1/jobs/{job.id}/picture")
    assert troupe.picture(job.id).startswith(b"\x89PNG")
    assert troupe.get(job.id) == done


def test_a_photo_is_sent_once_by_what_is_in_it(server: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "ben.png"
    path.write_bytes(photo())
    first, second = Line(), Line()
    with Client(server.url, transport=first) as client:
        name = client.upload(path)
        assert client.upload(path.read_bytes()) == name
        client.submit(scene("a man", {"the man": path}))
        client.submit(JobSpec(prompt="a man", concepts=(Concept(phrase="the man", photos=(name,)),)))
    assert first.paths() == ["POST /v1/photos", "POST /v1/jobs", "POST /v1/jobs"]
    # Another client asks first whether the server has it.
    with Client(server.url, transport=second) as client:
        client.submit(scene("a man", {"the man": path}))
    assert second.paths() == ["POST /v1/jobs"]


def test_photos_that_the_server_lacks_are_sent_with_the_job(server: ApiServer) -> None:
    line = Line()
    with Client(server.url, transport=line) as client:
        client.submit(scene("a man", {"the man": photo()}))
    assert line.paths() == ["POST /v1/jobs", "POST /v1/photos", "POST /v1/jobs"]


@pytest.mark.parametrize("breaks", ["b", "a", "3", "9", "ab3a"])
def test_a_broken_line_makes_one_job(server: ApiServer, troupe: Client, breaks: str) -> None:
    name = troupe.upload(photo())
    line = Line(breaks)
    with Client(server.url, transport=line) as client:
        job = client.submit(scene("a man", {"the man": name}))
        assert len(line.requests) == len(breaks) + 1
        assert len({request.headers["Idempotency-Key"] for request in line.requests}) == 1
        # Whatever came of the requests before, nobody else's job has been made.
        again = client.submit(
            scene("a man", {"the man": name}), idempotency_key=line.requests[0].headers["Idempotency-Key"]
        )
        assert again.id == job.id


def test_a_line_that_stays_broken_is_told_as_an_error_that_may_pass(server: ApiServer) -> None:
    with Client(server.url, transport=Line("bbb"), tries=3) as client, pytest.raises(TransientError) as raised:
        client.get("0" * 32)
    assert raised.value.retryable
    assert server.url in raised.value.message


def test_what_trying_again_cannot_help_is_raised_by_its_code_at_once(server: ApiServer) -> None:
    line = Line()
    with Client(server.url, transport=line) as client:
        with pytest.raises(JobNotFound):
            client.get("0" * 32)
        with pytest.raises(UnknownPhoto) as raised:
            client.submit(scene("a man", {"the man": "0" * 64}))
        assert raised.value.pointer == "/concepts/0/photos/0"
        with pytest.raises(RequestError, match="cannot be read"):
            client.submit(scene("a man", {"the man": "no such file.png"}))
        with pytest.raises(RequestError):
            list(client.events("../../healthz"))
    assert len(line.requests) == 3
    with pytest.raises(RequestError, match="is not the address"):
        Client("localhost:8000")


def test_events_go_on_where_a_line_broke(server: ApiServer, troupe: Client) -> None:
    job = troupe.submit(scene("a man", {"the man": photo()}))
    line = Line("b3")
    with Client(server.url, transport=line) as client:
        heard = []
        for state in client.events(job.id):
            heard.append(state.sequence)
            if len(heard) == 1:
                server.run_stages(job.id)
        assert state.done
    assert state.status == "succeeded"
    assert heard == sorted(set(heard))


def test_who_comes_back_to_a_job_that_is_over_is_not_left_waiting(server: ApiServer, troupe: Client) -> None:
    job = troupe.submit(scene("a man", {"the man": photo()}))
    troupe.cancel(job.id)
    states = list(troupe.events(job.id))
    assert [state.status for state in states] == ["canceled"]
    with pytest.raises(Exception, match="is canceled"):
        states[0].check()


def test_waiting_has_an_end(troupe: Client) -> None:
    job = troupe.submit(scene("a man", {"the man": photo()}))
    with pytest.raises(TimeoutError, match="is queued and not done"):
        troupe.wait(job.id, timeout_s=0.1)


def test_the_same_inside_an_event_loop(server: ApiServer) -> None:
    async def run() -> None:
        async with AsyncClient(server.url) as client:
            job = await client.submit(scene("a man", {"the man": photo()}))
            playing = asyncio.create_task(asyncio.to_thread(server.run_stages, job.id))
            heard = [state.status async for state in client.events(job.id)]
            await playing
            assert heard[-1] == "succeeded"
            assert (await client.wait(job.id)).status == "succeeded"
            assert (await client.picture(job.id, "template")).startswith(b"\x89PNG")
            with pytest.raises(JobNotFound):
                await client.cancel("0" * 32)

    asyncio.run(asyncio.wait_for(run(), _PATIENCE_S))


def test_events_survive_a_server_that_is_started_again(settings: Settings, tmp_path: Path) -> None:
    with api_server(settings, tmp_path) as server, Client(server.url, tries=20) as client, ExitStack() as stack:
        job = client.submit(scene("a man", {"the man": photo()}))
        states = stack.enter_context(closing(client.events(job.id)))
        assert next(states).sequence == 1
        server.running.ask_to_stop()
        server.running.process.wait(timeout=_PATIENCE_S)
        server.run_stages(job.id, until=Stage.RENDER)
        again = server.processes.start(server.running.program)
        assert next(states).sequence > 1
        server.processes.stop(again)


def test_what_a_job_found_is_typed_and_what_it_costs_is_told_before(server: ApiServer, troupe: Client) -> None:
    data = photo()
    asked = scene("a man", {"the man": data}, sampling={"steps": 10}, until="detect")
    estimate = troupe.dry_run(asked)
    assert (estimate.lane, estimate.units) == ("interactive", 0.164)
    # Nothing was kept of it.
    with pytest.raises(PhotoNotFound):
        troupe.delete_photo(photo_id(data))
    job = troupe.submit(asked)
    server.run_stages(job.id, until=Stage.DETECT)
    job = troupe.wait(job.id)
    assert (job.status, job.verification, job.tries) == ("succeeded", None, ())
    assert [(one.found, one.box_px) for one in job.faces[0]] == [(FACE.found, FACE.box_px)]
    assert [(one.phrase, one.box_px, one.explicit) for one in job.regions] == [("the man", REGION.box_px, False)]


def test_jobs_photos_batches_and_all_there_is_are_erased(server: ApiServer) -> None:
    async def erased() -> list[bool]:
        async with AsyncClient(server.url) as client:
            picture = await client.upload(photo())
            asked = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [picture]}]}
            done, waits = await client.submit(asked), await client.submit(asked)
            server.run_stages(done.id)
            line = json.dumps({**asked, "custom_id": "one"}).encode()
            assert (await client.dry_run_batch(line + b"\n{}")).invalid == 1
            batch = await client.make_batch(line)
            found = [await client.delete(done.id), await client.delete(waits.id)]
            found += [await client.delete_photo(picture), await client.delete_batch(batch.id)]
            with pytest.raises(JobNotFound):
                await client.get(done.id)
            return [*found, await client.delete_tenant("default")]

    assert asyncio.run(erased()) == [True, True, True, False, True]


def test_who_did_what_is_told_page_by_page(server: ApiServer, troupe: Client) -> None:
    job = troupe.submit(scene("a man", {"the man": photo()}))
    troupe.cancel(job.id)
    first = troupe.audit(limit=1)
    assert [(one.action, one.subject, one.key) for one in first.entries] == [("job.canceled", job.id, "-")]
    assert troupe.audit(limit=1, cursor=first.next).entries[0].action == "job.submitted"

    async def same() -> str:
        async with AsyncClient(server.url) as client:
            return (await client.audit(limit=1, action="photo.uploaded")).entries[0].subject

    assert asyncio.run(same()) == job.spec.concepts[0].photos[0]


def test_a_rate_limit_is_the_error_of_the_tree_with_its_wait() -> None:
    def busy(request: httpx.Request) -> httpx.Response:
        problem = {"code": "rate_limited", "detail": "too often", "retryable": True}
        headers = {"Retry-After": "90", "Content-Type": "application/problem+json"}
        return httpx.Response(429, json=problem, headers=headers, request=request)

    with Client("http://busy.test", transport=httpx.MockTransport(busy)) as client, pytest.raises(RateLimited) as found:
        client.queue()
    assert found.value.retry_after_s == 90
