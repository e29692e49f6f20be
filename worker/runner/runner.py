"""Runs stages over a blob store: gives each job's order, finds equal results, stores new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic

from shared.blob_store import BlobStore
from shared.job import Job, JobSpec
from shared.limits import limits_of
from shared.settings import Role, Settings
from shared.stages import Stage
from shared.verification import StageFindings
from worker.models.device_memory import with_device_memory
from worker.runner.assignment import Loaded, OnStep, StageOutput
from worker.runner.device import DeviceMonitor
from worker.runner.models import load_models
from worker.runner.registry import WORKER_STAGES
from worker.runner.results import Results
from worker.runner.stage import StageOrder, WorkerStage


def load_stages(settings: Settings, role: Role) -> Loaded:
    """The stages of a role over freshly loaded models. Raises BundleError, or TransientError while no GPU is free."""
    models = with_device_memory(lambda: load_models(settings, role), "the models of the bundle")
    blobs = BlobStore(settings)
    device = DeviceMonitor(models.bundle, settings)

    def warm_up() -> None:
        device.warm_up()
        if models.optional_postprocessor is not None:
            models.optional_postprocessor.warm_up(limits_of(settings.bundle))

    return Loaded(
        stages={
            kind.stage: StageRunner(stage=kind(models), blobs=blobs).assign
            for kind in WORKER_STAGES
            if role in {"all", kind.stage.info.queue}
        },
        warm_up=warm_up,
        connect=blobs.reach,
        device_status=device.status,
        device_works=device.works,
    )


@dataclass(frozen=True, kw_only=True)
class StageRunner(Generic[StageOrder]):
    """One stage over a blob store."""

    stage: WorkerStage[StageOrder]
    blobs: BlobStore

    def assign(self, job: Job) -> StoredAssignment[StageOrder]:
        """The job's assignment for this stage."""
        order = self.stage.order(job)
        return StoredAssignment(
            stage=self.stage,
            order=order,
            digest=order.digest(),
            results=Results(blobs=self.blobs, tenant=job.tenant),
            size=_size_of(job.spec, self.stage.stage),
        )


@dataclass(frozen=True, kw_only=True)
class StoredAssignment(Generic[StageOrder]):
    """An assignment whose result is stored under the digest of its order.

    size: what the device needs memory for, in words.
    """

    stage: WorkerStage[StageOrder]
    order: StageOrder
    digest: str
    results: Results
    size: str

    def find(self) -> StageOutput | None:
        """The stored result of an equal order. Without its picture it is none. Raises BlobsUnavailable."""
        findings = self.results.find(self.stage.stage, self.digest)
        if findings is None:
            return None
        found = self._output(findings, reused=True)
        return found if found.picture is None or self.results.blobs.exists(found.picture) else None

    def missing(self) -> tuple[str, ...]:
        """Names of the parts that are not stored yet. Raises BlobsUnavailable."""
        return self.stage.missing_parts(self.order, self.results)

    def make(self, on_step: OnStep) -> StageOutput:
        """Runs the stage and stores its result. Raises what the stage raises, OutOfMemory and BlobsUnavailable."""
        made = with_device_memory(lambda: self.stage.run(self.order, self.results, on_step), self.size)
        self.results.store(self.stage.stage, self.digest, made.files, made.findings)
        return self._output(made.findings, reused=made.reused)

    def _output(self, findings: StageFindings, *, reused: bool) -> StageOutput:
        picture = self.stage.picture_key(self.order, self.results)
        return StageOutput(digest=self.digest, findings=findings, picture=picture, reused=reused)


def _size_of(spec: JobSpec, stage: Stage) -> str:
    people = len(spec.concepts)
    return f"{spec.sampling.width_px} x {spec.sampling.height_px} pixels and {people} people in stage {stage}"
