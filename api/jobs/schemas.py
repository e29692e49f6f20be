"""Schemas of jobs: the bodies of responses, and their part of the OpenAPI document."""

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
    """Progress of the running stage; fraction from 0 to 1."""

    step: int
    steps: int
    fraction: float


class JobUrls(TypedDict):
    """Paths on this server; null for pictures that do not exist yet."""

    self: str
    cancel: str
    picture: str | None
    template: str | None
    masks: str | None


class Previews(TypedDict):
    """Paths of small pictures (JPEG); null if they do not exist yet. The picture's path changes while it is drawn."""

    template: str | None
    masks: str | None
    picture: str | None


class RegionView(TypedDict):
    """The place of a concept's person in the template."""

    concept: Annotated[int, Field(description="Index of the concept, from 0")]
    phrase: str
    box_px: Annotated[
        FaceBoxPx, Field(description="x1, y1, x2, y2 in pixels of the picture", examples=[[12.0, 20.5, 60.0, 128.0]])
    ]
    explicit: Annotated[bool, Field(description="Whether the box comes from the job and not from the detector")]
    score: Annotated[
        float, Field(description="Score of the detector, 0 to 1; 1 for a box from the job", examples=[0.63])
    ]


class TryView(TypedDict):
    """One picture that the job drew. The first picture without shortfalls is kept, otherwise the best one.

    The best one has the fewest missing faces, then the fewest swaps, then the largest `min_identity`.
    """

    seed: int | None
    min_identity: float | None
    swaps: int
    missing: int
    shortfalls: Annotated[
        tuple[str, ...],
        Field(description="Reasons why the picture falls short", examples=[["the face of concept 1 is missing"]]),
    ]
    kept: bool


class JobState(TypedDict):
    """The state of a job.

    `done` is true in the terminal states succeeded, failed, canceled and expired, in which a job never changes again.
    """

    id: Annotated[str, Field(examples=["5f0c6f0e5d3b4a7e9d2f1c3b8a7e6d5c"])]
    status: Status
    done: bool
    stage: Annotated[Stage | None, Field(description="The running stage, or the next one")]
    progress: ProgressView
    queue: Annotated[
        QueuePlace | None,
        Field(description="Place in the queue while the job is queued; not in the response to a submission"),
    ]
    attempt: Annotated[int, Field(description="Increases whenever a worker starts a stage of the job")]
    sequence: Annotated[int, Field(description="Increases with every visible change; also the ETag")]
    error: Annotated[Failure | None, Field(description="Why the job failed, and whether a retry can help")]
    warnings: tuple[str, ...]
    timings: Annotated[dict[Stage, float], Field(description="Seconds of each finished stage")]
    reused: Annotated[tuple[Stage, ...], Field(description="Finished stages whose result another job had already made")]
    faces: Annotated[
        tuple[tuple[PhotoFaces, ...], ...],
        Field(description="The faces in each photo, by concept and photo; empty until identify is done"),
    ]
    regions: Annotated[
        list[RegionView], Field(description="One for each concept, in order; empty until detect is done")
    ]
    verification: Annotated[
        Verification | None, Field(description="Identity of the faces in the picture; null until it is verified")
    ]
    tries: Annotated[list[TryView], Field(description="The pictures drawn so far, and which one is kept")]
    retry_of: Annotated[str | None, Field(description="The job that this one retries")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    urls: JobUrls


class JobNews(JobState):
    """The state of a job with previews, as in events."""

    previews: Previews


class JobView(JobState):
    """A job: its state and its request."""

    spec: Annotated[JobSpec, Field(description="The request with all default values, including the seed")]


class JobPageView(TypedDict):
    """One page of the tenant's jobs, newest first, without their place in the queue."""

    jobs: list[JobView]
    next: Annotated[str | None, Field(description="`cursor` of the next page; null on the last one")]


class JobEstimate(TypedDict):
    """The cost of a job: the response to `dry_run=true`."""

    dry_run: Literal[True]
    lane: Lane
    units: Annotated[float, Field(description="Steps x megapixels x branches, as quotas count them", examples=[94.372])]
    eta_s: Annotated[
        float | None,
        Field(description="Seconds until it would be done after all that waits; null before any job was measured"),
    ]


class WrongLine(TypedDict):
    """An invalid line."""

    line: int
    custom_id: str | None
    errors: tuple[LineError, ...]


class BatchEstimate(JobEstimate):
    """The cost of a batch: the response to `dry_run=true`."""

    lines: Annotated[int, Field(description="All lines, including invalid ones")]
    invalid: int
    errors: Annotated[tuple[WrongLine, ...], Field(description="The first invalid lines")]


_JOB_JSON = TypeAdapter(JobView)
_STATE_JSON = TypeAdapter(JobState)
_NEWS_JSON = TypeAdapter(JobNews)
_ESTIMATE_JSON: TypeAdapter[JobEstimate | BatchEstimate] = TypeAdapter(BatchEstimate | JobEstimate)


def job_path(job_id: str) -> str:
    """Address of a job for the caller of this request."""
    return link_to(f"{JOBS}/{job_id}")


def estimate_body(estimate: JobEstimate | BatchEstimate) -> bytes:
    """An estimate as JSON."""
    return _ESTIMATE_JSON.dump_json(estimate)


def job_body(job: Job, place: QueuePlace | None) -> bytes:
    """A job as JSON. place: in the queue, while it is queued."""
    return _JOB_JSON.dump_json({**_state(job, place), "spec": job.spec})


def news_body(job: Job, place: QueuePlace | None, *, previews: bool) -> bytes:
    """The state of a job as one line of JSON, optionally with paths of previews."""
    state = _state(job, place)
    return _NEWS_JSON.dump_json({**state, "previews": _previews(job)}) if previews else _STATE_JSON.dump_json(state)


def regions_of(job: Job) -> list[RegionView]:
    """The regions of the job's concepts that are known."""
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
    # The path of an unfinished picture changes with every step, so that no cache serves an old one.
    unfinished = f"{path}/picture?step={job.preview_step}" if job.preview_step is not None else None
    return {
        "template": f"{path}/template" if Stage.RENDER in job.outputs else None,
        "masks": f"{path}/masks" if Stage.DETECT in job.outputs else None,
        "picture": f"{path}/picture" if job.picture else unfinished,
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
