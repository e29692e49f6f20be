"""Child processes that never outlive their parent.

Each child leads a process group of its own, so Ctrl-C in a terminal reaches only the parent, which then stops its
children in order. A watchdog process holds the other end of a pipe: when the parent is gone, however it went (SIGKILL
included), the pipe closes and the watchdog ends the groups that are left, and removes what they had as temporary files.
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

ROOT = Path(__file__).resolve().parent.parent
_TAIL_LINES = 25


class StackFailed(Exception):
    """A process of the stack died or did not become ready; the message says which, and shows the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command to run. environment is added to this process's own; grace_s is how long SIGTERM may take."""

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
        """Raises StackFailed when the process is no longer there."""
        status = self.process.poll()
        if status is not None:
            message = f"{self.program.name} ended with status {status}; the end of {self.log}:\n{self.tail()}"
            raise StackFailed(message)

    def tail(self) -> str:
        """The last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines) or "    (empty)"

    def stop(self) -> None:
        """SIGTERM, then SIGKILL to the whole group after the program's grace. Returns when the process is gone."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(self.program.grace_s)
        # Also after a clean exit: a pool child that outlived its parent is still in the group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()

    def ask_to_stop(self) -> None:
        """SIGTERM to the process itself, which looks after its own children."""
        if self.process.poll() is None:
            self.process.terminate()


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP are handled after the context, not in it. Other threads than the main one get none."""
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
        # -S -E and no import of ours: a watchdog must start fast and stay small.
        self._watchdog = subprocess.Popen(
            [sys.executable, "-S", "-E", str(ROOT / "compose" / "watchdog.py")],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        # A killed process leaves its temporary files behind. Not below the logs: the address of a Unix socket has 108
        # bytes, and those folders may be deep.
        with signals_wait():
            self._temporary = tempfile.mkdtemp(prefix="troupe-")
            _tell(self._ear(), self._temporary)
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
        """Starts a program in its own process group, with its output in `{logs}/{name}.log`: anew, or going on."""
        ear = self._ear()
        log = self._logs / f"{program.name}.log"
        # A process that was started but not yet noted would be left behind by a handler that raises in between.
        with log.open("ab" if again else "wb") as out, signals_wait():
            process = subprocess.Popen(
                list(program.command),
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": self._temporary, **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            _tell(ear, f"{process.pid} {program.grace_s}")
            running = Running(program=program, process=process, log=log)
            self._running.append(running)
        return running

    def _ear(self) -> IO[bytes]:
        """Where the watchdog listens."""
        if self._watchdog is None or self._watchdog.stdin is None:
            message = "Processes is a context: enter it before starting a program"
            raise RuntimeError(message)
        return self._watchdog.stdin

    def stop(self, *ones: Running) -> None:
        """Stops these together: all are asked first, then each gets its grace."""
        for one in ones:
            one.ask_to_stop()
        for one in ones:
            one.stop()
            self._running.remove(one)

    def start_again(self, ended: Running) -> Running:
        """Starts the program of one that ended, in whose place it is from then on."""
        # Its children may have outlived it.
        self.stop(ended)
        return self.start(ended.program, again=True)

    def stop_all(self) -> None:
        """Stops what is left, the last started first."""
        for one in reversed(self.running):
            self.stop(one)

    def wait_until(self, what: str, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Returns once ready() is true. Raises StackFailed when a process died or the time is over."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            for one in self._running:
                one.check()
            if time.monotonic() > deadline:
                tails = "\n".join(f"  {one.program.name} ({one.log}):\n{one.tail()}" for one in self._running)
                message = f"{what} was not ready after {timeout_s:.0f} s\n{tails}"
                raise StackFailed(message)
            time.sleep(0.05)


def _tell(ear: IO[bytes], line: str) -> None:
    ear.write(f"{line}\n".encode())
    ear.flush()
