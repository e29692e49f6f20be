"""What a request counts as, and what its tenant has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import QuotaExceeded, RateLimited

_WORDS = 5


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """One limit of a tenant: so much (`requests` or `units`) in a window, what is left, and when all is there again."""

    name: str
    quota: int
    window_s: int
    left: int
    reset_s: int


@dataclass(kw_only=True)
class Receipt:
    """Filled in by whoever counts the request. requests: what is still to be counted of it."""

    requests: int = 1
    allowances: tuple[Allowance, ...] = ()

    def note(self, charged: Sequence[str | int]) -> None:
        """Takes down what the script `charge` said. Raises RateLimited or QuotaExceeded."""
        code, retry_after_s, *flat = charged
        rows = zip(*[iter(flat)] * _WORDS, strict=True)
        self.requests = 0
        self.allowances = tuple(
            Allowance(name=str(name), quota=int(quota), window_s=int(window_s), left=int(left), reset_s=int(reset_s))
            for name, quota, window_s, left, reset_s in rows
        )
        if code == RateLimited.code:
            message = f"more requests than this tenant may make; the next one passes in {retry_after_s} s"
            raise RateLimited(message, retry_after_s=int(retry_after_s))
        if code == QuotaExceeded.code:
            raise _exceeded(int(retry_after_s))

    def check(self, units: float) -> None:
        """Whether so many units would pass now. Raises QuotaExceeded."""
        for one in self.allowances:
            if one.name == "units" and units > one.left:
                raise _exceeded(one.reset_s)


def _exceeded(retry_after_s: int) -> QuotaExceeded:
    message = f"this needs more units than the tenant has left today; the next day begins in {retry_after_s} s"
    return QuotaExceeded(message, retry_after_s=retry_after_s)
