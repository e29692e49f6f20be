"""`python -m compose.local up | down | status`: the stack of one machine, running in the background.

`up` starts a supervisor process that owns every other one. Other commands read the lock that it holds and the small
state file that it writes once everything is ready.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import httpx

from compose.processes import ROOT, StackFailed
from compose.servers import first_free_port
from compose.stack import AlreadyUp, Stack, holder, not_ready, running_stack
from shared.settings import Settings

FOLDER = ROOT / "var" / "stack"
_POLL_S = 0.1
_DOWN_S = 90.0
# As services do: 3 is "not running" for `status`.
_NOT_RUNNING = 3


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP leave the context like Ctrl-C does; what ends the processes is then in order."""

    def leave(number: int, _frame: FrameType | None) -> None:
        # One is enough: a second one must not break off the clean-up.
        for other in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def supervise(folder: Path, api_port: int) -> None:
    """Runs the stack until a signal comes; what ends is started again.

    Raises StackFailed when a part cannot go on, AlreadyUp when the folder is in use.
    """
    state = folder / "state.json"
    with stop_on_signals(), running_stack(folder, api_port=api_port, say=_say, webhooks=True) as stack:
        _write_state(state, stack)
        try:
            while True:
                stack.restart_ended(_say)
                time.sleep(_POLL_S)
        finally:
            state.unlink()


def up(folder: Path, api_port: int) -> int:
    """Starts the supervisor in the background, shows its progress, and returns once the stack serves."""
    if holder(folder) is not None:
        print("already up")
        return status(folder)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "stack.log"
    words = ["supervise", "--folder", str(folder), "--port", str(first_free_port(api_port))]
    with log.open("wb") as out:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "compose.local", *words],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with stop_on_signals(), log.open() as lines:
        try:
            while addresses(folder) is None:
                over = supervisor.poll() is not None
                print(lines.read(), end="", flush=True)
                if over:
                    return 1
                time.sleep(_POLL_S)
        except SystemExit:
            supervisor.terminate()
            supervisor.wait()
            raise
        print(lines.read(), end="", flush=True)
    return status(folder)


def down(folder: Path) -> int:
    """Stops the stack and waits until it is gone."""
    pid = holder(folder)
    if not pid:
        print("not running")
        return 0
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _DOWN_S
    while holder(folder) == pid:
        if time.monotonic() > deadline:
            # Its watchdog then ends the rest.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)
    _wait_for_end(pid)
    print("stopped")
    return 0


def _wait_for_end(pid: int) -> None:
    """Waits until a process that has unlocked its folder has ended."""
    if hasattr(os, "pidfd_open"):  # Linux; elsewhere the folder has to be enough.
        with contextlib.suppress(ProcessLookupError):
            process = os.pidfd_open(pid)
            try:
                select.select([process], [], [], _DOWN_S)
            finally:
                os.close(process)


def status(folder: Path) -> int:
    """Prints where the stack is and whether it serves."""
    state = addresses(folder)
    if holder(folder) is None or state is None:
        print("not running" if holder(folder) is None else "starting")
        return _NOT_RUNNING
    with httpx.Client(base_url=state["api"], timeout=10, trust_env=False) as client:
        missing = not_ready(client)
    rows = [
        ("page", state["api"]),
        ("API", state["api"]),
        ("docs", f"{state['api']}/docs"),
        ("Redis", state["redis"]),
        ("S3", state["s3"]),
    ]
    rows += [("logs", str(folder / "logs")), ("state", f"waiting for {missing}" if missing else "ready")]
    for name, value in rows:
        print(f"{name:>8}  {value}")
    return 0


def _write_state(path: Path, stack: Stack) -> None:
    # Readers see all of it or nothing.
    written = path.with_suffix(".new")
    written.write_text(json.dumps({"api": stack.url, "redis": stack.redis_url, "s3": stack.s3_url}))
    written.replace(path)


def addresses(folder: Path) -> dict[str, str] | None:
    """Addresses of the stack that runs now, or None: a file without its holder is a killed supervisor's."""
    if holder(folder) is None:
        return None
    try:
        addresses: dict[str, str] = json.loads((folder / "state.json").read_text())
    except FileNotFoundError:
        return None
    return addresses


def settings_here(folder: Path = FOLDER) -> Settings:
    """The settings, with the Redis of the stack of this machine unless the environment names one."""
    settings, stack = Settings.read_or_exit(), addresses(folder)
    if stack is None or "redis_url" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"redis_url": stack["redis"]})


def _say(words: str) -> None:
    print(words, flush=True)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="compose.local", description="The whole stack on this machine.")
    parser.add_argument("command", choices=["up", "down", "status", "supervise"])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where data and logs are kept")
    parser.add_argument("--port", type=int, help="port of the API; the next free one when it is taken")
    asked = parser.parse_args(words)
    port = asked.port or Settings.read_or_exit().api_port
    try:
        match asked.command:
            case "up":
                return up(asked.folder, port)
            case "down":
                return down(asked.folder)
            case "status":
                return status(asked.folder)
        supervise(asked.folder, port)
    except (StackFailed, AlreadyUp) as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
