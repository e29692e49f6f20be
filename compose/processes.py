"""Child processes that never outlive their parent.

Each child leads its own process group, so Ctrl-C in a terminal reaches only the parent, which then stops its children
in order. A watchdog process holds the other end of a pipe. When the parent ends, even by SIGKILL, the pipe closes; the
watchdog then ends the remaining groups and deletes their temporary files.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from compose.direct import without_proxy

ROOT = Path(__file__).resolve().parent.parent
_TAIL_LINES = 25


class StackFailed(Exception):
    """A process of the stack ended or did not become ready. The message names it and contains the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command to run. environment: additional variables. grace_s: time to end after SIGTERM."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    grace_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Running:
    """A started program."""

    program: Program
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self.process.pid

    def check(self) -> None:
        """Raises StackFailed if the process has ended."""
        status = self.process.poll()
        if status is not None:
            message = f"{self.program.name} ended with status {status}. The end of {self.log}:\n{self.tail()}"
            raise StackFailed(message)

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (empty)"

    def stop(self) -> None:
        """Sends SIGTERM, then SIGKILL to the whole group after the grace period. Returns when the process has ended."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(self.program.grace_s)
        # Also after a clean exit: a pool child that outlived its parent is still in the group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def ask_to_stop(self) -> None:
        """Sends SIGTERM to the process, which stops its own children."""
        if self.process.poll() is None:
            self.process.terminate()


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Delays SIGINT, SIGTERM and SIGHUP until the context ends. Only the main thread receives signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _frame: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for missed in came:
            signal.raise_signal(missed)


class Processes:
    """A context of running programs: leaving it stops them, the last started first."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._running: list[Running] = []
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._temporary = ""

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        # With -S -E and without imports of this project, so that the watchdog starts fast and stays small.
        self._watchdog = subprocess.Popen(
            [sys.executable, "-S", "-E", str(ROOT / "compose" / "watchdog.py")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        # A killed process leaves its temporary files behind. The folder is not below the logs, because the path of a
        # Unix socket has at most 108 bytes.
        with signals_wait():
            self._temporary = tempfile.mkdtemp(prefix="troupe-")
            _send(self._pipe(), self._temporary)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop_all()
        finally:
            if self._watchdog is not None and self._watchdog.stdin is not None:
                self._watchdog.stdin.close()
                self._watchdog.wait()

    @property
    def running(self) -> tuple[Running, ...]:
        """The programs that were started and not stopped."""
        return tuple(self._running)

    def start(self, program: Program, *, again: bool = False) -> Running:
        """Starts a program in its own process group, with its output in `{logs}/{name}.log`. again: append to it."""
        pipe = self._pipe()
        log = self._logs / f"{program.name}.log"
        # A signal handler that raises between the start and the registration would leave the process behind.
        with log.open("ab" if again else "wb") as out, signals_wait():
            process = subprocess.Popen(
                list(program.command),
                cwd=ROOT,
                env={
                    **os.environ,
                    **without_proxy(os.environ),
                    "PYTHONUNBUFFERED": "1",
                    "TMPDIR": self._temporary,
                    **program.environment,
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            _send(pipe, f"{process.pid} {program.grace_s}")
            running = Running(program=program, process=process, log=log)
            self._running.append(running)
        return running

    def _pipe(self) -> IO[bytes]:
        """The pipe to the watchdog."""
        if self._watchdog is None or self._watchdog.stdin is None:
            message = "Processes is a context: enter it before starting a program"
            raise RuntimeError(message)
        return self._watchdog.stdin

    def stop(self, *ones: Running) -> None:
        """Stops these together: all receive SIGTERM first, then each has its grace period."""
        for one in ones:
            one.ask_to_stop()
        for one in ones:
            one.stop()
            self._running.remove(one)

    def start_again(self, ended: Running) -> Running:
        """Starts the program of an ended process again, in its place."""
        # Its children may still run.
        self.stop(ended)
        return self.start(ended.program, again=True)

    def stop_all(self) -> None:
        """Stops the remaining programs, the last started first."""
        for one in reversed(self.running):
            self.stop(one)

    def wait_until(self, what: str, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Returns once ready() is true. Raises StackFailed if a process ends or the timeout passes."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            for one in self._running:
                one.check()
            if time.monotonic() > deadline:
                tails = "\n".join(f"  {one.program.name} ({one.log}):\n{one.tail()}" for one in self._running)
                message = f"{what} was not ready after {timeout_s:.0f} s\n{tails}"
                raise StackFailed(message)
            time.sleep(0.05)


def _send(pipe: IO[bytes], line: str) -> None:
    pipe.write(f"{line}\n".encode())
    pipe.flush()
