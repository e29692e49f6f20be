"""`troupe batch run` as a process of its own, against a real API and workers whose stages draw nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.client import Client
from compose.processes import ROOT, Processes, Program
from shared.broker import WORKER_ARGS
from shared.store.connection import connect
from shared.store.queue.dispatch import QueueStore
from tests.integration.test_cli import refused, troupe
from tests.support.api_server import (
    ApiServer,
    api_server,
    environment_of,
    png_bytes,
)
from tests.support.servers import fresh_settings

_LINES = 6
_START_S = 90.0


@pytest.fixture(scope="module")
def server(redis_url: str, s3_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    notes = tmp_path_factory.mktemp("notes")
    settings = fresh_settings(redis_url, s3_url, bundle_folder=str(notes))
    folder = tmp_path_factory.mktemp("logs")
    with api_server(settings, folder) as running, Processes(folder / "workers") as processes:
        command = [sys.executable, "-m", "celery", "-A", "tests.support.fault_app", "worker", *WORKER_ARGS]
        environment = {**environment_of(settings), "TROUPE_ROLE": "all"}
        processes.start(Program(name="all", command=command, environment=environment))
        with connect(settings) as client:
            queue_store = QueueStore(client, settings)
            processes.wait_until("worker", lambda: queue_store.ready_slots() == 1, timeout_s=_START_S)
        yield running


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    """Lines whose photo lies beside them, and one that is not valid."""
    (tmp_path / "ben.png").write_bytes(png_bytes() + uuid.uuid4().bytes)
    concepts = [{"phrase": "the man", "photos": ["ben.png"]}]
    asked = [
        {"custom_id": f"../{number}", "prompt": f"a man, {number}", "concepts": concepts} for number in range(_LINES)
    ]
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in asked) + '\n{"prompt": ""}\n')
    return path


def made(server: ApiServer) -> set[str]:
    """The server's jobs."""
    with connect(server.settings) as redis:
        return {str(key) for key in redis.scan_iter(f"{server.settings.key_prefix}:job:*")}


def unblock(server: ApiServer, earlier: set[str]) -> None:
    """Opens the gates of all jobs that are not among the earlier ones, when all lines have become jobs."""
    deadline_s = time.monotonic() + _START_S
    while len(ours := made(server) - earlier) < _LINES:
        assert time.monotonic() < deadline_s, f"only {len(ours)} lines became jobs"
    for name in ours:
        (Path(server.settings.bundle_folder) / f"{name.rpartition(':')[2]}.go").touch()


def test_a_file_of_lines_becomes_pictures_and_an_errors_file(server: ApiServer, lines: Path) -> None:
    done = troupe(server.url, "batch", "run", str(lines))
    assert (done.returncode, "partially_failed" in done.stdout) == (1, True), done.stderr + done.stdout
    folder = lines.with_suffix("")
    pictures = sorted((folder / "pictures").iterdir())
    assert [path.name for path in pictures] == [f"{number + 1:06d}-_{number}.png" for number in range(_LINES)]
    errors = [json.loads(row) for row in (folder / "errors.jsonl").read_text().splitlines()]
    assert [(row["line"], row["status"]) for row in errors] == [(_LINES + 1, "invalid")]
    assert len((folder / "output.jsonl").read_text().splitlines()) == _LINES

    # Again: nothing is drawn, and only what is missing is fetched.
    jobs, kept = made(server), pictures[0].stat().st_mtime_ns
    pictures[1].unlink()
    again = troupe(server.url, "batch", "run", str(lines))
    assert again.stdout == done.stdout
    assert (made(server), pictures[0].stat().st_mtime_ns, pictures[1].exists()) == (jobs, kept, True)
    batch_id = json.loads((folder / "batch.json").read_text())["id"]
    assert "partially_failed" in troupe(server.url, "batch", "status", batch_id).stdout

    lines.write_text(lines.read_text() + "\n")
    refused(troupe(server.url, "batch", "run", str(lines)), 1, "belongs to other lines")


def test_ctrl_c_leaves_the_batch_running_and_the_same_command_goes_on(server: ApiServer, lines: Path) -> None:
    # The last line waits until it is released, so that the batch cannot be over before Ctrl-C comes.
    lines.write_text(lines.read_text().replace(f"a man, {_LINES - 1}", "render=wait"))
    earlier = made(server)
    command = [sys.executable, "-m", "tests.support.bare_client", "--url", server.url, "batch", "run", str(lines)]
    environment = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as first:
        assert first.stderr is not None
        # Its first words come when the batch has been made.
        heard = first.stderr.readline()
        first.send_signal(signal.SIGINT)
        heard += first.stderr.read()
        assert first.wait() == 130, heard
    assert "run the same command again" in heard
    assert "Traceback" not in heard
    before = json.loads((lines.with_suffix("") / "batch.json").read_text())
    unblock(server, earlier)
    done = troupe(server.url, "batch", "run", str(lines))
    assert "partially_failed" in done.stdout, done.stderr
    assert before["id"] in done.stdout
    assert len(list((lines.with_suffix("") / "pictures").iterdir())) == _LINES
    with Client(server.url) as client:
        assert client.batch(before["id"]).counts["succeeded"] == _LINES


def test_what_a_file_lacks_is_told_before_anything_is_made(server: ApiServer, lines: Path) -> None:
    (lines.parent / "ben.png").unlink()
    refused(troupe(server.url, "batch", "run", str(lines)), 1, "line 1: the photo")
    refused(troupe(server.url, "batch", "run", str(lines.parent / "none.jsonl")), 1, "there is no file")
    refused(troupe(server.url, "batch", "status", "0" * 32), 1, "(batch_not_found)")
