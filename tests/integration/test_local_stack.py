"""The stack of one machine: it serves, says what is wrong, and leaves no process behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from compose.processes import ROOT

START_S = 120.0


class Mark:
    """A variable in the environment of every process that a test starts, to find them all again."""

    def __init__(self) -> None:
        self.value = f"t{uuid.uuid4().hex}"

    @property
    def environment(self) -> Mapping[str, str]:
        return {**os.environ, "TROUPE_KEY_PREFIX": self.value, "OMP_NUM_THREADS": "1"}

    def processes(self) -> dict[int, str]:
        """Process id -> command line of what lives."""
        found = {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if self.value.encode() in (folder / "environ").read_bytes():
                        words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                        found[int(folder.name)] = words
                except OSError:
                    continue  # It ended while we looked.
        return found


@pytest.fixture
def mark() -> Iterator[Mark]:
    made = Mark()
    yield made
    end(made)


def end(mark: Mark) -> None:
    for pid in mark.processes():
        os.kill(pid, signal.SIGKILL)


def eventually(true: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(0.1)
    return False


def local(mark: Mark, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "compose.local", *words, "--folder", str(folder), "--port", "18000"],
        cwd=ROOT,
        env={**mark.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=START_S + 60,
    )


def supervisor(mark: Mark, folder: Path) -> subprocess.Popen[bytes]:
    """A stack in the foreground, as far as all its processes having been started."""
    words = ["supervise", "--folder", str(folder), "--port", "18100"]
    process = subprocess.Popen(
        [sys.executable, "-m", "compose.local", *words],
        cwd=ROOT,
        env=mark.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    looks = 0

    def all_started() -> bool:
        """The last program of all has been there for two looks: by then the watchdog knows of it."""
        nonlocal looks
        looks += any("-m api" in words for words in mark.processes().values())
        return looks >= 2

    assert eventually(all_started, within_s=START_S)
    return process


@dataclass(frozen=True, kw_only=True)
class LocalStack:
    """A stack in the background, as `./run up` starts it, and the processes of it that live."""

    mark: Mark
    folder: Path
    address: str

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        return local(self.mark, self.folder, *words)

    def is_ready(self) -> bool:
        return httpx.get(f"{self.address}/readyz", trust_env=False).status_code == 200


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """One stack for the tests that disturb it; leaving it ends it, and fails where a process is left."""
    mark, folder = Mark(), tmp_path_factory.mktemp("local")
    try:
        started = local(mark, folder, "up")
        assert started.returncode == 0, started.stdout + started.stderr
        address = next(line.split()[1] for line in started.stdout.splitlines() if line.split()[0] == "API")
        yield LocalStack(mark=mark, folder=folder, address=address)
        assert local(mark, folder, "down").stdout == "stopped\n"
        assert mark.processes() == {}
        assert local(mark, folder, "status").returncode == 3
    finally:
        end(mark)


def test_up_serves_and_up_again_changes_nothing(running: LocalStack) -> None:
    assert running.is_ready()
    before = set(running.mark.processes())
    again = running.command("up")
    assert again.returncode == 0
    assert "already up" in again.stdout
    assert running.address in again.stdout
    assert set(running.mark.processes()) == before
    assert "ready" in running.command("status").stdout


def test_a_worker_that_ends_is_started_again_and_the_stack_serves_on(running: LocalStack) -> None:
    worker = next(
        pid for pid, words in running.mark.processes().items() if "celery" in words and "-n generation@" in words
    )
    os.kill(worker, signal.SIGKILL)
    log = running.folder / "stack.log"
    assert eventually(lambda: "generation ended with status -9 and is restarted" in log.read_text(), within_s=60)
    assert eventually(lambda: not running.is_ready(), within_s=60)
    assert "waiting for generation" in running.command("status").stdout
    assert eventually(running.is_ready, within_s=START_S)
    assert "ready" in running.command("status").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_models_load_ends_everything(mark: Mark, tmp_path: Path, number: signal.Signals) -> None:
    process = supervisor(mark, tmp_path)
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert mark.processes() == {}


def test_a_killed_supervisor_leaves_nothing_behind(mark: Mark, tmp_path: Path) -> None:
    process = supervisor(mark, tmp_path)
    process.kill()
    process.wait()
    assert eventually(lambda: not mark.processes(), within_s=60), mark.processes()


def test_a_part_that_dies_is_told_with_the_end_of_its_log(mark: Mark, tmp_path: Path) -> None:
    # An address for documentation (RFC 5737), which no machine has: the API cannot listen there.
    failed = local(mark, tmp_path, "up", TROUPE_API_HOST="192.0.2.1")
    assert failed.returncode == 1
    assert "api ended with status" in failed.stdout
    assert "192.0.2.1" in failed.stdout
    assert mark.processes() == {}


def test_a_host_that_is_no_address_is_said_before_anything_starts(mark: Mark, tmp_path: Path) -> None:
    failed = local(mark, tmp_path, "up", TROUPE_API_HOST="256.0.0.1")
    assert failed.returncode == 1
    assert "failed: TROUPE_API_HOST '256.0.0.1' is not an address" in failed.stdout
    assert not (tmp_path / "logs").exists()
