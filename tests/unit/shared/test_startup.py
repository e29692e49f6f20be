from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from shared.environment import EXIT_CONFIG
from shared.errors import RecordsUnavailable
from shared.startup import Problem, Startup, judge_redis, skew

GOOD = {"redis_version": "7.2.4", "aof_enabled": 1, "maxmemory": 0, "maxmemory_policy": "noeviction", "role": "master"}


def test_the_redis_that_the_stack_starts_is_all_right() -> None:
    assert judge_redis("Redis", GOOD) == []
    assert judge_redis("Redis", {**GOOD, "redis_version": "9.1.2", "maxmemory": 10**9}) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"redis_version": "6.2.14"}, "is version 6.2.14: Redis 7 or newer"),
        ({"redis_version": "unstable"}, "is version unstable"),
        ({"maxmemory": 10**9, "maxmemory_policy": "allkeys-lru"}, "would evict jobs .*maxmemory-policy allkeys-lru"),
        ({"cluster_enabled": 1}, "is a cluster"),
    ],
)
def test_a_redis_that_would_lose_or_fail_jobs_stops_the_process(changed: Mapping[str, Any], words: str) -> None:
    (found,) = judge_redis("Redis at redis:6379", {**GOOD, **changed})
    assert found.fatal
    assert re.search(words, found.words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"role": "slave"}, "is a read-only replica"),
        ({"aof_last_write_status": "err"}, "cannot write its append-only file"),
    ],
)
def test_a_redis_that_takes_no_writes_now_is_waited_for(changed: Mapping[str, Any], words: str) -> None:
    looked = threading.Semaphore(0)
    infos = [{**GOOD, **changed}, {**GOOD, **changed}, GOOD]

    def look() -> list[Problem]:
        looked.release()
        return judge_redis("Redis at redis:6379", infos.pop(0))

    ended = threading.Event()
    startup = Startup(look)
    startup.begin(ended.set)
    assert not startup.failed
    assert re.search(words, startup.problems[0].words)
    for _ in range(3):
        assert looked.acquire(timeout=10)
    until_none_is_left(startup)
    assert not ended.is_set()


def until_none_is_left(startup: Startup) -> None:
    deadline_s, pause = time.monotonic() + 10, threading.Event()
    while startup.problems:
        assert time.monotonic() < deadline_s, startup.problems
        pause.wait(0.01)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"redis_version": ""}, "does not report its version"),
        ({"aof_enabled": 0}, "has no append-only file"),
        ({"maxmemory_policy": "volatile-ttl"}, "set it to noeviction, so that"),
    ],
)
def test_a_redis_that_may_lose_jobs_one_day_is_a_warning(changed: Mapping[str, Any], words: str) -> None:
    (found,) = judge_redis("Redis at redis:6379", {**GOOD, **changed})
    assert not found.fatal
    assert re.search(words, found.words)


@pytest.mark.parametrize(
    ("ahead_s", "fatal"), [(0.4, None), (-4.9, None), (6, False), (-299, False), (300, True), (-901, True)]
)
def test_clocks_that_differ_are_told_and_refused_before_signatures_fail(ahead_s: float, fatal: bool | None) -> None:
    assert [problem.fatal for problem in skew("S3", ahead_s)] == ([] if fatal is None else [fatal])


def test_the_words_say_which_clock_is_ahead() -> None:
    assert "the clock of S3 is 20 s ahead of this host's" in skew("S3", 20.2)[0].words
    assert "the clock of S3 is 20 s behind this host's" in skew("S3", -20.2)[0].words


def test_a_fatal_flaw_ends_the_process_at_its_start() -> None:
    startup = Startup(lambda: [Problem(words="no", fatal=True)])
    with pytest.raises(SystemExit) as ended:
        startup.begin(lambda: None)
    assert ended.value.code == EXIT_CONFIG


def test_a_warning_is_kept_and_stops_nothing() -> None:
    startup = Startup(lambda: [Problem(words="hm")])
    startup.begin(lambda: None)
    assert not startup.failed
    assert [problem.words for problem in startup.problems] == ["hm"]


def test_a_server_that_is_away_is_looked_at_when_it_is_back_and_ends_the_process_then() -> None:
    back, ended = threading.Event(), threading.Event()

    def look() -> Sequence[Problem]:
        if not back.is_set():
            raise RecordsUnavailable("away")
        return [Problem(words="no", fatal=True)]

    startup = Startup(look)
    startup.begin(ended.set)
    assert not startup.failed
    back.set()
    assert ended.wait(10)
    assert startup.failed
