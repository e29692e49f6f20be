"""The command `troupe` as a process of its own that has only the client's libraries, against a real API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import typer

from api.cli import keys
from api.cli.app import main, make_app
from api.client import Client
from api.photos.decode import photo_id
from compose.processes import ROOT
from compose.servers import HOST
from shared.job import Concept, JobSpec, Sampling
from shared.settings import Settings
from shared.version import VERSION
from tests.support.api_server import ApiServer, environment_of, png_bytes

_PATIENCE_S = 60.0


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
    options = ("--seed", "7", "--mode", "staged", "--embed-settings")
    done = troupe(server.url, "submit", "a man on the beach", "-c", f"the man={ben}", *options)
    assert done.returncode == 0, done.stderr
    job_id = done.stdout.strip()
    with Client(server.url) as client:
        spec = client.get(job_id).spec
    assert (spec.sampling.seed, spec.sampling.mode, spec.embed_settings) == (7, "staged", True)
    playing = threading.Thread(target=server.run_stages, args=(job_id,))
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
    words = ("submit", "a man", "-c", f"the man={ben}", "--steps", "10", "--dry-run")
    whole = troupe(server.url, *words, "--json")
    assert (whole.returncode, json.loads(whole.stdout)["units"]) == (0, 0.328), whole.stderr
    early = troupe(server.url, *words, "--until", "detect")
    assert early.stdout.startswith("0.164 units in the lane interactive")
    refused(troupe(server.url, *words, "--until", "identify", "--out", "x.png"), 2, "has no picture")
    lines = tmp_path / "lines.jsonl"
    good = {"prompt": "a man", "concepts": [{"phrase": "the man", "photos": [ben.name]}]}
    lines.write_text(f"{json.dumps(good)}\n{json.dumps({**good, 'max_tries': '2'})}\n")
    told = troupe(server.url, "batch", "run", str(lines), "--dry-run")
    cost, *said = told.stdout.splitlines()
    assert (told.returncode, cost[:29]) == (0, "0.655 units in the lane batch"), told.stderr
    assert said == ["2 lines, 1 of them invalid", "photos were neither sent nor checked"]
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
    assert head.split() == ["time", "key", "action", "subject", "detail"]
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
    refused(troupe(server.url, "submit", "a man", "-c", f"the man={ben}", "--steps", "9999"), 1, "steps")
    refused(troupe(server.url, "submit", "a man"), 2, "give at least one person")
    refused(troupe(server.url, "submit"), 2, "give either the scene or --file")
    refused(troupe("localhost", "get", "0"), 1, "is not the address of a Troupe server")
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    refused(troupe(server.url, "submit", "--file", str(broken)), 1, "not readable as JSON")


def test_the_queue_is_told_in_words_and_numbers(server: ApiServer, ben: Path) -> None:
    troupe(server.url, "submit", "a man", "-c", f"the man={ben}")
    told = troupe(server.url, "queue")
    assert told.returncode == 0, told.stderr
    assert [line.split()[0] for line in told.stdout.splitlines()] == ["lane", "interactive", "batch", "backlog"]
    assert json.loads(troupe(server.url, "queue", "--json").stdout)["lanes"]["interactive"]["depth"] >= 1


def test_keys_are_made_where_the_server_is(server: ApiServer) -> None:
    refused(troupe(server.url, "keys", "list"), 2, "No such command 'keys'")
    done = subprocess.run(
        [sys.executable, "-m", "api.cli", "keys", "list"],
        env={**os.environ, **environment_of(server.settings)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[0]) == (0, "key"), done.stderr


def commands(app: typer.Typer) -> dict[str, list[str]]:
    """Every command with its options."""
    found: dict[str, list[str]] = {}

    def collect(command: Any, name: str) -> None:
        found[name] = [option for parameter in command.params for option in parameter.opts]
        for word, below in getattr(command, "commands", {}).items():
            collect(below, f"{name} {word}".strip())

    collect(typer.main.get_command(app), "")
    return found


def operator_app() -> typer.Typer:
    app = make_app()
    keys.add(app, Settings)
    return app


@pytest.mark.parametrize("name", commands(operator_app()))
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(operator_app(), [*name.split(), "--help"])
    out, err = capsys.readouterr()
    assert (ended.value.code, err) == (0, "")
    assert out.startswith(f"Usage: troupe {name}".rstrip())
    assert not re.search("[─│╭╰]", out)


def test_every_command_that_prints_a_value_prints_it_as_json_too() -> None:
    found = commands(operator_app())
    groups = {name.rpartition(" ")[0] for name in found if name}
    assert {name for name, options in found.items() if "--json" not in options} - groups == {"metrics"}


def test_every_field_of_a_job_is_an_option() -> None:
    options = {option.removeprefix("--").replace("-", "_") for option in commands(make_app())["submit"]}
    taken_otherwise = {"prompt", "concepts", "sampling"}
    assert {*JobSpec.model_fields, *Sampling.model_fields} - options == taken_otherwise - options
    assert {f"cast_{name}" for name in Concept.model_fields} - options == {"cast_phrase", "cast_photos"}


def test_options_reach_the_job_and_replace_what_its_file_says(server: ApiServer, ben: Path) -> None:
    words = ["submit", "a man", "-c", f"the man={ben}", "--cast-box-px", "the man=4,8,90,100", "--retention-s", "60"]
    words += ["--expires-after-s", "90", "--lane", "batch", "--min-identity", "0.25", "--steps", "3", "--json"]
    spec = json.loads(troupe(server.url, *words).stdout)["spec"]
    assert (spec["retention_s"], spec["expires_after_s"], spec["lane"], spec["min_identity"]) == (60, 90, "batch", 0.25)
    assert (spec["sampling"]["steps"], spec["concepts"][0]["box_px"]) == (3, [4.0, 8.0, 90.0, 100.0])
    file = ben.parent / "job.json"
    concepts = [{"phrase": "the man", "photos": [ben.name]}]
    file.write_text(json.dumps({"prompt": "a man", "concepts": concepts, "sampling": {"steps": 3, "seed": 1}}))
    spec = json.loads(troupe(server.url, "submit", "-f", str(file), "--steps", "4", "--json").stdout)["spec"]
    assert (spec["sampling"]["steps"], spec["sampling"]["seed"]) == (4, 1)
    refused(troupe(server.url, *words, "--cast-prompt", "the woman=x"), 2, "no --cast has the phrase 'the woman'")
    refused(troupe(server.url, *words, "--cast-box-px", "the man=wide"), 2, "is not JSON")


def test_tables_are_whole_in_a_pipe_however_narrow_the_terminal_is(
    server: ApiServer, ben: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    prompt = "a man on a very long beach, " * 20
    job_id = troupe(server.url, "submit", prompt, "-c", f"the man={ben}").stdout.strip()
    done = troupe(server.url, "list", "--limit", "1")
    head, row = done.stdout.splitlines()
    assert (head.split()[0], row.split()[0]) == ("job", job_id)
    assert row.endswith(prompt.strip())


class Stranger(BaseHTTPRequestHandler):
    """Another server; it notes every request."""

    seen: ClassVar[list[tuple[str, str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers["Authorization"]))
        body = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server calls it

    def log_message(self, *_: object) -> None:
        pass


def test_a_stranger_on_the_usual_port_gets_neither_key_nor_photo(
    ben: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TROUPE_KEY", "troupe_secret")
    Stranger.seen.clear()
    with ThreadingHTTPServer((HOST, 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        url = f"http://{HOST}:{stranger.server_port}"
        with pytest.raises(SystemExit) as ended:
            main(make_app(lambda: url), ["submit", "a man", "-c", f"the man={ben}"])
        stranger.shutdown()
    assert ended.value.code == 1
    assert Stranger.seen == [("GET", "/healthz", None)]
    (line,) = capsys.readouterr().err.splitlines()
    assert f"what answers at {url} is not a Troupe server" in line


def test_the_usual_port_is_used_when_a_troupe_answers_there(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(make_app(lambda: server.url), ["queue"])
    assert (ended.value.code, capsys.readouterr().out.split()[0]) == (0, "lane")


def test_the_version_and_the_completion_of_shells_are_told() -> None:
    assert troupe("http://127.0.0.1:1", "--version").stdout == f"troupe {VERSION}\n"
    assert "complete" in troupe("http://127.0.0.1:1", "--show-completion").stdout
