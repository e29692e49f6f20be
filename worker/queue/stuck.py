"""Detects a worker that no longer takes messages. All known causes are fixed; this guards against unknown ones."""

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
    """A worker is stuck when a message waits in its queue and it neither works on a job nor takes the message.

    taken: number of messages that Celery has taken so far.
    """

    def __init__(
        self,
        app: Celery,
        queue: QueueStore,
        settings: Settings,
        name: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        taken: Callable[[], int] = _taken,
    ) -> None:
        self._app = app
        self._queue = queue
        self._settings = settings
        self._name = name
        self._clock = clock
        self._taken = taken
        self._taken_before = 0
        self._since_s: float | None = None

    def is_stuck(self, *, may_take: bool) -> bool:
        """Whether every check of the last `stuck_after_s` found the worker idle. Raises RecordsUnavailable.

        An outage restarts the time: Celery may need half a minute to reconnect to the broker.
        """
        now_s = self._clock()
        since_s, self._since_s = self._since_s, None
        before, self._taken_before = self._taken_before, self._taken()
        if self._taken_before != before or not may_take or not self._ignores_messages():
            return False
        self._since_s = now_s if since_s is None else since_s
        return now_s - self._since_s >= self._settings.stuck_after_s

    def _ignores_messages(self) -> bool:
        try:
            waiting = broker.messages_waiting(self._app, self._settings)
        except OperationalError:
            return False
        if not any(one.messages and self._settings.role in ("all", one.stage.info.queue) for one in waiting):
            return False
        return all(work.worker != self._name for work in self._queue.running())
