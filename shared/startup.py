"""The start-up check: it tests the servers that a process needs and describes problems to the operator.

A fatal problem would lose jobs or fail each of them; it ends the process with one line and EXIT_CONFIG. Others are
logged and shown by /readyz. A server that does not respond yet is checked once it does.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import redis
from redis.exceptions import AuthenticationError, ResponseError

from shared.environment import EXIT_CONFIG
from shared.errors import BlobsUnavailable, RecordsUnavailable
from shared.redis_address import RedisAddress
from shared.settings import Settings
from shared.store.connection import connect, redis_errors
from shared.telemetry.log import get_logger

if TYPE_CHECKING:
    # A process without blobs does not load boto3.
    from shared.blob_store import BlobStore

_OLDEST_REDIS = 7
# Signed addresses and webhooks carry times: receivers refuse a webhook that is more than five minutes off (Standard
# Webhooks), and S3 every request that is more than fifteen off. Clocks with NTP differ by milliseconds.
_SKEW_WARNING_S, _SKEW_FATAL_S = 5.0, 300.0
_PATIENCE_S = 5.0
_PAUSE_S = 1.0

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One problem, described to the operator.

    fatal: the process must not run with it. passes: it may go away by itself; the check is repeated until it has.
    """

    words: str
    fatal: bool = False
    passes: bool = False


def check_servers(settings: Settings, blobs: BlobStore | None) -> list[Problem]:
    """Problems of Redis (the broker's, too) and of S3, if given. Raises RecordsUnavailable or BlobsUnavailable."""
    with connect(settings) as client:
        found = _check_redis(client, settings.redis_address)
    broker = settings.broker_address
    if broker is not None and broker != settings.redis_address:
        with connect(settings.model_copy(update={"redis_url": settings.broker_url})) as client:
            found += _check_redis(client, broker)
    if blobs is None:
        return found
    found += check_bucket(blobs, settings)
    if not any(problem.fatal for problem in found):
        # Claimed before anything is written: a bucket with blobs is claimed by an operator only.
        _claim_bucket(settings, blobs)
    return found


def check_bucket(blobs: BlobStore, settings: Settings) -> list[Problem]:
    """Problems of the S3 server and the bucket, which is created if it is missing. Raises BlobsUnavailable."""
    asked_s = time.time()
    name = f"S3 at {_place(settings.s3_endpoint_url)}"
    probe = blobs.probe()
    found = []
    if probe.clock_s is not None:
        # The header has whole seconds: half a second is the mean of what it leaves out.
        found = skew(name, probe.clock_s + 0.5 - (asked_s + time.time()) / 2)
    for lack in probe.lacks:
        words = f"{name} fails at {lack.operation!r} in bucket {settings.s3_bucket} (TROUPE_S3_...): {lack.words}"
        found.append(Problem(words=words, fatal=lack.fatal))
    return found


def _claim_bucket(settings: Settings, blobs: BlobStore) -> None:
    from shared.store.owner import BucketOwner  # noqa: PLC0415 - without blobs, no boto3

    with connect(settings) as client:
        BucketOwner(client, settings, blobs).look()


def judge_redis(name: str, info: Mapping[str, Any]) -> list[Problem]:
    """Problems that the INFO of a Redis server shows."""
    found = _judge_version(name, str(info.get("redis_version", "")))

    def fatal(words: str) -> None:
        found.append(Problem(words=f"{name} {words}", fatal=True))

    def warn(words: str, *, passes: bool = False) -> None:
        found.append(Problem(words=f"{name} {words}", passes=passes))

    if info.get("role") == "slave":
        warn("is a read-only replica: set TROUPE_REDIS_URL to the primary", passes=True)
    if info.get("cluster_enabled"):
        fatal("is a cluster: use a single Redis server, because a script changes many records at once")
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory") and policy != "noeviction":
        fatal(f"would evict jobs when its memory is full (maxmemory-policy {policy}): set it to noeviction")
    elif policy != "noeviction":
        warn(f"has maxmemory-policy {policy}: set it to noeviction, so that a limit on memory never evicts jobs")
    if not info.get("aof_enabled"):
        warn("has no append-only file: a crash loses the jobs since its last snapshot; set appendonly yes")
    elif info.get("aof_last_write_status", "ok") != "ok":
        warn("cannot write its append-only file: check whether its disk is full", passes=True)
    return found


def _judge_version(name: str, version: str) -> list[Problem]:
    needed = f"Redis {_OLDEST_REDIS} or newer is needed, or Valkey"
    if not version:
        return [Problem(words=f"{name} does not report its version: {needed}")]
    major = version.partition(".")[0]
    if not major.isdigit() or int(major) < _OLDEST_REDIS:
        return [Problem(words=f"{name} is version {version}: {needed}", fatal=True)]
    return []


def skew(name: str, ahead_s: float) -> list[Problem]:
    """Problems of the clocks. ahead_s: seconds by which the server's clock is ahead of this host's."""
    if abs(ahead_s) < _SKEW_WARNING_S:
        return []
    way = "ahead of" if ahead_s > 0 else "behind"
    words = f"the clock of {name} is {abs(ahead_s):.0f} s {way} this host's: synchronize both with NTP"
    return [Problem(words=words, fatal=abs(ahead_s) >= _SKEW_FATAL_S)]


def _check_redis(client: redis.Redis, address: RedisAddress) -> list[Problem]:
    name, found = f"Redis at {address.place}", list[Problem]()
    try:
        with redis_errors():
            asked_s = time.time()
            seconds, micros = client.time()
            found = skew(name, seconds + micros / 1e6 - (asked_s + time.time()) / 2)
            return judge_redis(name, client.info()) + found
    except RecordsUnavailable as error:
        if isinstance(error.__cause__, AuthenticationError):
            words = f"{name} refuses the password (TROUPE_REDIS_PASSWORD, or in TROUPE_REDIS_URL): {error.__cause__}"
            return [Problem(words=words, fatal=True)]
        raise
    except ResponseError as error:
        # A managed server or an access list may forbid INFO; then its configuration is not checked.
        return [*found, Problem(words=f"{name} does not show its configuration: {error}")]


def _place(url: str) -> str:
    """Host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.hostname or parts.path}{f':{parts.port}' if parts.port else ''}"


class Startup:
    """The checks of one process. `problems` is empty until every server has answered."""

    def __init__(self, check: Callable[[], Sequence[Problem]]) -> None:
        self._check = check
        self._lock = threading.Lock()
        self._checked = threading.Event()
        self._runs = False
        self.problems: tuple[Problem, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a problem is fatal."""
        return any(problem.fatal for problem in self.problems)

    def begin(self, end: Callable[[], None]) -> None:
        """Runs the check; raises SystemExit if a problem is fatal.

        If a server does not answer, a thread repeats the check. end: stops the running process if the thread then finds
        a fatal problem; the process must exit with EXIT_CONFIG.
        """
        threading.Thread(target=self._repeat, args=(end,), name="startup", daemon=True).start()
        self._checked.wait(_PATIENCE_S)
        with self._lock:
            self._runs = True
            failed = self.failed
        if failed:
            sys.exit(EXIT_CONFIG)

    def _repeat(self, end: Callable[[], None]) -> None:
        while (found := self._attempt()) is None or any(problem.passes for problem in found):
            self.problems = tuple(found or ())
            self._checked.set()
            time.sleep(_PAUSE_S)
        tell(found)
        with self._lock:
            self.problems = tuple(found)
            late = self._runs
        self._checked.set()
        if late and self.failed:
            end()

    def _attempt(self) -> Sequence[Problem] | None:
        try:
            found = self._check()
        except (RecordsUnavailable, BlobsUnavailable) as error:
            log.warning("not_checked_yet", code=error.code, detail=error.message)
            return None
        if any(problem.fatal for problem in found):
            # The process ends: problems that may go away do not matter any more.
            return [problem for problem in found if not problem.passes]
        for problem in found:
            if problem.passes:
                log.warning("server_not_usable_yet", reason=problem.words)
        return found


def tell(problems: Sequence[Problem]) -> None:
    """Logs each problem as one event."""
    for problem in problems:
        if problem.fatal:
            log.error("cannot_start", reason=problem.words)
        else:
            log.warning("start_warning", reason=problem.words)
