"""The whole stack as processes of one machine: Redis, S3, workers and the API, configured by `Settings`.

Servers that the environment names (TROUPE_REDIS_URL, TROUPE_S3_ENDPOINT_URL) are used; otherwise the stack starts its
own, with their data in the folder of the stack.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from compose.certificate import own_certificate
from compose.processes import Processes, Program, StackFailed
from compose.servers import HOST, first_free_port, listens, redis_answers, redis_program, s3_program
from shared.broker import WORKER_ARGS
from shared.environment import EXIT_CONFIG, InvalidSetting
from shared.settings import Settings

Say = Callable[[str], None]

WORKERS = ("detection", "generation")
# A worker requeues its job at the next denoising step: one step of the slowest bundle, and a margin.
_WORKER_GRACE_S = 30.0
_SERVER_START_S = 30.0
# A process that ends more often than this within the period is not restarted again.
_OFTEN = 3
_OFTEN_S = 600.0
# Reading a published bundle from a slow disk takes minutes.
_MODELS_START_S = 600.0


class AlreadyUp(Exception):
    """Another process, with this pid, runs the stack of this folder."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"a stack is already running here (process {pid})")
        self.pid = pid


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running stack, with its addresses for clients on this machine."""

    url: str
    redis_url: str
    s3_url: str
    processes: Processes
    _ends: dict[str, list[float]] = field(default_factory=dict, init=False)

    def check(self) -> None:
        """Raises StackFailed if one of the processes has ended."""
        for one in self.processes.running:
            one.check()

    def restart_ended(self, say: Say) -> None:
        """Restarts processes that ended. Raises StackFailed for unusable settings and after repeated failures."""
        for one in self.processes.running:
            status = one.process.poll()
            if status is None:
                continue
            now = time.monotonic()
            before = [at for at in self._ends.get(one.program.name, []) if now - at < _OFTEN_S]
            if status == EXIT_CONFIG or len(before) == _OFTEN:
                one.check()
            self._ends[one.program.name] = [*before, now]
            say(f"{one.program.name} ended with status {status} and is restarted. The end of {one.log}:")
            say(one.tail())
            self.processes.start_again(one)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Locks the folder for this process, because two stacks would corrupt its files. Raises AlreadyUp.

    The kernel releases the lock when the process ends, so no stale lock can remain.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyUp(holder(folder) or 0) from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def holder(folder: Path) -> int | None:
    """Id of the process that holds the lock of the folder, or None."""
    try:
        with (folder / "lock").open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0)
    except FileNotFoundError:
        pass
    return None


@contextmanager
def running_stack(
    folder: Path, *, api_port: int, say: Say, fresh: bool = False, webhooks: bool = False
) -> Iterator[Stack]:
    """A running stack with its data and logs in the folder; leaving the context stops it in order.

    fresh: delete the jobs and pictures of an earlier stack. webhooks: also start the process that delivers webhooks.
    Raises StackFailed if a process ends or does not become ready, AlreadyUp if the folder is in use.
    """
    try:
        settings = Settings.read()
    except InvalidSetting as wrong:
        raise StackFailed(str(wrong)) from wrong
    # 0.0.0.0 is an address to listen on, not to connect to.
    host = HOST if settings.api_host == "0.0.0.0" else settings.api_host  # noqa: S104 - compared, not bound
    url = f"http://{host}:{api_port}"
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        message = f"TROUPE_API_HOST {settings.api_host!r} is not an address: {error}"
        raise StackFailed(message) from error
    with hold(folder), Processes(folder / "logs") as processes:
        if fresh:
            for name in ("redis", "s3"):
                shutil.rmtree(folder / name, ignore_errors=True)
        environment: dict[str, str] = {}
        if "c2pa_certificate" not in settings.model_fields_set:
            environment |= own_certificate(folder / "c2pa").environment
        if "redis_url" not in settings.model_fields_set:
            environment["TROUPE_REDIS_URL"] = _start_redis(processes, folder, say)
        if "s3_endpoint_url" not in settings.model_fields_set:
            environment["TROUPE_S3_ENDPOINT_URL"] = _start_s3(processes, folder, settings, say)
        say(f"starting a detection worker, a generation worker (bundle {settings.bundle}) and the API")
        for role in WORKERS:
            processes.start(_worker(role, environment))
        if webhooks:
            processes.start(_webhooks(environment))
        processes.start(_api(api_port, environment))
        stack = Stack(
            url=url,
            redis_url=environment.get("TROUPE_REDIS_URL", settings.redis_url),
            s3_url=environment.get("TROUPE_S3_ENDPOINT_URL", settings.s3_endpoint_url),
            processes=processes,
        )
        try:
            _wait_until_ready(stack, say)
            yield stack
        finally:
            _stop(processes, say)


def _start_redis(processes: Processes, folder: Path, say: Say) -> str:
    port = first_free_port(6379)
    url = f"redis://{HOST}:{port}/0"
    say(f"starting Redis on port {port}")
    processes.start(redis_program(folder / "redis", port))
    processes.wait_until("Redis", lambda: redis_answers(url), timeout_s=_SERVER_START_S)
    return url


def _start_s3(processes: Processes, folder: Path, settings: Settings, say: Say) -> str:
    port = first_free_port(9000)
    say(f"starting S3 on port {port}")
    secret = settings.s3_secret_key.get_secret_value()
    processes.start(s3_program(folder / "s3", port, access_key=settings.s3_access_key, secret_key=secret))
    processes.wait_until("S3", lambda: listens(port), timeout_s=_SERVER_START_S)
    return f"http://{HOST}:{port}"


def _worker(role: str, environment: Mapping[str, str]) -> Program:
    return Program(
        name=role,
        command=[sys.executable, "-m", "celery", "-A", "worker.app", "worker", *WORKER_ARGS, "-n", f"{role}@%h"],
        environment={**environment, "TROUPE_ROLE": role},
        grace_s=_WORKER_GRACE_S,
    )


def _webhooks(environment: Mapping[str, str]) -> Program:
    return Program(
        name="webhooks",
        command=[
            sys.executable,
            "-m",
            "celery",
            "-A",
            "worker.webhooks.app",
            "worker",
            *WORKER_ARGS,
            "-n",
            "webhooks@%h",
        ],
        environment=environment,
        # Running deliveries are finished, and a receiver may be slow.
        grace_s=_WORKER_GRACE_S,
    )


def _api(port: int, environment: Mapping[str, str]) -> Program:
    return Program(
        name="api",
        command=[sys.executable, "-m", "api"],
        environment={**environment, "TROUPE_API_PORT": str(port)},
    )


def _wait_until_ready(stack: Stack, say: Say) -> None:
    """Polls the API until the stack is ready, and reports each change of what is missing."""
    told = ""
    start = time.monotonic()
    with httpx.Client(base_url=stack.url, timeout=10, trust_env=False) as client:

        def ready() -> bool:
            nonlocal told
            missing = not_ready(client)
            if missing and missing != told:
                say(f"waiting for {missing}")
                told = missing
            return not missing

        stack.processes.wait_until("the stack", ready, timeout_s=_MODELS_START_S)
    say(f"ready after {time.monotonic() - start:.1f} s")


def not_ready(client: httpx.Client) -> str:
    """What the API still waits for; empty if a job can be served now."""
    try:
        answer = client.get("/readyz")
    except httpx.TransportError:
        return "the API"
    if answer.status_code not in {200, 503}:
        return f"the API (/readyz returns {answer.status_code})"
    checks = answer.json()["checks"]
    return ", ".join(f"{check['name']} ({check['detail']})" for check in checks if not check["ok"])


def _stop(processes: Processes, say: Say) -> None:
    """Stops the API first, then the workers, which requeue their jobs, and the servers last."""
    say("stopping")
    for names in ({"api"}, {*WORKERS, "webhooks"}):
        processes.stop(*(one for one in processes.running if one.program.name in names))
    processes.stop_all()
