"""The workers over HTTP, and `troupe top` in a terminal of 80 columns."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from api.auth.key_table import KeyTable
from api.client import Client
from compose.processes import ROOT
from shared.stages import Stage
from shared.store.queue.values import DeviceStatus, WorkerStatus
from tests.support.api_server import ApiServer, api_server
from tests.support.queue_records import Records
from tests.support.servers import fresh_settings

DRAWS, LOADS, BROKEN = "celery@gpu-1.41", "celery@gpu-1.42", "celery@cpu-1.43"


@pytest.fixture(scope="module")
def records(redis_url: str, s3_url: str) -> Iterator[Records]:
    made = Records(settings=fresh_settings(redis_url, s3_url, auth=True))
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(records.settings, tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.fixture
def running_job(records: Records) -> str:
    """Three workers, one of which draws a job of ours; gives the job's id."""
    for name, role, reason in (
        (DRAWS, "generation", ""),
        (LOADS, "generation", "loading"),
        (BROKEN, "detection", "no faces/"),
    ):
        records.queue_store.heartbeat(WorkerStatus(name=name, role=role, slots=1, bundle="mini"))
        gauge = (
            DeviceStatus(device="NVIDIA H100", memory_mb=80_000, free_mb=41_200, steps_per_s=21.4)
            if name == DRAWS
            else None
        )
        records.queue_store.report_readiness(name, ready=not reason, reason=reason, device=gauge)
    for key in records.redis.scan_iter(f"{records.settings.key_prefix}:leases:*"):
        records.redis.delete(key)
    job = records.submit(tenant="ours")
    records.queue_store.dispatch("test", 1)
    records.finish(job, until=Stage.IDENTIFY)
    claim = records.claim(job, Stage.RENDER, worker=DRAWS)
    records.jobs.renew(job, claim.attempt, worker=DRAWS, progress=(12, 30))
    return job


@pytest.fixture(scope="module")
def keys(records: Records) -> dict[str, str]:
    table = KeyTable(records.redis, records.settings)
    return {tenant: table.create(tenant) for tenant in ("ours", "theirs")}


def test_any_key_sees_the_workers_and_only_its_own_jobs(
    server: ApiServer, keys: dict[str, str], running_job: str
) -> None:
    with Client(server.url, key=keys["ours"]) as client:
        broken, draws, loads = client.workers()
    assert (broken.host, broken.role, broken.state, broken.reason) == ("cpu-1", "detection", "broken", "no faces/")
    assert (draws.state, loads.state, loads.busy) == ("ready", "loading", False)
    assert draws.job is not None
    assert (draws.job.id, draws.job.stage, draws.job.step, draws.job.steps) == (running_job, "render", 12, 30)
    with Client(server.url, key=keys["theirs"]) as client:
        _, draws, _ = client.workers()
    assert (draws.busy, draws.job) == (True, None)
    with server.client() as nobody:
        assert nobody.get("/v1/workers").status_code == 401


def top(server: ApiServer, key: str, *words: str, on_terminal: bool = False) -> str:
    """What `troupe top` prints in 80 columns."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.bare_client", "--url", server.url, "--key", key, "top", *words],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=theirs if on_terminal else subprocess.PIPE,
        timeout=60,
        check=True,
    )
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        return terminal.read1().decode() if on_terminal else done.stdout.decode()


def test_one_frame_fits_into_80_columns(server: ApiServer, keys: dict[str, str], running_job: str) -> None:
    shown = top(server, keys["ours"], "--once", on_terminal=True)
    lines = [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]
    assert max(map(len, lines)) <= 80
    assert "3 workers, 1 busy (1 with your jobs)" in lines[0]
    [row] = [line for line in lines if "12/30" in line]
    assert row.split() == ["gpu-1", "generation", "mini", "H100", running_job[:8], "render", "12/30", "21.4", "41.2G"]
    assert f"{BROKEN}: no faces/" in lines
    assert [line.split()[0] for line in lines[-2:]] == ["interactive", "batch"]


def test_in_a_pipe_it_is_printed_once_and_nothing_is_cut(
    server: ApiServer, keys: dict[str, str], running_job: str
) -> None:
    lines = top(server, keys["ours"]).splitlines()
    [row] = [line for line in lines if "12/30" in line]
    assert row.split() == ["gpu-1", "generation", "mini", "H100", running_job, "render", "12/30", "21.4", "41.2G"]
    assert f"{BROKEN}: no faces/" in lines


def test_one_look_can_be_had_as_json(server: ApiServer, keys: dict[str, str], running_job: str) -> None:
    look = json.loads(top(server, keys["ours"], "--json"))
    assert {worker["name"] for worker in look["workers"]} == {DRAWS, LOADS, BROKEN}
    assert set(look["queue"]["lanes"]) == {"interactive", "batch"}


def test_it_goes_on_until_control_c_and_says_when_nobody_answers(
    server: ApiServer, keys: dict[str, str], running_job: str
) -> None:
    ours, theirs = pty.openpty()
    words = ["--url", server.url, "--key", keys["ours"], "top"]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.bare_client", *words],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = ""

    def read_until(words: str) -> None:
        nonlocal seen
        while not re.search(words, seen):
            seen += os.read(ours, 65_536).decode(errors="replace")

    read_until("12/30")
    server.processes.stop(server.running)
    seen = ""
    read_until("no answer")
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    os.close(ours)
