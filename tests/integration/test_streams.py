"""Server-sent events of jobs, from an API that runs as a process of its own."""

from __future__ import annotations

import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from shared.blob_store import BlobStore
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store import keys
from shared.store.connection import connect
from shared.store.jobs.finished import FinishedStage
from shared.store.jobs.leases import JobStore
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import Renewal, Report
from tests.support.api_server import ApiServer, api_server, png_bytes

_PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def more_settings() -> Mapping[str, object]:
    return {"max_streams": 20}


class Stream:
    """A reader of one stream in a thread of its own: what it heard, and that it came to its end."""

    def __init__(self, lines: Iterator[str], kind: str = "job") -> None:
        self._kind = kind
        self._heard: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.broken = False
        self._thread = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self._thread.start()

    def next(self) -> dict[str, Any] | None:
        """The next event with its id as `last`; None at the end."""
        return self._heard.get(timeout=_PATIENCE_S)

    def until(self, found: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first event that is it."""
        while (event := self.next()) is not None:
            if found(event):
                return event
        message = "the stream ended"
        raise AssertionError(message)

    def _read(self, lines: Iterator[str]) -> None:
        fields: dict[str, str] = {}
        try:
            for line in lines:
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    assert fields["event"] == self._kind
                    self._heard.put({**json.loads(fields["data"]), "last": fields["id"]})
                    fields = {}
        except httpx.HTTPError:
            self.broken = True
        self._heard.put(None)


@contextmanager
def watching(server: ApiServer, job_id: str, last: str | None = None, query: str = "") -> Iterator[Stream]:
    with watching_path(server, f"/v1/jobs/{job_id}/events{query}", last) as stream:
        yield stream


@contextmanager
def watching_path(server: ApiServer, path: str, last: str | None = None, kind: str = "job") -> Iterator[Stream]:
    """A reader of the stream at this path."""
    headers = {} if last is None else {"Last-Event-ID": last}
    with server.client() as client, client.stream("GET", path, headers=headers) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        try:
            yield Stream(answer.iter_lines(), kind)
        finally:
            # A mere close would wait for the thread that reads.
            with suppress(OSError):
                answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def submit(server: ApiServer) -> str:
    with server.client() as client:
        photo = client.post("/v1/photos", files={"photo": ("me.png", png_bytes(), "image/png")}).json()["id"]
        concepts = [{"phrase": "the man", "photos": [photo]}]
        job = client.post("/v1/jobs", json={"prompt": "a man on the beach", "concepts": concepts}).json()
    job_id: str = job["id"]
    return job_id


def test_a_stream_tells_the_state_now_every_change_and_ends_with_the_job(server: ApiServer) -> None:
    job_id = submit(server)
    with watching(server, job_id) as stream:
        first = stream.next()
        assert first is not None
        assert (first["status"], first["last"], first["queue"]["lane"]) == ("queued", "1", "interactive")
        assert "spec" not in first
        server.run_stages(job_id, until=Stage.DETECT)
        assert stream.until(lambda event: "detect" in event["timings"])["urls"]["masks"]
        server.run_stages(job_id, first=Stage.PERSONALIZE)
        last = stream.until(lambda event: bool(event["done"]))
        assert (last["status"], last["last"]) == ("succeeded", str(last["sequence"]))
        assert stream.next() is None
        assert not stream.broken


def test_steps_are_told_with_their_stage_and_fraction(server: ApiServer) -> None:
    job_id = submit(server)
    with watching(server, job_id) as stream, connect(server.settings) as redis:
        store = JobStore(redis, server.settings)
        QueueStore(redis, server.settings).dispatch("test", 100)
        claim = store.claim(job_id, Stage.IDENTIFY, worker="test", token="t")
        assert not isinstance(claim, str)
        store.renew(job_id, claim.attempt, worker="test", progress=(1, 4))
        event = stream.until(lambda event: event["progress"]["step"] == 1)
        assert (event["status"], event["stage"], event["progress"]["fraction"]) == ("running", "identify", 0.25)


def test_a_reader_that_comes_back_hears_only_what_it_has_not_heard(server: ApiServer) -> None:
    job_id = submit(server)
    server.run_stages(job_id, until=Stage.IDENTIFY)
    with watching(server, job_id) as stream:
        heard = stream.next()
        assert heard is not None
    with watching(server, job_id, last=heard["last"]) as stream:
        server.run_stages(job_id, first=Stage.RENDER, until=Stage.RENDER)
        event = stream.next()
        assert event is not None
        assert int(event["last"]) > int(heard["last"])
    with watching(server, job_id, last=heard["last"]) as stream:
        event = stream.next()
        assert event is not None
        assert int(event["last"]) > int(heard["last"])


@pytest.mark.parametrize("last", ["999999", "-1", "no number", ""])
def test_an_id_that_is_none_of_the_job_is_as_good_as_none(server: ApiServer, last: str) -> None:
    job_id = submit(server)
    with watching(server, job_id, last=last) as stream:
        first = stream.next()
        assert first is not None
        assert first["last"] == "1"


def test_a_job_that_is_over_tells_its_last_state_once(server: ApiServer) -> None:
    job_id = submit(server)
    server.run_stages(job_id)
    with watching(server, job_id) as stream:
        last = stream.next()
        assert last is not None
        assert last["done"]
        assert stream.next() is None
    with server.client() as client:
        answer = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": last["last"]})
        assert (answer.status_code, answer.content) == (204, b"")


def test_who_waits_in_the_queue_hears_that_others_have_gone(server: ApiServer) -> None:
    first = submit(server)
    second = submit(server)
    with watching(server, second) as stream, server.client() as client:
        event = stream.next()
        assert event is not None
        place = event["queue"]["position"]
        client.post(f"/v1/jobs/{first}/cancel")
        moved = stream.until(lambda event: bool(event["queue"]["position"] < place))
        assert moved["last"] == event["last"]


def running(server: ApiServer, job_id: str, redis: Any) -> tuple[JobStore, int]:
    """A worker's side of the job's last stage."""
    server.run_stages(job_id, until=STAGES[-2])
    store = JobStore(redis, server.settings)
    claim = store.claim(job_id, STAGES[-1], worker="test", token="t")
    assert not isinstance(claim, str)
    return store, claim.attempt


def test_previews_are_shown_to_a_client_that_requested_them(server: ApiServer) -> None:
    job_id = submit(server)
    with connect(server.settings) as redis, server.client() as client:
        store, attempt = running(server, job_id, redis)
        path = f"/v1/jobs/{job_id}/previews"
        with watching(server, job_id) as plain:
            assert "previews" not in (plain.next() or {})
            assert store.renew(job_id, attempt, worker="test") is Renewal.GO_ON
        assert client.get(f"{path}/picture").json()["code"] == "not_ready"
        with watching(server, job_id, query="?previews=true") as stream:
            first = stream.next()
            assert first is not None
            expected = {"template": f"{path}/template", "masks": f"{path}/masks", "picture": None}
            assert first["previews"] == expected
            deadline = time.monotonic() + _PATIENCE_S
            while store.renew(job_id, attempt, worker="test") is not Renewal.PREVIEW:
                assert time.monotonic() < deadline
            store.put_preview(job_id, attempt, step=7, jpeg=b"\xff\xd8 a picture")
            shown = stream.until(lambda event: bool(event["previews"]["picture"]))
            assert shown["previews"]["picture"] == f"{path}/picture?step=7"
            answer = client.get(shown["previews"]["picture"])
            assert (answer.content, answer.headers["content-type"]) == (b"\xff\xd8 a picture", "image/jpeg")
            assert store.put_preview(job_id, attempt - 1, step=9, jpeg=b"late") is Report.LOST
            finish(server, store, job_id, attempt)
            last = stream.until(lambda event: bool(event["done"]))
            assert last["previews"]["picture"] == f"{path}/picture"
        for name in ("template", "masks", "picture"):
            answer = client.get(f"{path}/{name}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
            assert answer.content.startswith(b"\xff\xd8")
        # Nothing is left of what was shown.
        assert not redis.exists(keys.preview_key(server.settings.key_prefix, job_id))
        fields: Any = redis.hgetall(keys.job_key(server.settings.key_prefix, job_id))
        assert not {"preview_until", "preview_step"} & set(fields)


def finish(server: ApiServer, store: JobStore, job_id: str, attempt: int) -> None:
    picture = f"jobs/{job_id}/picture.png"
    BlobStore(server.settings).put(picture, png_bytes(), "image/png")
    store.finish(job_id, attempt, FinishedStage(stage=STAGES[-1], digest="d", seconds=0.5, picture=picture))


def test_a_flag_that_is_none_is_refused(server: ApiServer) -> None:
    with server.client() as client:
        answer = client.get(f"/v1/jobs/{submit(server)}/events", params={"previews": "perhaps"})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_field")


@pytest.mark.parametrize("job_id", ["0" * 32, "nothing"])
def test_there_is_no_stream_of_a_job_that_is_not(server: ApiServer, job_id: str) -> None:
    with server.client() as client:
        answer = client.get(f"/v1/jobs/{job_id}/events")
        assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found")
        assert client.head(f"/v1/jobs/{submit(server)}/events").status_code == 200


def test_streams_have_a_bound_and_those_that_end_make_room(server: ApiServer) -> None:
    job_id = submit(server)
    with server.client() as client:
        most = server.settings.max_streams
        with httpx.Client(base_url=server.url) as readers:
            answers = [
                readers.send(readers.build_request("GET", f"/v1/jobs/{job_id}/events"), stream=True)
                for _ in range(most)
            ]
            assert [answer.status_code for answer in answers] == [200] * most
            refused = client.get(f"/v1/jobs/{job_id}/events")
            assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
            assert refused.headers["retry-after"]
            for answer in answers:
                answer.close()
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            with client.stream("GET", f"/v1/jobs/{job_id}/events") as again:
                if again.status_code == 200:
                    break
            assert time.monotonic() < deadline


def test_streams_and_long_polls_end_cleanly_when_the_api_goes_away(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with api_server(settings, tmp_path_factory.mktemp("api")) as server:
        job_id = submit(server)
        address = urlsplit(server.url)
        poll = socket.create_connection((address.hostname, address.port), timeout=_PATIENCE_S)
        with watching(server, job_id) as stream, server.client() as client, poll:
            poll.sendall(f"GET /v1/jobs/{job_id}?wait=30 HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            assert stream.next() is not None
            # Answered after the poll was taken in.
            assert client.get(f"/v1/jobs/{job_id}").is_success
            server.running.ask_to_stop()
            assert stream.next() is None
            assert not stream.broken
            assert poll.recv(65_536).startswith(b"HTTP/1.1 200 ")
            started_s = time.monotonic()
            server.running.process.wait(timeout=_PATIENCE_S)
            assert time.monotonic() - started_s < 2
        assert '"level": "error"' not in server.running.log.read_text()
