"""Two Redis servers, one of which follows the other, and the Sentinel that looks after them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from compose.processes import Processes, Program
from compose.servers import HOST, free_port, listens
from tests.support.servers import RedisServer, missing, redis_server

_START_S = 30.0


@dataclass(kw_only=True)
class Pair:
    """A primary and its replica. `promote` makes them change places."""

    primary: RedisServer
    replica: RedisServer

    def promote(self) -> None:
        """The replica takes over; the primary follows it, and is reachable all the time."""
        with redis.Redis.from_url(self.replica.url) as client:
            client.replicaof("NO", "ONE")
        self.primary, self.replica = self.replica, self.primary
        self.follow()

    def follow(self) -> None:
        """The replica follows the primary; returns once it has caught up."""
        with redis.Redis.from_url(self.replica.url) as client:
            client.replicaof(HOST, str(port_of(self.primary)))
            self.replica.processes.wait_until(
                "replication", lambda: client.info("replication")["master_link_status"] == "up", timeout_s=_START_S
            )


@contextmanager
def redis_pair(folder: Path) -> Iterator[Pair]:
    """Two servers of the machine's own Redis."""
    with (
        redis_server(folder / "one", "redis-server") as one,
        redis_server(folder / "two", "redis-server") as two,
    ):
        pair = Pair(primary=one, replica=two)
        pair.follow()
        yield pair


@contextmanager
def redis_sentinel(folder: Path, service: str, pair: Pair) -> Iterator[int]:
    """The port of a Sentinel that looks after the pair, alone and impatiently."""
    command = shutil.which("redis-server")
    if command is None:
        missing("redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    port, file = free_port(), folder / "sentinel.conf"
    file.write_text(
        f"port {port}\nbind {HOST}\ndir {folder}\n"
        f"sentinel monitor {service} {HOST} {port_of(pair.primary)} 1\n"
        f"sentinel down-after-milliseconds {service} 500\nsentinel failover-timeout {service} 2000\n"
    )
    with Processes(folder) as processes:
        processes.start(Program(name="sentinel", command=[str(command), str(file), "--sentinel"]))
        processes.wait_until("sentinel", lambda: listens(port), timeout_s=_START_S)
        with redis.Redis(HOST, port) as client:
            processes.wait_until(
                "its replica", lambda: int(client.sentinel_master(service)["num-slaves"]) == 1, timeout_s=_START_S
            )
        yield port


def port_of(server: RedisServer) -> int:
    """The port that a server listens on."""
    return int(server.url.rsplit(":", 1)[1].partition("/")[0])
