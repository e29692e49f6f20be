"""Logging of Celery processes: the same format as everywhere, from the first line."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from celery import signals
from celery.apps import worker as celery_worker

from shared.settings import Settings
from shared.telemetry.log import configure

# They log two lines a message, with less information than the task's own line.
_VERBOSE = ("celery.worker.strategy", "celery.app.trace")


def log_as(service: str, settings: Settings) -> None:
    """Sets up logging whenever Celery would. service: name of the process."""

    def set_up(**_: object) -> None:
        configure(settings.log_level, service=service)
        if settings.log_level != "debug":
            for name in _VERBOSE:
                logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))

    def begin(instance: Any, **_: object) -> None:
        # Celery prints a banner and warnings before it sets up logging.
        instance.quiet = True
        set_up()
        # Its signal handlers write to stdout without a logger, and Celery 5.7 has no setting against it.
        vars(celery_worker)["safe_say"] = _say

    # The receivers live as long as the process, as the app does.
    signals.celeryd_init.connect(begin, weak=False)
    signals.setup_logging.connect(set_up, weak=False)


def _say(words: str, _stream: object = None) -> None:
    """Logs a line from inside a signal handler, where Celery announces that it stops.

    A signal may interrupt the writing of another line, and a logger's stream is not reentrant, so the line is written
    to the file descriptor at once.
    """
    root = logging.getLogger()
    if root.isEnabledFor(logging.INFO):
        record = logging.LogRecord(celery_worker.__name__, logging.INFO, __file__, 0, words, None, None)
        for handler in root.handlers:
            os.write(sys.stderr.fileno(), f"{handler.format(record)}\n".encode())
