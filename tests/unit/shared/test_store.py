"""What the stores are without a server: names, scripts, errors, replies."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import redis
import redis.asyncio
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from shared.errors import RecordsUnavailable
from shared.settings import Settings
from shared.store import keys, scripts
from shared.store.connection import redis_errors
from shared.store.jobs import events
from shared.store.jobs.store import AsyncJobStore

FOLDER = Path(scripts.__file__).parent / "lua"
NAMES = sorted(f"{path.parent.name}/{path.stem}" for path in FOLDER.glob("*/*.lua") if path.parent.name != "lib")


@pytest.mark.parametrize("name", NAMES)
def test_a_script_starts_with_what_it_includes(name: str) -> None:
    source = scripts.source(name)
    included = re.findall(r"^--- @include (\S+)", (FOLDER / f"{name}.lua").read_text(), re.MULTILINE)
    places = [source.index((FOLDER / f"{library}.lua").read_text()[-40:]) for library in included]
    assert places == sorted(places)
    assert "@include" not in source
    assert "-- ARGV: prefix" in source


@pytest.mark.parametrize("name", NAMES)
def test_every_script_is_used(name: str) -> None:
    python = "".join(path.read_text() for path in FOLDER.parent.rglob("*.py"))
    assert f'"{name}"' in python


def test_every_key_that_a_script_builds_is_described() -> None:
    lua = "".join(path.read_text() for path in FOLDER.rglob("*.lua"))
    built = set(re.findall(r"p \.\. ':([a-z]+)", lua))
    described = set(re.findall(r"\{p\}:([a-z]+)", keys.__doc__ or ""))
    assert built <= described


def test_keys_start_with_the_prefix() -> None:
    made = [
        keys.job_key("mine", "j"),
        keys.photo_key("mine", "someone", "x"),
        keys.api_key_key("mine", "k"),
        keys.api_keys_key("mine"),
        keys.tenant_key("mine", "someone"),
        keys.worker_key("mine", "w"),
        keys.workers_key("mine"),
        keys.events_key("mine"),
        keys.reap_key("mine"),
        keys.bell_key("mine"),
    ]
    assert all(key.startswith("mine:") for key in made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    "error", [RedisConnectionError(), RedisTimeoutError(), OutOfMemoryError(), ConnectionResetError()]
)
def test_an_outage_of_redis_is_ours_to_try_again(error: Exception) -> None:
    with pytest.raises(RecordsUnavailable, match="does not answer"), redis_errors():
        raise error


def test_a_bug_of_ours_is_no_outage() -> None:
    error = ResponseError("user_script:3: attempt to index a nil value")
    with pytest.raises(ResponseError), redis_errors():
        raise error


def test_a_client_that_does_not_decode_is_refused() -> None:
    with pytest.raises(ValueError, match="decode"):
        AsyncJobStore(redis.asyncio.Redis(), Settings())


@pytest.mark.parametrize(
    "reply",
    [[("stream", [("1-0", {"j": "a"})])], {"stream": [[("1-0", {"j": "a"})]]}],
    ids=["RESP2", "RESP3"],
)
def test_changes_are_read_in_both_protocols(reply: object) -> None:
    assert events._streams(reply) == [("stream", [("1-0", {"j": "a"})])]


@pytest.mark.parametrize("reply", [None, [], {}])
def test_no_change_is_no_change(reply: object) -> None:
    assert events._streams(reply) == []
