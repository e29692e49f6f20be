"""The owner of the bucket (`api.records`) of the stack that `./run up` started, or of the servers of the settings."""

from __future__ import annotations

import sys

from api.records import main
from compose.local import settings_here

if __name__ == "__main__":
    sys.exit(main(settings=settings_here()))
