"""The whole stack as processes of one machine: Redis, S3, workers and the API, as `Settings` would have them.

A server that the environment already names (TROUPE_REDIS_URL, TROUPE_S3_ENDPOINT_URL) is used as it is; what is not
named is started here, with its data under the stack's folder.
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
# A worker gives its job back at the next denoising step, so it needs one step of the slowest bundle and a little.
_WORKER_GRACE_S = 30.0
_SERVER_START_S = 30.0
# What ends once more after as many ends in this time will not go on by itself.
_OFTEN = 3
_OFTEN_S = 600.0
# Reading a published bundle from a slow disk takes minutes.
_MODELS_START_S = 600.0


class AlreadyUp(Exception):
    """Another process holds the stack of this folder; pid says which."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"a stack is already running here (process {pid})")
        self.pid = pid


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack that serves. Addresses as a client of this machine uses them."""

    url: str
    redis_url: str
    s3_url: str
    processes: Processes
    _ends: dict[str, list[float]] = field(default_factory=dict, init=False)

    def check(self) -> None:
        """Raises StackFailed when one of the processes is gone."""
        for one in self.processes.running:
            one.check()

    def mend(self, say: Say) -> None:
        """Starts again what ended. Raises StackFailed where that is of no use: for wrong settings, or too often."""
        for one in self.processes.running:
            status = one.process.poll()
            if status is None:
                continue
            now = time.monotonic()
            before = [at for at in self._ends.get(one.program.name, []) if now - at < _OFTEN_S]
            if status == EXIT_CONFIG or len(before) == _OFTEN:
                one.check()
            self._ends[one.program.name] = [*before, now]
            say(f"{one.program.name} ended with status {status} and is started again; the end of {one.log}:")
            say(one.tail())
            self.processes.start_again(one)


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Holds the folder for this process: two stacks on one set of files would ruin them. Raises AlreadyUp.

    The lock is the kernel's and goes with the process, however it ends; nothing stale can be left behind.
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
    """Process id of whoever holds the folder, or None when nobody does."""
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
    """A stack that serves, with its data and logs under the folder; leaving the context stops it in order.

    fresh: forget the jobs and pictures of the stack that ran here before. webhooks: with the process that delivers
    them; pictures need none, so it is not waited for. Raises StackFailed when a part dies or does
    not get ready, AlreadyUp when the folder is in use.
    """
    try:
        settings = Settings.read()
    except InvalidSetting as wrong:
        raise StackFailed(str(wrong)) from wrong
    # 0.0.0.0 is an address to listen on, not one to ask.
    host = HOST if settings.api_host == "0.0.0.0" else settings.api_host  # noqa: S104 - compared, not bound
    url = f"http://{host}:{api_port}"
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        message = f"TROUPE_API_HOST {settings.api_host!r} is no address: {error}"
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
            processes.start(_deliverer(environment))
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


def _deliverer(environment: Mapping[str, str]) -> Program:
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
        # What is under way is finished, and a receiver may take its time.
        grace_s=_WORKER_GRACE_S,
    )


def _api(port: int, environment: Mapping[str, str]) -> Program:
    return Program(
        name="api",
        command=[sys.executable, "-m", "api"],
        environment={**environment, "TROUPE_API_PORT": str(port)},
    )


def _wait_until_ready(stack: Stack, say: Say) -> None:
    """Asks the API what is missing until nothing is, and says so whenever the answer changes."""
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
    """What the API still waits for, in words; empty when a job that is submitted now can be served."""
    try:
        answer = client.get("/readyz")
    except httpx.TransportError:
        return "the API"
    if answer.status_code not in {200, 503}:
        return f"the API (it answers {answer.status_code} to /readyz)"
    checks = answer.json()["checks"]
    return ", ".join(f"{check['name']} ({check['detail']})" for check in checks if not check["ok"])


def _stop(processes: Processes, say: Say) -> None:
    """The door first, then the workers, which give their jobs back; the servers they write to go last."""
    say("stopping")
    for names in ({"api"}, {*WORKERS, "webhooks"}):
        processes.stop(*(one for one in processes.running if one.program.name in names))
    processes.stop_all()
