"""Processes end in order, say why they died, and never outlive their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compose.processes import ROOT, Processes, Program, StackFailed, signals_wait
from compose.stack import Stack

SLEEPER = (sys.executable, "-c", "import time; time.sleep(300)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('started', flush=True); time.sleep(300)",
)

KEEPER = (sys.executable, "-c", "import tempfile, time; print(tempfile.mkdtemp(), flush=True); time.sleep(300)")
LISTENER = """
import time
from multiprocessing.connection import Listener
with Listener(family="AF_UNIX") as listener:
    print(listener.address, flush=True)
    time.sleep(300)
"""


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie waiting for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def eventually(true: Callable[[], object], *, within_s: float = 15.0) -> bool:
    """Whether the condition becomes true before the deadline."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.02)
    return False


def test_leaving_the_context_ends_every_process(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        pids = [processes.start(Program(name=name, command=SLEEPER)).pid for name in ("one", "two")]
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        stubborn = processes.start(Program(name="stubborn", command=STUBBORN, grace_s=0.2))
        processes.wait_until("stubborn", lambda: "started" in stubborn.log.read_text(), timeout_s=15)
    assert stubborn.process.returncode == -signal.SIGKILL


def test_a_grandchild_goes_with_its_group(tmp_path: Path) -> None:
    program = "import subprocess, sys; print(subprocess.Popen(['sleep', '300']).pid, flush=True)"
    with Processes(tmp_path) as processes:
        parent = processes.start(Program(name="parent", command=(sys.executable, "-c", program)))
        assert eventually(lambda: parent.log.read_text().strip().isdigit())
        grandchild = int(parent.log.read_text())
        assert alive(grandchild)
    assert eventually(lambda: not alive(grandchild))


STATUS = "import sys; print('at work', flush=True); sys.exit(int(sys.argv[1]))"


def stack_of(processes: Processes) -> Stack:
    return Stack(url="", redis_url="", s3_url="", processes=processes)


def test_what_ends_is_started_again_and_given_up_when_it_does_so_too_often(tmp_path: Path) -> None:
    said: list[str] = []
    with Processes(tmp_path) as processes:
        stack = stack_of(processes)
        first = processes.start(Program(name="faulty", command=(sys.executable, "-c", STATUS, "1")))
        for _ in range(3):
            processes.running[0].process.wait()
            stack.restart_ended(said.append)
        processes.running[0].process.wait()
        with pytest.raises(StackFailed, match="faulty ended with status 1"):
            stack.restart_ended(said.append)
    assert first.log.read_text() == "at work\n" * 4
    assert sum("faulty ended with status 1 and is restarted" in words for words in said) == 3


def test_what_ends_because_of_its_settings_is_not_started_again(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start(Program(name="wrong", command=(sys.executable, "-c", STATUS, "78"))).process.wait()
        with pytest.raises(StackFailed, match="wrong ended with status 78"):
            stack_of(processes).restart_ended(lambda _words: None)


def test_a_death_while_waiting_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start(Program(name="faulty", command=(sys.executable, "-c", "raise SystemExit('no such port')")))
        with pytest.raises(StackFailed, match=r"faulty ended with status 1(.|\n)*no such port"):
            processes.wait_until("faulty", lambda: False, timeout_s=30)


def test_what_never_gets_ready_is_told_after_the_timeout(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start(Program(name="slow", command=SLEEPER))
        with pytest.raises(StackFailed, match="slow was not ready after 0 s"):
            processes.wait_until("slow", lambda: False, timeout_s=0.1)


def test_what_a_killed_process_kept_as_temporary_goes_with_the_context(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        killed = processes.start(Program(name="killed", command=KEEPER))
        assert eventually(killed.log.read_text)
        kept = Path(killed.log.read_text().strip())
        killed.process.kill()
        assert killed.process.wait() == -signal.SIGKILL
        assert kept.is_dir()
    assert not kept.parent.exists()


def test_without_a_watchdog_there_is_no_folder_to_remove(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no-python"))
    with pytest.raises(FileNotFoundError), Processes(tmp_path / "logs"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]


def test_a_unix_socket_finds_room_among_temporary_files_however_deep_the_logs_are(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 100)
    with Processes(deep) as processes:
        one = processes.start(Program(name="one", command=(sys.executable, "-c", LISTENER)))
        assert eventually(one.log.read_text)
        assert Path(one.log.read_text().strip()).name.startswith("listener-")


def test_a_killed_parent_leaves_no_process_and_no_file_behind(tmp_path: Path) -> None:
    script = f"""
import pathlib, sys, time
from compose.processes import Processes, Program
with Processes(pathlib.Path({str(tmp_path)!r})) as processes:
    print(processes.start(Program(name="orphan", command={KEEPER!r}, grace_s=2)).pid, flush=True)
    time.sleep(300)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT)
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert alive(child)
    log = tmp_path / "orphan.log"
    assert eventually(log.read_text)
    kept = Path(log.read_text().strip())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert eventually(lambda: not alive(child))
    assert eventually(lambda: not kept.parent.exists())


def test_a_signal_that_comes_while_a_program_is_started_is_handled_after_it_is_noted() -> None:
    handled: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: handled.append("signal"))
    try:
        with signals_wait():
            signal.raise_signal(signal.SIGTERM)
            handled.append("noted")
        assert handled == ["noted", "signal"]
        assert signal.getsignal(signal.SIGTERM) is not before
    finally:
        signal.signal(signal.SIGTERM, before)
