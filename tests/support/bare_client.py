"""`python -m tests.support.bare_client ...`: the command `troupe` where nothing of the server is installed."""

from __future__ import annotations

import importlib.abc
import signal
import sys
from collections.abc import Sequence

MISSING = frozenset(
    {"boto3", "botocore", "celery", "fastapi", "kombu", "limits", "numpy", "PIL", "pydantic_settings", "redis"}
    | {"sse_starlette", "standardwebhooks", "starlette", "structlog", "torch", "uvicorn"}
)


class Missing(importlib.abc.MetaPathFinder):
    """Finds nothing where it should find the server's libraries."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> None:
        if fullname.partition(".")[0] in MISSING:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


if __name__ == "__main__":
    # A shell ignores Ctrl-C in background jobs, and so do the processes that tests start there.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.meta_path.insert(0, Missing())
    from api.cli.app import main

    main()
