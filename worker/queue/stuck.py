"""Whether a worker still hears its doorbells. The reasons known for a deaf one are mended; this is for the next one."""

from __future__ import annotations

import time
from collections.abc import Callable

from celery import Celery
from celery.worker import state
from kombu.exceptions import OperationalError

from shared import broker
from shared.settings import Settings
from shared.store.queue.dispatch import QueueStore


def _taken() -> int:
    return state.all_total_count[0]


class StuckDetector:
    """Looks at what a worker could hear: a message waits in its queue, it works on nothing, and yet it takes none.

    taken: how many messages Celery has taken so far.
    """

    def __init__(
        self,
        app: Celery,
        fleet: QueueStore,
        settings: Settings,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        taken: Callable[[], int] = _taken,
    ) -> None:
        self._app = app
        self._fleet = fleet
        self._settings = settings
        self._name = name
        self._clock = clock
        self._taken = taken
        self._taken_before = 0
        self._since_s: float | None = None

    def is_stuck(self, *, may_take: bool) -> bool:
        """Whether that has been so at every look for `stuck_after_s`. Raises RecordsUnavailable.

        An outage begins the time anew: Celery may take half a minute to come back to a broker that is there again.
        """
        now_s = self._clock()
        since_s, self._since_s = self._since_s, None
        before, self._taken_before = self._taken_before, self._taken()
        if self._taken_before != before or not may_take or not self._hear_nothing():
            return False
        self._since_s = now_s if since_s is None else since_s
        return now_s - self._since_s >= self._settings.stuck_after_s

    def _hear_nothing(self) -> bool:
        try:
            waiting = broker.messages_waiting(self._app, self._settings)
        except OperationalError:
            return False
        if not any(one.messages and self._settings.role in ("all", one.stage.info.queue) for one in waiting):
            return False
        return all(work.worker != self._name for work in self._fleet.running())
