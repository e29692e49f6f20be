"""The looking around of a Celery worker, of stages or of deliveries, before it starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from celery.worker import state

from shared.environment import EXIT_CONFIG
from shared.startup import Problem, Startup


def preflight(look: Callable[[], Sequence[Problem]]) -> None:
    """Looks; where the worker must not run it ends at once, or as soon as a server that was away tells so."""
    Startup(look).begin(_end)


def _end() -> None:
    """Celery's loop looks at it, and leaves with this status."""
    state.should_stop = EXIT_CONFIG  # type: ignore[assignment]  # its types know only the first value
