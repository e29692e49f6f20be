"""Celery's consumer, with a pause between connections that break again and again.

A Redis that is reachable and refuses every write (its disk or memory is full, it is being replaced) accepts each new
connection and breaks it at the first read of a queue. Celery would connect as fast as it can.
"""

from __future__ import annotations

import time

from celery.worker.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown

from shared.telemetry.log import get_logger

_FIRST_S, _LONGEST_S = 0.5, 5.0
# A connection that lived this long was a good one.
_LIVED_S = 15.0
_STEP_S = 0.1

log = get_logger(__name__)


class Consumer(CeleryConsumer):
    """Waits before it connects again, longer each time, unless the connection had lived for a while."""

    _pause_s = 0.0
    _broke_s = float("-inf")

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """Waits: the connection broke while the queues were set up. Raises as the next method does."""
        self._wait(exc)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Closes the connection and waits. Raises Celery's WorkerShutdown when the worker is told to stop meanwhile."""
        super().on_connection_error_after_connected(exc)
        self._wait(exc)

    def _wait(self, error: Exception) -> None:
        if time.monotonic() - self._broke_s > _LIVED_S:
            self._pause_s = 0.0
        log.warning("broker_unavailable", error=str(error), again_in_s=self._pause_s)
        until_s = time.monotonic() + self._pause_s
        while (left_s := until_s - time.monotonic()) > 0:
            maybe_shutdown()
            time.sleep(min(_STEP_S, left_s))
        self._pause_s = min(_LONGEST_S, max(_FIRST_S, 2 * self._pause_s))
        self._broke_s = time.monotonic()
