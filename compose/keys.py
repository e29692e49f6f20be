"""API keys (`api.auth.commands`) of the stack that `./run up` started, or of the servers that the settings name."""

from __future__ import annotations

import sys
from pathlib import Path

from api.auth.commands import main
from compose.local import FOLDER, addresses
from shared.settings import Settings


def settings_here(folder: Path = FOLDER) -> Settings:
    """The settings, with the Redis of the stack of this machine where the environment names none."""
    settings, here = Settings.read_or_exit(), addresses(folder)
    if here is None or "redis_url" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"redis_url": here["redis"]})


if __name__ == "__main__":
    sys.exit(main(settings=settings_here()))
