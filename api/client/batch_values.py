"""Batches as the API returns them."""

from __future__ import annotations

from datetime import datetime

from api.client.values import Estimate, PhotoFaces, Value
from shared.batch import LineError
from shared.verification import ConceptRegion, Verification


class Eta(Value):
    """Seconds until every line has ended, at the current rate."""

    seconds: float


class WrongLine(Value):
    """An invalid line and its errors."""

    line: int
    custom_id: str | None
    errors: tuple[LineError, ...]


class BatchEstimate(Estimate):
    """The cost of a batch. lines: all of them; invalid: how many are; errors: the first invalid lines."""

    lines: int
    invalid: int
    errors: tuple[WrongLine, ...]


class Batch(Value):
    """A batch. counts: lines by state; errors: the first invalid lines, in the answer that creates it."""

    id: str
    name: str = ""
    status: str
    done: bool
    lines: int
    counts: dict[str, int]
    stages_saved: int = 0
    pictures_per_minute: float | None = None
    eta: Eta | None = None
    expires_at: datetime | None = None
    retries: int = 0
    timestamps: dict[str, datetime]
    sequence: int
    urls: dict[str, str]
    errors: tuple[WrongLine, ...] = ()

    @property
    def over(self) -> int:
        """Number of lines that ended, with a picture or without one."""
        return sum(self.counts.get(name, 0) for name in ("succeeded", "failed", "canceled", "expired", "invalid"))


class BatchPicture(Value):
    """A line that has a picture. url: a signed address, which expires."""

    line: int
    custom_id: str | None
    job: str | None
    url: str


class BatchPage(Value):
    """Some of the tenant's batches, the newest first. next: `cursor` of the following page, None on the last one."""

    batches: tuple[Batch, ...]
    next: str | None


class Item(Value):
    """A line as it is now. picture_url: a signed address of its picture, if it has one."""

    line: int
    custom_id: str | None = None
    job: str | None = None
    status: str
    faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    regions: tuple[ConceptRegion, ...] = ()
    seed: int | None = None
    verification: Verification | None = None
    tries: int | None = None
    shortfalls: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[LineError, ...] = ()
    picture_url: str | None = None


class ItemPage(Value):
    """Some lines of a batch. next: `cursor` of the following page, None on the last one."""

    items: tuple[Item, ...]
    next: str | None
