"""How a Celery process logs: as all others do, from its first word on."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from celery import signals
from celery.apps import worker as celery_worker

from shared.settings import Settings
from shared.telemetry.log import configure

# Two lines a message that say less than the task's own line.
_TALKATIVE = ("celery.worker.strategy", "celery.app.trace")


def log_as(service: str, settings: Settings) -> None:
    """Sets up logging whenever Celery would. service: the name of the process."""

    def set_up(**_: object) -> None:
        configure(settings.log_level, service=service)
        if settings.log_level != "debug":
            for name in _TALKATIVE:
                logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))

    def begin(instance: Any, **_: object) -> None:
        # Celery greets and warns before it sets up logging.
        instance.quiet = True
        set_up()
        # Its handlers of signals write to stdout, past every logger, and no setting stops that in Celery 5.7.
        vars(celery_worker)["safe_say"] = _say

    # The receivers live as long as the process, as the app does.
    signals.celeryd_init.connect(begin, weak=False)
    signals.setup_logging.connect(set_up, weak=False)


def _say(words: str, _stream: object = None) -> None:
    """A line of the log from inside a signal's handler, where Celery says that it stops.

    A signal comes in the middle of anything, of writing a line too, and a logger's stream is not to be entered twice:
    the line goes past it, in one piece.
    """
    root = logging.getLogger()
    if root.isEnabledFor(logging.INFO):
        record = logging.LogRecord(celery_worker.__name__, logging.INFO, __file__, 0, words, None, None)
        for handler in root.handlers:
            os.write(sys.stderr.fileno(), f"{handler.format(record)}\n".encode())
