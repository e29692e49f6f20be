"""What a request counts as, and the limits of its tenant after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import NoWorkerForSize, QuotaExceeded, RateLimited

_WORDS = 5


@dataclass(frozen=True, kw_only=True)
class LimitState:
    """One limit of a tenant: a quota of `requests` or `units` in a window, how much is left, and when all of it is."""

    name: str
    quota: int
    window_s: int
    left: int
    reset_s: int


@dataclass(kw_only=True)
class Charge:
    """A request to count, and then the state of the limits. requests: how many are still to be counted.

    by: id of the key that asks, for the audit log; empty without one.
    """

    requests: int = 1
    by: str = ""
    allowances: tuple[LimitState, ...] = ()

    def record(self, charged: Sequence[str | int]) -> None:
        """Records the answer of `charge` or `too_large` in a script.

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
        """Checks that this many units are left. Raises QuotaExceeded."""
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
