"""Jobs and photos as the API returns them. A field that a newer server adds is ignored."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict

from api.client.problems import error_of_code
from shared.job import Failure, JobSpec, Status
from shared.verification import Verification


class Value(BaseModel):
    """A value that the API returns."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Progress(Value):
    """How far the running stage is; fraction is of this stage, 0 to 1."""

    step: int
    steps: int
    fraction: float


class Place(Value):
    """The place of a queued job. eta_s: seconds until it is done, None if unknown."""

    lane: str
    position: int
    eta_s: float | None = None


class PhotoFaces(Value):
    """The faces of a photo. found: how many; box_px: the one that is used, in pixels of the stored photo."""

    found: int
    box_px: tuple[float, float, float, float] | None


class Region(Value):
    """The place of a concept's person in the template. explicit: the job gave the box; otherwise it was detected."""

    concept: int
    phrase: str
    box_px: tuple[float, float, float, float]
    explicit: bool
    score: float


class Try(Value):
    """One picture that the job drew. shortfalls: why it is not good enough; kept: it is the job's picture."""

    seed: int | None
    min_identity: float | None
    swaps: int
    missing: int
    shortfalls: tuple[str, ...]
    kept: bool


class JobState(Value):
    """A job without its spec, as events carry it. previews: addresses of small pictures, if they were requested."""

    id: str
    status: Status
    done: bool
    stage: str | None
    progress: Progress
    queue: Place | None
    attempt: int
    sequence: int
    error: Failure | None
    warnings: tuple[str, ...]
    timings: dict[str, float]
    reused: tuple[str, ...] = ()
    faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    regions: tuple[Region, ...] = ()
    verification: Verification | None = None
    tries: tuple[Try, ...] = ()
    retry_of: str | None = None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    urls: dict[str, str | None]
    previews: dict[str, str | None] = {}

    def check(self) -> None:
        """Raises the error that the job ended with. Does nothing if it succeeded or is not done."""
        if self.status is Status.FAILED and self.error is not None:
            raise error_of_code(self.error.code, self.error.message, retryable=self.error.retryable)
        if self.status in {Status.CANCELED, Status.EXPIRED}:
            raise error_of_code(self.status.value, f"job {self.id} is {self.status.value}", retryable=True)


def known_fields(model: type[BaseModel], data: object) -> object:
    """The data without fields that this version of the model does not know, at any depth."""
    if isinstance(data, list | tuple):
        return [known_fields(model, one) for one in data]
    if not isinstance(data, dict):
        return data
    fields = {name: field.annotation for name, field in model.model_fields.items() if name in data}
    return {name: _known(annotation, data[name]) for name, annotation in fields.items()}


def _known(annotation: object, data: object) -> object:
    inner = next(iter(_models(annotation)), None)
    return data if inner is None else known_fields(inner, data)


def _models(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


# JobSpec refuses unknown fields, which is right for a request; the answer of a newer server may have more.
_Spec = Annotated[JobSpec, BeforeValidator(lambda data: known_fields(JobSpec, data))]


class Job(JobState):
    """A job. spec: what was submitted, with every default filled in."""

    spec: _Spec


class JobPage(Value):
    """Some of the tenant's jobs, the newest first. next: `cursor` of the following page, None on the last one."""

    jobs: tuple[Job, ...]
    next: str | None


class Estimate(Value):
    """The cost of a job or a batch. eta_s: seconds until it would be done, None before anything was measured."""

    lane: str
    units: float
    eta_s: float | None


class PhotoRecord(Value):
    """What is stored with a photo. consent: the basis on which it is used, if one was given."""

    id: str
    consent: str | None


class Upload(Value):
    """A signed address that takes one PUT of exactly this many bytes."""

    id: str
    url: str
    bytes: int
    expires_in_s: int
