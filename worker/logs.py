"""How a Celery process logs: as all others do, from its first word on."""

from __future__ import annotations

import logging
from typing import Any

from celery import signals

from shared.log import configure
from shared.settings import Settings

# Two lines a message that say less than the task's own line.
_TALKATIVE = ("celery.worker.strategy", "celery.app.trace")


def log_as(room: str, settings: Settings) -> None:
    """Sets up logging whenever Celery would. room: the name of the process."""

    def set_up(**_: object) -> None:
        configure(settings.log_level, room=room)
        if settings.log_level != "debug":
            for name in _TALKATIVE:
                logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))

    def begin(instance: Any, **_: object) -> None:
        # Celery greets and warns before it sets up logging.
        instance.quiet = True
        set_up()

    # The receivers live as long as the process, as the app does.
    signals.celeryd_init.connect(begin, weak=False)
    signals.setup_logging.connect(set_up, weak=False)
