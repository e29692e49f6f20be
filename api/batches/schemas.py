"""A batch as people see it: the body of every answer about a batch, and the lines of its files."""

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

# A rate over less than this says nothing.
_LEAST_WINDOW_S = 1.0

ItemStatus = Literal["waiting", "queued", "running", "succeeded", "failed", "canceled", "expired", "invalid"]


class Counts(TypedDict):
    """Lines by state; together they are all lines. waiting: no job was made of them yet; invalid: never will be."""

    invalid: int
    waiting: int
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int
    expired: int


class Eta(TypedDict):
    """Seconds until every line is over, going by what ended in the last `window_s` seconds."""

    seconds: float
    basis: Literal["recent_rate"]
    window_s: float


class BatchUrls(TypedDict):
    """Addresses, relative to this server."""

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
    lines: Annotated[int, Field(description="All lines, the invalid ones too")]
    counts: Counts
    stages_saved: Annotated[int, Field(description="Stages of finished jobs that were found made, or waited for")]
    pictures_per_minute: Annotated[float | None, Field(description="In the last one to two minutes; null when done")]
    eta: Annotated[Eta | None, Field(description="null while nothing has ended, and when done")]
    expires_at: Annotated[datetime | None, Field(description="When lines that have not ended will expire")]
    retries: Annotated[int, Field(description="How often its failed lines were asked for again")]
    timestamps: Annotated[dict[BatchStatus, datetime], Field(description="When it came into each state")]
    sequence: Annotated[int, Field(description="Rises with every visible change; also the ETag")]
    errors: Annotated[tuple[WrongLine, ...], Field(description="The first lines that are not valid, when it is made")]
    urls: BatchUrls


class BatchPageView(BaseModel):
    """One page of batches, the newest first."""

    batches: list[BatchView]
    next: str | None = Field(description="`cursor` of the next page; null on the last one")


class Item(Outcome):
    """A line as it is now. picture_url: a signed address of the picture."""

    status: ItemStatus  # type: ignore[assignment]
    picture_url: str | None = None


class ItemPageView(BaseModel):
    """One page of lines: first what ended, in that order, then what runs, then what waits."""

    items: tuple[Item, ...]
    next: str | None = Field(description="`cursor` of the next page; null on the last one")


_BATCH_JSON = TypeAdapter(BatchView)


def batch_path(batch_id: str) -> str:
    """Address of a batch for the caller of this request."""
    return link_to(f"{BATCHES}/{batch_id}")


def batch_body(batch: Batch, wrong: Sequence[InvalidLine] = ()) -> bytes:
    """A batch as JSON. wrong: the first bad lines, in the answer that makes it."""
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
    """Pictures a minute, and how long it takes to the end."""
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
