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


FILES = {f"{path.parent.name}/{path.stem}": path.read_text() for path in FOLDER.glob("*/*.lua")}
DEFINED = {
    name: set(re.findall(r"^local (?:function )?(\w+)", text, re.MULTILINE))
    for name, text in FILES.items()
    if name.startswith("lib/")
}


def used_names(text: str) -> set[str]:
    """Names in a script's code: not in its comments and texts, nor fields and methods of values."""
    code = re.sub(r"--[^\n]*|'[^'\n]*'", "", text)
    return set(re.findall(r"(?<![.:\w])[A-Za-z_]\w*", code))


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_script_includes_the_libraries_whose_names_it_uses_and_no_others(name: str) -> None:
    included = re.findall(r"^--- @include (\S+)$", FILES[name], re.MULTILINE)
    used = used_names(FILES[name]) - DEFINED.get(name, set())
    needed = {library for library, defined in DEFINED.items() if library != name and defined & used}
    assert sorted(included) == sorted(needed)
    assert included == sorted(set(included))


def test_every_name_of_a_library_is_used_and_defined_once() -> None:
    names = [name for defined in DEFINED.values() for name in defined]
    assert len(names) == len(set(names))
    assert [name for name in names if len(re.findall(rf"\b{name}\b", "".join(FILES.values()))) < 2] == []


@pytest.mark.parametrize("name", NAMES)
def test_redis_gets_code_alone_that_begins_with_the_name_of_its_script(name: str) -> None:
    first, *lines = scripts.source(name).splitlines()
    assert first == f"-- {name}"
    assert all(line and line == line.strip() and not line.startswith("--") for line in lines)
    assert "@args" in FILES[name]
    assert "ARGV" not in FILES[name]


def test_scripts_are_small_in_redis() -> None:
    assert sum(len(scripts.source(name)) for name in NAMES) < 500_000


def test_arguments_of_a_script_have_names() -> None:
    script = scripts.Script(redis.Redis(), "p", "jobs/renew")
    with pytest.raises(TypeError, match="jobs/renew needs worker"):
        script(id="j", attempt=1, lease_s=1)
    with pytest.raises(TypeError, match="jobs/renew takes no colour"):
        script(id="j", attempt=1, lease_s=1, worker="w", colour="red")


@pytest.mark.parametrize("name", sorted(FILES))
def test_no_script_takes_the_opposite_of_a_value(name: str) -> None:
    # The opposite of 0 is -0, which Redis 7.0 refuses as an integer: 0 - x is 0.
    assert re.findall(r"[(,=]\s*-\s*[A-Za-z_(][^\n]*", re.sub(r"--[^\n]*", "", FILES[name])) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_script_is_used(name: str) -> None:
    python = "".join(path.read_text() for path in FOLDER.parent.rglob("*.py"))
    assert f'"{name}"' in python


def test_every_key_that_a_script_builds_is_described() -> None:
    lua = "".join(path.read_text() for path in FOLDER.rglob("*.lua"))
    built = set(re.findall(r"p \.\. ':([a-z_]+)", lua))
    described = set(re.findall(r"\{p\}:([a-z_]+)", keys.__doc__ or ""))
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
        keys.lock_key("mine", "reap"),
        keys.notify_key("mine", "dispatch"),
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
