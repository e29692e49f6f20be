"""Who asks, what a request counts as, and what its tenant has left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import NoWorkerForSize, QuotaExceeded, RateLimited

_WORDS = 5


@dataclass(frozen=True, kw_only=True)
class LimitState:
    """One limit of a tenant: so much (`requests` or `units`) in a window, what is left, and when all is there again."""

    name: str
    quota: int
    window_s: int
    left: int
    reset_s: int


@dataclass(kw_only=True)
class Charge:
    """Filled in by whoever counts the request. requests: what is still to be counted of it.

    by: id of the key that asks, for the audit log; empty where nobody does.
    """

    requests: int = 1
    by: str = ""
    allowances: tuple[LimitState, ...] = ()

    def record(self, charged: Sequence[str | int]) -> None:
        """Takes down what `charge` or `too_large` said in a script.

        Raises NoWorkerForSize, RateLimited or QuotaExceeded.
        """
        code, number, *flat = charged
        if code == NoWorkerForSize.code:
            raise too_large(int(number))
        rows = zip(*[iter(flat)] * _WORDS, strict=True)
        self.requests = 0
        self.allowances = tuple(
            LimitState(name=str(name), quota=int(quota), window_s=int(window_s), left=int(left), reset_s=int(reset_s))
            for name, quota, window_s, left, reset_s in rows
        )
        if code == RateLimited.code:
            message = f"more requests than this tenant may make; the next one passes in {number} s"
            raise RateLimited(message, retry_after_s=int(number))
        if code == QuotaExceeded.code:
            raise _exceeded(int(number))

    def check(self, units: float) -> None:
        """Whether so many units would pass now. Raises QuotaExceeded."""
        for one in self.allowances:
            if one.name == "units" and units > one.left:
                raise _exceeded(one.reset_s)


def too_large(most: int) -> NoWorkerForSize:
    """Why a picture is not drawn that has more pixels than the most."""
    message = f"no worker has room for a picture of this size; {most} pixels are the most that one draws"
    return NoWorkerForSize(message, pointer="/sampling")


def _exceeded(retry_after_s: int) -> QuotaExceeded:
    message = f"this needs more units than the tenant has left today; the next day begins in {retry_after_s} s"
    return QuotaExceeded(message, retry_after_s=retry_after_s)
