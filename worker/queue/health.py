"""`python -m worker.queue.health`: whether a worker of this role on this host can take jobs, also as exit status.

For the health check of a container. It asks Redis, so a failed check is no reason to restart a worker: one that waits
for Redis recovers by itself.
"""

from __future__ import annotations

import socket
import sys

from shared.errors import RecordsUnavailable
from shared.settings import Settings
from shared.store.connection import connect
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import WorkerStatus


def state_of(workers: list[WorkerStatus], host: str, settings: Settings) -> tuple[bool, str]:
    """Whether one of these workers runs on this host and is ready, and a description of its state."""
    own = [one for one in workers if host_of(one.name) == host and one.role == settings.role]
    if not own:
        return False, f"no worker with role {settings.role} on {host} sends heartbeats"
    ready = [one for one in own if one.ready and not one.draining]
    if ready:
        return True, f"ready: {', '.join(one.name for one in ready)}"
    return False, "; ".join(f"{one.name}: {'draining' if one.draining else one.reason or 'loading'}" for one in own)


def host_of(name: str) -> str:
    """The host in a worker's name, `role@host.pid`."""
    return name.rpartition("@")[2].rpartition(".")[0]


def main() -> int:
    """Prints the state; 0 when the worker is ready."""
    settings = Settings.read_or_exit()
    try:
        with connect(settings) as redis:
            ready, words = state_of(QueueStore(redis, settings).workers(), socket.gethostname(), settings)
    except RecordsUnavailable as error:
        ready, words = False, error.message
    print(words)
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
