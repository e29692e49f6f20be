"""A job as people see it: the body of every answer about a job. The types also describe it in the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from api.http.paths import JOBS
from api.http.proxies import link_to
from shared.batch import LineError
from shared.job import Failure, Job, JobSpec, Lane, Status
from shared.stages import Stage
from shared.store.queue.values import QueuePlace
from shared.verification import FaceBoxPx, PhotoFaces, Verification, best_of, shortfalls

# Jobs on a page: the default and the maximum.


class ProgressView(TypedDict):
    """How far the running stage is; fraction is of this stage, 0 to 1."""

    step: int
    steps: int
    fraction: float


class JobUrls(TypedDict):
    """Addresses, relative to this server. Of the pictures, those that exist already."""

    self: str
    cancel: str
    picture: str | None
    template: str | None
    masks: str | None


class Previews(TypedDict):
    """Addresses of small pictures (JPEG), of those that exist. The picture's changes while it emerges."""

    template: str | None
    masks: str | None
    picture: str | None


class RegionView(TypedDict):
    """Where a concept's person is in the template."""

    concept: Annotated[int, Field(description="Index of the concept, from 0")]
    phrase: str
    box_px: Annotated[
        FaceBoxPx, Field(description="x1, y1, x2, y2 in pixels of the picture", examples=[[12.0, 20.5, 60.0, 128.0]])
    ]
    explicit: Annotated[bool, Field(description="Whether the job gave the box; if not, the phrase found it")]
    score: Annotated[float, Field(description="How sure the detector was, 0 to 1; 1 for a given box", examples=[0.63])]


class TryView(TypedDict):
    """One picture that the job drew. The first that does not fall short is kept, or else the best of all.

    The best has the fewest missing faces, then the fewest swaps, then the largest `min_identity`.
    """

    seed: int | None
    min_identity: float | None
    swaps: int
    missing: int
    shortfalls: Annotated[
        tuple[str, ...],
        Field(description="Why the picture is not good enough", examples=[["the face of concept 1 is missing"]]),
    ]
    kept: bool


class JobState(TypedDict):
    """How a job is.

    `done` is true in the terminal states succeeded, failed, canceled and expired: it never changes again.
    """

    id: Annotated[str, Field(examples=["5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c"])]
    status: Status
    done: bool
    stage: Annotated[Stage | None, Field(description="The stage that runs, or is due next once the job has run")]
    progress: ProgressView
    queue: Annotated[QueuePlace | None, Field(description="While the job is queued; not in the answer to its submit")]
    attempt: Annotated[int, Field(description="Rises whenever a worker takes up a stage of the job, again or not")]
    sequence: Annotated[int, Field(description="Rises with every visible change; also the ETag")]
    error: Annotated[Failure | None, Field(description="Why the job failed, and whether sending it again can help")]
    warnings: tuple[str, ...]
    timings: Annotated[dict[Stage, float], Field(description="Seconds per finished stage")]
    reused: Annotated[tuple[Stage, ...], Field(description="Finished stages that cost nothing: an equal one was there")]
    faces: Annotated[
        tuple[tuple[PhotoFaces, ...], ...],
        Field(description="Per concept and photo, in their order: what the photo shows; empty until identify is done"),
    ]
    regions: Annotated[list[RegionView], Field(description="One a concept, in their order; empty until detect is done")]
    verification: Annotated[
        Verification | None, Field(description="Whose faces the picture shows; null until the job has one")
    ]
    tries: Annotated[list[TryView], Field(description="Pictures drawn so far, and which of them is kept")]
    retry_of: Annotated[str | None, Field(description="The job that this one does over")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    urls: JobUrls


class JobNews(JobState):
    """A job's state, as its events carry it when previews are asked for."""

    previews: Previews


class JobView(JobState):
    """A job: its state, and what was asked for."""

    spec: Annotated[JobSpec, Field(description="What was asked for, with every empty value filled in: the seed too")]


class JobPageView(TypedDict):
    """Some of the caller's jobs, the newest first, without their place in the queue."""

    jobs: list[JobView]
    next: Annotated[str | None, Field(description="`cursor` of the following page; null on the last one")]


class JobEstimate(TypedDict):
    """What a job would cost: the answer to `dry_run=true`."""

    dry_run: Literal[True]
    lane: Lane
    units: Annotated[float, Field(description="Steps x megapixels x branches, as quotas count them", examples=[94.372])]
    eta_s: Annotated[
        float | None,
        Field(description="Until it would be done if all that waits now came first; null before anything was measured"),
    ]


class WrongLine(TypedDict):
    """A line that is not valid."""

    line: int
    custom_id: str | None
    errors: tuple[LineError, ...]


class BatchEstimate(JobEstimate):
    """What a batch would cost: the answer to `dry_run=true`."""

    lines: Annotated[int, Field(description="All lines, the invalid ones too")]
    invalid: int
    errors: Annotated[tuple[WrongLine, ...], Field(description="The first lines that are not valid")]


_JOB_JSON = TypeAdapter(JobView)
_STATE_JSON = TypeAdapter(JobState)
_NEWS_JSON = TypeAdapter(JobNews)
_ESTIMATE_JSON: TypeAdapter[JobEstimate | BatchEstimate] = TypeAdapter(BatchEstimate | JobEstimate)


def job_path(job_id: str) -> str:
    """Address of a job for the caller of this request."""
    return link_to(f"{JOBS}/{job_id}")


def estimate_body(estimate: JobEstimate | BatchEstimate) -> bytes:
    """What something would cost, as JSON."""
    return _ESTIMATE_JSON.dump_json(estimate)


def job_body(job: Job, place: QueuePlace | None) -> bytes:
    """A job as JSON. `place` only while it is queued."""
    return _JOB_JSON.dump_json({**_state(job, place), "spec": job.spec})


def news_body(job: Job, place: QueuePlace | None, *, previews: bool) -> bytes:
    """A job's state as JSON, in one line; with addresses of small pictures if wanted."""
    state = _state(job, place)
    return _NEWS_JSON.dump_json({**state, "previews": _previews(job)}) if previews else _STATE_JSON.dump_json(state)


def regions_of(job: Job) -> list[RegionView]:
    """Where everybody is in the job's template, as far as it is known."""
    return [
        {
            "concept": number,
            "phrase": concept.phrase,
            "box_px": found.box_px,
            "explicit": concept.box_px is not None,
            "score": found.score,
        }
        for number, (concept, found) in enumerate(zip(job.spec.concepts, job.regions, strict=False))
    ]


def _tries(job: Job) -> list[TryView]:
    if not job.tries:
        found = job.verification
        return [] if found is None else [_try(job, found, job.spec.sampling.seed, kept=True)]
    kept = best_of(job.tries) if job.picture else None
    return [_try(job, one.verification, one.seed, kept=number == kept) for number, one in enumerate(job.tries)]


def _try(job: Job, found: Verification, seed: int | None, *, kept: bool) -> TryView:
    return {
        "seed": seed,
        "min_identity": found.min_identity,
        "swaps": len(found.swaps),
        "missing": len(found.missing),
        "shortfalls": shortfalls(found, job.spec.min_identity),
        "kept": kept,
    }


def _previews(job: Job) -> Previews:
    path = f"{job_path(job.id)}/previews"
    # The address of a picture that emerges differs from step to step, so that nobody shows an old one for it.
    emerging = f"{path}/picture?step={job.preview_step}" if job.preview_step is not None else None
    return {
        "template": f"{path}/template" if Stage.RENDER in job.outputs else None,
        "masks": f"{path}/masks" if Stage.DETECT in job.outputs else None,
        "picture": f"{path}/picture" if job.picture else emerging,
    }


def _state(job: Job, place: QueuePlace | None) -> JobState:
    path = job_path(job.id)
    made = job.outputs
    return {
        "id": job.id,
        "status": job.status,
        "done": job.done,
        "stage": job.stage,
        "progress": {
            "step": job.progress.step,
            "steps": job.progress.steps,
            "fraction": round(job.progress.fraction, 4),
        },
        "queue": place,
        "attempt": job.attempt,
        "sequence": job.sequence,
        "error": job.error,
        "warnings": job.warnings,
        "timings": job.timings,
        "reused": job.reused,
        "faces": job.faces,
        "regions": regions_of(job),
        "verification": job.verification,
        "tries": _tries(job),
        "retry_of": job.retry_of,
        "created_at": _moment(job.created_at),
        "started_at": None if job.started_at is None else _moment(job.started_at),
        "finished_at": None if job.finished_at is None else _moment(job.finished_at),
        "urls": {
            "self": path,
            "cancel": f"{path}/cancel",
            "picture": f"{path}/picture" if job.picture else None,
            "template": f"{path}/template" if Stage.RENDER in made else None,
            "masks": f"{path}/masks" if Stage.DETECT in made else None,
        },
    }


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
