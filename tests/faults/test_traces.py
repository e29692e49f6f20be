"""Traces: one from a request through all stages of its job, whichever processes they ran in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from shared.settings import Settings
from shared.stages import STAGES
from tests.support.api_server import api_server, png_bytes
from tests.support.queue_harness import QueueHarness, queue_harness
from tests.support.receiver import Receiver, receiver

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
WORD = "quetzalcoatl"


@dataclass(frozen=True, kw_only=True)
class Told:
    """A span as the collector has it, and the service that sent it."""

    service: str
    span: Span

    @property
    def attributes(self) -> dict[str, str | int | bool]:
        values = {pair.key: pair.value for pair in self.span.attributes}
        return {name: getattr(value, str(value.WhichOneof("value"))) for name, value in values.items()}


def spans_of(collector: Receiver) -> dict[str, list[Told]]:
    """Every span that came, by its trace."""
    found: dict[str, list[Told]] = {}
    for request in collector.received:
        assert request.path == "/v1/traces"
        for group in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            [service] = [pair.value.string_value for pair in group.resource.attributes if pair.key == "service.name"]
            for scope in group.scope_spans:
                for span in scope.spans:
                    found.setdefault(span.trace_id.hex(), []).append(Told(service=service, span=span))
    return found


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


@pytest.fixture
def traced(settings: Settings, collector: Receiver, tmp_path: Path) -> Iterator[QueueHarness]:
    on = {"traces_url": collector.url.removesuffix("/hook")}
    with queue_harness(Settings.model_validate({**settings.model_dump(exclude_unset=True), **on}), tmp_path) as made:
        yield made


def test_one_trace_leads_from_the_request_through_all_stages(
    traced: QueueHarness, collector: Receiver, tmp_path: Path
) -> None:
    workers = traced.start_workers("detection", "generation")
    with api_server(traced.settings, tmp_path / "api") as server, server.client() as client:
        photo = client.post("/v1/photos", files={"photo": ("a.png", png_bytes())}).json()["id"]
        people = [{"phrase": WORD, "photos": [photo]}]
        asked = {"prompt": f"{WORD} share=one", "concepts": people}
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        first = client.post("/v1/jobs", json=asked, headers=headers).json()["id"]
        traced.wait_until_done(first)
        second = client.post("/v1/jobs", json={**asked, "prompt": "share=one verify=no_face"}).json()["id"]
        traced.wait_until_done(second)
        # As a batch's line: no request was traced for it.
        line = traced.submit("render=no_face")
        traced.wait_until_done(line)
        for worker in workers:
            traced.stop_worker(worker)
    found = spans_of(collector)

    stages = {told.span.name: told for told in found[TRACE]}
    request = stages.pop("POST /v1/jobs")
    assert (request.service, request.span.parent_span_id.hex()) == ("troupe-api", CALLER)
    assert request.attributes["http.response.status_code"] == 202
    assert [told.span.name for told in sorted(found[TRACE], key=lambda told: told.span.start_time_unix_nano)][1:] == [
        stage.value for stage in STAGES
    ]
    for name, told in stages.items():
        assert told.span.parent_span_id == request.span.span_id
        assert told.service == f"troupe-worker-{'generation' if name in {'render', 'personalize'} else 'detection'}"
        assert {
            "troupe.job_id": first,
            "troupe.stage": name,
            "troupe.reused": False,
            "troupe.ending": "done",
        }.items() <= told.attributes.items()
    assert stages["render"].attributes["troupe.attempt"] == 2

    [own] = [told for told in found.values() if any(one.attributes.get("troupe.job_id") == second for one in told)]
    assert len(own) == 1 + len(STAGES)
    assert {told.attributes["troupe.reused"] for told in own if "troupe.reused" in told.attributes} == {True}
    assert {told.span.name for told in found[line]} == {"identify", "render"}
    [failed] = [told.span for told in found[line] if told.span.name == "render"]
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "no_face")
    assert not any(WORD.encode() in request.body for request in collector.received)


def test_without_an_address_nothing_is_kept_and_the_library_is_not_loaded(harness: QueueHarness) -> None:
    assert "trace" not in harness.fields(harness.submit())
    code = (
        "import sys\n"
        "from api.app import create_app\n"
        "from shared.settings import Settings\n"
        "from worker.app import create_app as create_worker\n"
        "from worker.queue.attempts import AttemptTelemetry\n"
        "create_app(Settings()), create_worker(Settings(), dict), AttemptTelemetry(Settings()).open()\n"
        # redis-py looks for parts of the library by itself.
        "spans = ('shared.telemetry.spans', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(spans)])\n"
    )
    seen = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert seen.stdout.strip() == "[]"
