"""Schemas of batches: the bodies of responses, and their part of the OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from api.batches.lines import InvalidLine
from api.http.paths import BATCHES
from api.http.proxies import link_to
from api.jobs.schemas import WrongLine
from shared.batch import Batch, BatchStatus, Outcome
from shared.job import Status

# A rate over a shorter time means nothing.
_LEAST_WINDOW_S = 1.0

ItemStatus = Literal["waiting", "queued", "running", "succeeded", "failed", "canceled", "expired", "invalid"]


class Counts(TypedDict):
    """Number of lines by status. waiting: no job exists yet; invalid: no job will exist."""

    invalid: int
    waiting: int
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int
    expired: int


class Eta(TypedDict):
    """Seconds until all lines have ended, from the rate of the last `window_s` seconds."""

    seconds: float
    basis: Literal["recent_rate"]
    window_s: float


class BatchUrls(TypedDict):
    """Paths on this server."""

    self: str
    items: str
    output: str
    errors: str
    manifest: str
    zip: str
    cancel: str
    retry_failed: str


class BatchView(TypedDict):
    """A batch. `done` is true in the states succeeded, partially_failed, failed, canceled and expired."""

    id: Annotated[str, Field(examples=["9b1f7b0e4c2a4d6f8e0a1b2c3d4e5f60"])]
    name: str
    status: BatchStatus
    done: bool
    lines: Annotated[int, Field(description="All lines, including invalid ones")]
    counts: Counts
    stages_saved: Annotated[int, Field(description="Stages of finished jobs whose result another job made")]
    pictures_per_minute: Annotated[
        float | None, Field(description="Rate of the last one to two minutes; null when the batch is done")
    ]
    eta: Annotated[Eta | None, Field(description="null until a line has ended, and when the batch is done")]
    expires_at: Annotated[datetime | None, Field(description="Time when unfinished lines expire")]
    retries: Annotated[int, Field(description="Number of retries of failed lines")]
    timestamps: Annotated[dict[BatchStatus, datetime], Field(description="Time of each change of status")]
    sequence: Annotated[int, Field(description="Increases with every visible change; also the ETag")]
    errors: Annotated[
        tuple[WrongLine, ...], Field(description="The first invalid lines, only in the response to the creation")
    ]
    urls: BatchUrls


class BatchPageView(BaseModel):
    """One page of batches, newest first."""

    batches: list[BatchView]
    next: str | None = Field(description="`cursor` of the next page; null on the last one")


class Item(Outcome):
    """The current state of a line. picture_url: a signed URL of the picture."""

    status: ItemStatus  # type: ignore[assignment]
    picture_url: str | None = None


class ItemPageView(BaseModel):
    """One page of lines: ended ones in the order of their end, then running ones, then waiting ones."""

    items: tuple[Item, ...]
    next: str | None = Field(description="`cursor` of the next page; null on the last one")


_BATCH_JSON = TypeAdapter(BatchView)


def batch_path(batch_id: str) -> str:
    """Address of a batch for the caller of this request."""
    return link_to(f"{BATCHES}/{batch_id}")


def batch_body(batch: Batch, wrong: Sequence[InvalidLine] = ()) -> bytes:
    """A batch as JSON. wrong: the first invalid lines, in the response to its creation."""
    path = batch_path(batch.id)
    minute_rate, eta = _rate(batch)
    view: BatchView = {
        "id": batch.id,
        "name": batch.name,
        "status": batch.status,
        "done": batch.done,
        "lines": batch.good + batch.invalid,
        "counts": {
            "invalid": batch.invalid,
            "waiting": batch.waiting,
            "queued": batch.open - batch.running,
            "running": batch.running,
            "succeeded": batch.over.get(Status.SUCCEEDED, 0),
            "failed": batch.over.get(Status.FAILED, 0),
            "canceled": batch.over.get(Status.CANCELED, 0),
            "expired": batch.over.get(Status.EXPIRED, 0),
        },
        "stages_saved": batch.saved,
        "pictures_per_minute": minute_rate,
        "eta": eta,
        "expires_at": None if batch.deadline_s is None else _moment(batch.deadline_s),
        "retries": batch.round,
        "timestamps": {status: _moment(at_s) for status, at_s in batch.stamps.items()},
        "sequence": batch.sequence,
        "errors": tuple({"line": one.number, "custom_id": one.custom_id, "errors": one.errors} for one in wrong),
        "urls": {
            "self": path,
            "items": f"{path}/items",
            "output": f"{path}/output",
            "errors": f"{path}/errors",
            "manifest": f"{path}/manifest",
            "zip": f"{path}/zip",
            "cancel": f"{path}/cancel",
            "retry_failed": f"{path}/retry_failed",
        },
    }
    return _BATCH_JSON.dump_json(view)


def _rate(batch: Batch) -> tuple[float | None, Eta | None]:
    """Pictures a minute, and the estimated time to the end."""
    mark = batch.mark
    if batch.done or mark is None or (window_s := batch.now_s - mark.at_s) < _LEAST_WINDOW_S:
        return None, None
    pictures = batch.over.get(Status.SUCCEEDED, 0) - mark.succeeded
    ended = batch.ended - mark.over
    left = batch.good - batch.ended
    eta: Eta | None = None
    if ended > 0:
        eta = {"seconds": round(left * window_s / ended, 1), "basis": "recent_rate", "window_s": round(window_s, 1)}
    return round(60 * pictures / window_s, 2), eta


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
