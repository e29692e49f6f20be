"""`python -m worker.queue.health`: whether a worker of this role on this host can take jobs; the status says so, too.

For a container's health check. It asks Redis, so it is no reason to restart a worker: one that only waits for Redis
goes on by itself.
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
    """Whether one of these workers is of this host and ready, and in words what is the matter with it."""
    own = [one for one in workers if host_of(one.name) == host and one.role == settings.role]
    if not own:
        return False, f"no worker of the role {settings.role} on {host} gives a sign of life"
    ready = [one for one in own if one.ready and not one.draining]
    if ready:
        return True, f"ready: {', '.join(one.name for one in ready)}"
    return False, "; ".join(f"{one.name}: {'going away' if one.draining else one.reason or 'loading'}" for one in own)


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
