"""What processes say, and do, when the servers they start on are not as they should be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from compose.processes import ROOT
from shared.blob_store import BlobStore
from shared.environment import EXIT_CONFIG
from shared.settings import Settings
from shared.startup import check_bucket, check_servers
from tests.support.api_server import api_server, environment_of
from tests.support.servers import RedisServer, redis_server

API = [sys.executable, "-m", "api"]
WORKER = [sys.executable, "-m", "celery", "-A", "worker.app", "worker"]
WEBHOOKS = [sys.executable, "-m", "celery", "-A", "worker.webhooks.app", "worker"]
START_S = 60.0
# Celery's line about root, and what the S3 server of the tests (nanio) cannot.
EXPECTED = ("You're running the worker with superuser", "fails at 'conditional write'")


@pytest.fixture
def evicting(tmp_path: Path) -> Iterator[str]:
    """A Redis that somebody has set up as a cache."""
    with redis_server(tmp_path / "cache") as server, redis.Redis.from_url(server.url) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield server.url


def started(command: list[str], settings: Settings, **more: str) -> tuple[int, list[str]]:
    """Exit status of a process that should end by itself, and its lines but for those of every start here."""
    environment = {**os.environ, **environment_of(settings), **more}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=START_S
    )
    lines = done.stderr.splitlines()
    own = [line for line in lines if line.startswith(("{", "troupe: "))]
    return done.returncode, [line for line in own if not any(words in line for words in EXPECTED)]


@pytest.mark.parametrize("command", [API, WORKER, WEBHOOKS], ids=["api", "worker", "webhooks"])
def test_a_redis_that_evicts_stops_every_process_with_one_line(
    command: list[str], settings: Settings, evicting: str
) -> None:
    status, lines = started(command, settings.model_copy(update={"redis_url": evicting}), TROUPE_API_PORT="0")
    assert status == EXIT_CONFIG
    (line,) = [json.loads(line) for line in lines]
    assert line["event"] == "cannot_start"
    assert "would evict jobs" in line["reason"]


@pytest.mark.parametrize("command", [API, WORKER], ids=["api", "worker"])
def test_a_misspelled_setting_stops_the_process_with_one_line(command: list[str], settings: Settings) -> None:
    assert started(command, settings, TROUPE_S3_BUKET="troupe") == (
        EXIT_CONFIG,
        ["troupe: TROUPE_S3_BUKET is not a setting: did you mean TROUPE_S3_BUCKET?"],
    )


def test_a_worker_without_its_checkpoints_stops_with_their_names(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "faces" / "models" / "pack").mkdir(parents=True)
    more = {"TROUPE_BUNDLE": "sdxl", "TROUPE_BUNDLE_FOLDER": str(tmp_path), "TROUPE_ROLE": "generation"}
    status, lines = started(WORKER, settings, **more)
    assert status == EXIT_CONFIG
    reasons = [line["reason"] for line in map(json.loads, lines) if line["event"] == "cannot_start"]
    assert reasons == [f"checkpoint {tmp_path / name} is missing" for name in ("sdxl", "identitynet", "ip-adapter.bin")]


def test_wrong_s3_keys_are_told_in_the_words_of_the_server(settings: Settings) -> None:
    stranger = settings.model_copy(update={"s3_access_key": "stranger"})
    (found,) = check_bucket(BlobStore(stranger), stranger)
    assert found.fatal
    assert "fails at 'open' in bucket" in found.words
    assert "S3 at 127.0.0.1:" in found.words


def test_a_password_that_redis_refuses_is_told_and_not_waited_for(settings: Settings, tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.config_set("requirepass", "opensesame")
        wrong = settings.model_copy(update={"redis_url": server.url})
        (found,) = check_servers(wrong, None)
        assert found.fatal
        assert "refuses the password" in found.words
        right = Settings.model_validate({**wrong.model_dump(exclude_unset=True), "redis_password": "opensesame"})
        assert check_servers(right, None) == []


def test_the_servers_of_the_embedded_stack_are_as_they_should_be(settings: Settings) -> None:
    blobs = BlobStore(settings)
    # nanio passes over the condition of a conditional write.
    (warning,) = check_servers(settings, blobs)
    assert not warning.fatal
    assert "fails at 'conditional write'" in warning.words
    assert list(blobs.listed("")) == []


def test_readyz_shows_what_does_not_stop_the_api(settings: Settings, tmp_path: Path) -> None:
    with redis_server(tmp_path / "own") as server, redis.Redis.from_url(server.url) as client:
        client.config_set("appendonly", "no")
        own = settings.model_copy(update={"redis_url": server.url})
        with api_server(own, tmp_path) as api, api.client() as asking:
            warnings = asking.get("/readyz").json()["warnings"]
            assert [any(words in warning for words in EXPECTED) for warning in warnings] == [False, True]
            assert "has no append-only file" in warnings[0]


def test_an_api_that_started_while_redis_was_away_ends_when_the_redis_that_comes_evicts(
    settings: Settings, tmp_path: Path
) -> None:
    with redis_server(tmp_path / "own") as server:
        _set_up_as_cache(server)
        server.kill()
        own = settings.model_copy(update={"redis_url": server.url})
        with api_server(own, tmp_path) as api:
            server.start()
            assert api.running.process.wait(START_S) == EXIT_CONFIG
            assert "would evict jobs" in api.running.log.read_text()


def _set_up_as_cache(server: RedisServer) -> None:
    """By its command line, so that it stays so over its next start."""
    words = [*server.program.command, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]
    server.program = replace(server.program, command=words)
