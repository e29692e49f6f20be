"""What the API says of batches, as values."""

from __future__ import annotations

from api.client.values import Estimate, Value
from shared.batch import LineError


class Eta(Value):
    """Seconds until every line is over, as the last lines went."""

    seconds: float


class WrongLine(Value):
    """A line that is not valid, and why."""

    line: int
    custom_id: str | None
    errors: tuple[LineError, ...]


class BatchEstimate(Estimate):
    """What a batch would cost. lines: all of them; errors: the first that are not valid."""

    lines: int
    invalid: int
    errors: tuple[WrongLine, ...]


class Batch(Value):
    """Many jobs that were asked for at once. counts: lines by state; errors: the first bad lines, when it is made."""

    id: str
    name: str = ""
    status: str
    done: bool
    lines: int
    counts: dict[str, int]
    stages_saved: int = 0
    pictures_per_minute: float | None = None
    eta: Eta | None = None
    sequence: int
    errors: tuple[WrongLine, ...] = ()

    @property
    def over(self) -> int:
        """Lines that ended, with a picture or without."""
        return sum(self.counts.get(name, 0) for name in ("succeeded", "failed", "canceled", "expired", "invalid"))


class BatchPicture(Value):
    """One line with a picture. url: a signed address that expires."""

    line: int
    custom_id: str | None
    job: str | None
    url: str
