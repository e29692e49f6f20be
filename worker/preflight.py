"""Checks of a Celery worker, of stages or of deliveries, before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from celery.worker import state

from shared.environment import EXIT_CONFIG
from shared.startup import Problem, Startup


def preflight(check: Callable[[], Sequence[Problem]]) -> None:
    """Runs the checks. Stops the worker after a fatal problem, also one that shows when a server is back."""
    Startup(check).begin(_end)


def _end() -> None:
    """Celery's loop looks at it, and leaves with this status."""
    state.should_stop = EXIT_CONFIG  # type: ignore[assignment]  # its types allow only the first value
