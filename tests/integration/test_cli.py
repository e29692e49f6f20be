"""The command `troupe` as a process of its own that has only the client's libraries, against a real API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest

from api.client import Client
from api.photos.decode import photo_id
from compose.processes import ROOT
from tests.support.api_server import ApiServer, environment_of, png_bytes

_PATIENCE_S = 60.0
_JOBS = ("", "submit", "wait", "get", "cancel", "retry", "queue", "delete", "photo delete", "tenant delete", "audit")
_COMMANDS = (*_JOBS, "batch", "batch run", "batch status", "batch cancel", "batch delete")


def troupe(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.bare_client", "--url", url, *words],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )


def refused(done: subprocess.CompletedProcess[str], status: int, words: str) -> None:
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def ben(tmp_path: Path) -> Path:
    path = tmp_path / "ben.png"
    path.write_bytes(png_bytes() + uuid.uuid4().bytes)
    return path


def test_a_picture_from_submit_to_file(server: ApiServer, ben: Path, tmp_path: Path) -> None:
    wishes = ("-s", "seed=7", "-s", "mode=staged", "--embed-settings")
    done = troupe(server.url, "submit", "a man on the beach", "-c", f"the man={ben}", *wishes)
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.strip()
    with Client(server.url) as client:
        spec = client.get(job_id).spec
    assert {"seed": 7, "mode": "staged"}.items() <= spec["sampling"].items()
    assert spec["embed_settings"]
    playing = threading.Thread(target=server.play, args=(job_id,))
    playing.start()
    out = tmp_path / "out.png"
    waited = troupe(server.url, "wait", job_id, "--out", str(out))
    playing.join()
    assert (waited.returncode, "succeeded" in waited.stdout) == (0, True), waited.stderr
    assert out.read_bytes().startswith(b"\x89PNG")
    shown = troupe(server.url, "get", job_id, "--json")
    assert json.loads(shown.stdout)["status"] == "succeeded"


def test_a_job_from_a_file_whose_photos_lie_beside_it(server: ApiServer, ben: Path) -> None:
    asked = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [ben.name]}], "lane": "batch"}
    path = ben.parent / "job.json"
    path.write_text(json.dumps(asked))
    words = ("submit", "--file", str(path), "--idempotency-key", uuid.uuid4().hex)
    first, second = (troupe(server.url, *words) for _ in range(2))
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout


def test_a_job_that_was_taken_back_is_told_and_is_no_success(server: ApiServer, ben: Path) -> None:
    job_id = troupe(server.url, "submit", "a man", "-c", f"the man={ben}").stdout.strip()
    refused_wait = troupe(server.url, "wait", job_id, "--timeout", "0.2")
    refused(refused_wait, 4, "not done after 0.2 s")
    assert troupe(server.url, "cancel", job_id).returncode == 0
    waited = troupe(server.url, "wait", job_id)
    assert (waited.returncode, "canceled" in waited.stdout) == (1, True)


def test_a_dry_run_tells_the_cost_and_an_early_end_is_cheaper(server: ApiServer, ben: Path, tmp_path: Path) -> None:
    words = ("submit", "a man", "-c", f"the man={ben}", "-s", "steps=10", "--dry-run")
    whole = troupe(server.url, *words, "--json")
    assert (whole.returncode, json.loads(whole.stdout)["units"]) == (0, 0.328), whole.stderr
    early = troupe(server.url, *words, "--until", "detect")
    assert early.stdout.startswith("0.164 units in the lane interactive")
    refused(troupe(server.url, *words, "--until", "identify", "--out", "x.png"), 2, "has no picture to write")
    lines = tmp_path / "lines.jsonl"
    good = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [ben.name]}]}
    lines.write_text(f"{json.dumps(good)}\n{json.dumps({**good, 'max_tries': '2'})}\n")
    told = troupe(server.url, "batch", "run", str(lines), "--dry-run")
    cost, *said = told.stdout.splitlines()
    assert (told.returncode, cost[:29]) == (0, "0.655 units in the lane batch"), told.stderr
    assert said == ["2 lines, 1 of them wrong", "photos were not sent, and not checked"]
    assert "line 2:" in told.stderr
    assert not lines.with_suffix("").exists()
    with server.client() as client:
        assert client.get(f"/v1/photos/{photo_id(ben.read_bytes())}").status_code == 404
    ben.unlink()
    refused(troupe(server.url, "batch", "run", str(lines), "--dry-run"), 1, "line 1: the photo")


def test_what_was_made_can_be_erased(server: ApiServer, ben: Path) -> None:
    job_id = troupe(server.url, "submit", "a man", "-c", f"the man={ben}").stdout.strip()
    troupe(server.url, "cancel", job_id)
    again = troupe(server.url, "retry", job_id)
    assert again.returncode == 0, again.stderr
    for words in (
        ("delete", job_id),
        ("delete", again.stdout.strip()),
        ("photo", "delete", photo_id(ben.read_bytes())),
    ):
        done = troupe(server.url, *words)
        assert (done.returncode, done.stdout.split(maxsplit=1)[1]) == (0, "is gone\n"), done.stderr
        refused(troupe(server.url, *words), 1, "_not_found)")
    refused(troupe(server.url, "tenant", "delete", "somebody"), 1, "confirm=default")
    refused(troupe(server.url, "batch", "delete", "0" * 32), 1, "(batch_not_found)")


def test_the_audit_log_is_a_table_for_people_and_lines_of_json_for_programs(server: ApiServer, ben: Path) -> None:
    job_id = troupe(server.url, "submit", "a man", "-c", f"the man={ben}").stdout.strip()
    troupe(server.url, "cancel", job_id)
    table = troupe(server.url, "audit")
    assert table.returncode == 0, table.stderr
    head, newest, *_ = table.stdout.splitlines()
    assert head.split() == ["when", "key", "action", "what", "detail"]
    assert newest.split()[2:] == ["-", "job.canceled", job_id]
    lines = troupe(server.url, "audit", "--json", "--limit", "3").stdout.splitlines()
    told = [json.loads(line) for line in lines]
    assert [(one["action"], one["subject"]) for one in told] == [
        ("job.canceled", job_id),
        ("job.submitted", job_id),
        ("photo.uploaded", photo_id(ben.read_bytes())),
    ]
    only = troupe(server.url, "audit", "--json", "-n", "1", "--action", "job.submitted").stdout
    assert json.loads(only) == told[1]
    refused(troupe(server.url, "audit", "--action", "nothing"), 1, "action must be one of")


def test_what_goes_wrong_is_one_line_and_a_status(server: ApiServer, ben: Path, tmp_path: Path) -> None:
    refused(troupe(server.url, "get", "0" * 32), 1, "(job_not_found)")
    refused(troupe(server.url, "submit", "a man", "-c", "the man=none.png"), 1, "cannot be read")
    refused(troupe(server.url, "submit", "a man", "-c", f"the man={ben}", "-s", "steps=9999"), 1, "steps")
    refused(troupe(server.url, "submit", "a man"), 2, "nobody is in the cast")
    refused(troupe(server.url, "submit"), 2, "give either the scene or --file")
    refused(troupe("localhost", "get", "0"), 1, "is no address")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    refused(troupe(server.url, "submit", "--file", str(broken)), 1, "not readable as JSON")


def test_the_queue_is_told_in_words_and_numbers(server: ApiServer, ben: Path) -> None:
    troupe(server.url, "submit", "a man", "-c", f"the man={ben}")
    told = troupe(server.url, "queue")
    assert told.returncode == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["interactive", "batch", "backlog"]
    assert json.loads(troupe(server.url, "queue", "--json").stdout)["lanes"]["interactive"]["depth"] >= 1


def test_keys_are_made_where_the_server_is(server: ApiServer) -> None:
    refused(troupe(server.url, "keys", "list"), 1, "keys are made beside the server")
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "keys", "list"],
        env={**os.environ, **environment_of(server.settings)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "key"), done.stderr


@pytest.mark.parametrize("words", [command.split() for command in _COMMANDS])
def test_every_command_explains_itself(words: list[str]) -> None:
    done = troupe("http://127.0.0.1:1", *words, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: troupe" in done.stdout
