"""The body that people get, held against the model that describes it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from api.jobs.schemas import JobView, job_body
from api.service.health import role_check
from shared.job import TERMINAL, Concept, Failure, Job, JobSpec, Progress, Status
from shared.stages import Stage
from shared.store.queue.values import QueuePlace, WorkerStatus

_ID = "0123456789abcdef" * 2
_SPEC = JobSpec(prompt="a man on the beach", concepts=(Concept(phrase="the man", photos=("ab" * 32,)),))


def job(**changes: object) -> Job:
    values: dict[str, object] = {
        "id": _ID,
        "spec": _SPEC,
        "status": Status.QUEUED,
        "stage": None,
        "progress": Progress(),
        "lane": "interactive",
        "tenant": "default",
        "attempt": 0,
        "sequence": 1,
        "created_at": 1_795_500_000.25,
    }
    return Job.model_validate(values | changes)


@given(
    status=st.sampled_from(Status),
    stage=st.none() | st.sampled_from(Stage),
    step=st.integers(0, 30),
    outputs=st.sets(st.sampled_from(Stage)),
    failed=st.booleans(),
    place=st.none()
    | st.builds(QueuePlace, lane=st.just("batch"), position=st.integers(0), eta_s=st.none() | st.just(2.5)),
)
def test_every_body_is_what_the_document_says(
    status: Status, stage: Stage | None, step: int, outputs: set[Stage], failed: bool, place: QueuePlace | None
) -> None:
    one = job(
        status=status,
        stage=stage,
        progress=Progress(step=step, steps=30),
        outputs=dict.fromkeys(outputs, "d"),
        timings=dict.fromkeys(outputs, 1.5),
        error=Failure(code="no_face", message="no face", retryable=False, stage=stage) if failed else None,
        started_at=1_795_500_001.0,
    )
    body = job_body(one, place)
    view = TypeAdapter(JobView).validate_json(body)
    assert set(json.loads(body)) == set(JobView.__annotations__)
    assert view["done"] is (status in TERMINAL)
    assert view["progress"]["fraction"] == pytest.approx(step / 30, abs=1e-4)
    assert view["spec"] == one.spec
    assert view["created_at"].timestamp() == one.created_at
    assert view["queue"] == place


def test_urls_name_only_the_pictures_that_exist() -> None:
    made = job(outputs={Stage.RENDER: "d"})
    urls = json.loads(job_body(made, None))["urls"]
    path = f"/v1/jobs/{_ID}"
    assert urls == {
        "self": path,
        "cancel": f"{path}/cancel",
        "picture": None,
        "template": f"{path}/template",
        "masks": None,
    }


def worker(**changes: object) -> WorkerStatus:
    values: dict[str, object] = {"name": "w1", "role": "detection", "slots": 1, "bundle": "mini", "ready": True}
    return WorkerStatus.model_validate(values | changes)


@pytest.mark.parametrize(
    ("facts", "ok", "words"),
    [
        ([], False, "no worker"),
        ([worker()], True, "w1"),
        ([worker(role="all")], True, "w1"),
        ([worker(role="generation")], False, "no worker"),
        ([worker(ready=False)], False, "loading"),
        ([worker(ready=False, reason="bundle_unusable: unet is missing")], False, "unet is missing"),
        ([worker(draining=True)], False, "shutting down"),
        ([worker(bundle="sdxl")], False, "sdxl"),
        ([worker(bundle="sdxl"), worker(name="w2")], True, "w2"),
    ],
)
def test_a_role_is_ready_when_one_worker_of_it_can_serve(facts: list[WorkerStatus], ok: bool, words: str) -> None:
    check = role_check("detection", facts, "mini")
    assert check.ok is ok
    assert words in check.detail
