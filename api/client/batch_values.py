"""What the API says of batches, as values."""

from __future__ import annotations

from typing import Any

from api.client.values import Value


class Eta(Value):
    """Seconds until every line is over, as the last lines went."""

    seconds: float


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
    errors: tuple[dict[str, Any], ...] = ()

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
