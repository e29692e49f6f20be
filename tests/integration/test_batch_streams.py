"""Server-sent events of a batch, from an API that runs as a process of its own."""

from __future__ import annotations

import json
import time

from tests.integration.test_streams import watching_path
from tests.support.api_server import ApiServer, png_bytes


def make(server: ApiServer) -> str:
    with server.client() as client:
        photo = client.post("/v1/photos", files={"photo": ("me.png", png_bytes(), "image/png")}).json()["id"]
        concepts = [{"phrase": "the man", "photos": [photo]}]
        lines = "\n".join(json.dumps({"custom_id": str(n), "prompt": "a man", "concepts": concepts}) for n in range(3))
        answer = client.post("/v1/batches", content=lines, headers={"Content-Type": "application/jsonl"})
        assert answer.status_code == 202, answer.text
        batch_id: str = answer.json()["id"]
        return batch_id


def test_a_batch_tells_its_state_now_and_when_it_was_changed(server: ApiServer) -> None:
    batch_id = make(server)
    path = f"/v1/batches/{batch_id}/events"
    with watching_path(server, path, kind="batch") as stream, server.client() as client:
        first = stream.next()
        assert first is not None
        assert (first["status"], first["lines"], first["last"]) == ("running", 3, str(first["sequence"]))
        started_s = time.monotonic()
        client.post(f"/v1/batches/{batch_id}/cancel")
        event = stream.next()
        assert event is not None
        assert event["sequence"] > first["sequence"]
        assert time.monotonic() - started_s > 0.4
    with watching_path(server, path, last=first["last"], kind="batch") as stream:
        event = stream.next()
        assert event is not None
        assert event["sequence"] > first["sequence"]


def test_there_is_no_stream_of_a_batch_that_is_not(server: ApiServer) -> None:
    with server.client() as client:
        answer = client.get(f"/v1/batches/{'0' * 32}/events")
        assert (answer.status_code, answer.json()["code"]) == (404, "batch_not_found")
