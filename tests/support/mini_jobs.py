"""Jobs that run through the stages of the mini bundle, with or without the records of the queue."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from celery.exceptions import Ignore
from numpy.typing import NDArray

from api.jobs.intake import complete_spec
from compose.certificate import own_certificate
from shared.blob_store import BlobStore, photo_key, stage_key
from shared.job import Concept, Job, JobSpec, Progress, Sampling, Status
from shared.limits import limits_of
from shared.settings import Settings
from shared.stages import STAGES, Stage
from tests.support.queue_records import Records
from worker.mini.portraits import FOLDER as PORTRAITS
from worker.output.png import pixels
from worker.queue.executor import Executor
from worker.queue.tasks import perform
from worker.runner.assignment import AssignStage, Loaded, StageOutput


@dataclass
class MiniStages:
    """The stages of the mini bundle, run in order as the queue does."""

    stages: Mapping[Stage, AssignStage]
    blobs: BlobStore

    def photo(self, picture: bytes) -> str:
        name = uuid.uuid4().hex * 2
        self.blobs.put(photo_key("default", name), picture, "image/png")
        return name

    def job(self, concepts: tuple[Concept, ...], prompt: str, **sampling: object) -> Job:
        spec = JobSpec(prompt=prompt, concepts=concepts, sampling=Sampling.model_validate(sampling))
        return Job(
            id=uuid.uuid4().hex,
            spec=complete_spec(spec, limits_of("mini")),
            status=Status.RUNNING,
            stage=Stage.IDENTIFY,
            progress=Progress(),
            lane="interactive",
            tenant="default",
            attempt=1,
            sequence=1,
            created_at=0.0,
        )

    def run(self, job: Job) -> tuple[Job, dict[Stage, StageOutput], int]:
        """Runs the job. Returns it with its outputs, the output of each stage, and the number of steps computed."""
        outputs: dict[Stage, StageOutput] = {}
        worked = 0

        def on_step(_i: int, _n: int) -> None:
            nonlocal worked
            worked += 1

        for stage in STAGES:
            assignment = self.stages[stage](job)
            outputs[stage] = assignment.find() or assignment.make(on_step)
            job = job.model_copy(update={"outputs": {**job.outputs, stage: outputs[stage].digest}})
        return job, outputs, worked

    def picture(self, job: Job, stage: Stage, file: str) -> NDArray[np.uint8]:
        data = self.blobs.get(stage_key(job.tenant, stage, job.outputs[stage], file))
        assert data is not None
        return pixels(data)


def signing_settings(s3_url: str, folder: Path) -> Settings:
    """Settings with a new bucket and a certificate in the folder."""
    files = own_certificate(folder)
    return Settings(
        c2pa_certificate=str(files.chain),
        c2pa_key=str(files.key),
        s3_endpoint_url=s3_url,
        s3_access_key="test-access",
        s3_secret_key="test-secret-of-no-value",
        s3_bucket=f"t{uuid.uuid4().hex[:12]}",
        device="cpu",
    )


def couple(mini: MiniStages) -> tuple[Concept, ...]:
    photos = {name: mini.photo((PORTRAITS / f"{name}.png").read_bytes()) for name in ("ben", "anna")}
    return (
        Concept(phrase="the man", photos=(photos["ben"],)),
        Concept(phrase="the woman", photos=(photos["anna"],)),
    )


def draw(records: Records, mini: MiniStages, spec: JobSpec) -> Job:
    """The finished job, run by a worker with these stages on real records."""
    executor = Executor(records.settings, lambda _settings, _role: Loaded(stages=mini.stages))
    executor.name, executor.stages = "mini", mini.stages
    job_id = uuid.uuid4().hex
    records.ask(lambda store: store.submit(job_id, complete_spec(spec, limits_of("mini"))))
    while dispatched := records.queue_store.dispatch("test", 1):
        for stage in STAGES[STAGES.index(dispatched[0].stage) :]:
            with suppress(Ignore):
                perform(executor, stage, job_id)
    return records.jobs.get(job_id)
