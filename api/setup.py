"""`python -m api.setup`: creates the bucket and checks the servers before the stack starts.

Waits for servers that are still starting and prints all findings; the exit status is 0 when the stack can run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from shared.blob_store import BlobStore
from shared.environment import EXIT_CONFIG
from shared.errors import BlobsUnavailable, RecordsUnavailable
from shared.settings import Settings
from shared.startup import check_servers
from shared.telemetry.log import configure

_PAUSE_S = 1.0
_UNAVAILABLE = 1


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="setup", description="Create the bucket and check the servers.")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds to wait for the servers (60)")
    asked = parser.parse_args(words)
    settings = Settings.read_or_exit()
    configure(settings.log_level, service="setup")
    deadline_s = time.monotonic() + asked.wait
    while True:
        try:
            problems = check_servers(settings, BlobStore(settings))
        except (RecordsUnavailable, BlobsUnavailable) as error:
            print(f"waiting: {error.message}", file=sys.stderr)
            if time.monotonic() > deadline_s:
                return _UNAVAILABLE
            time.sleep(_PAUSE_S)
        else:
            break
    for problem in problems:
        print(f"{'error' if problem.fatal else 'warning'}: {problem.words}", file=sys.stderr)
    if any(problem.fatal for problem in problems):
        return EXIT_CONFIG
    print(f"Redis and the bucket {settings.s3_bucket} are ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
