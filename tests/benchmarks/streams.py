"""`python -m tests.benchmarks.streams [--json FILE]`: open event streams on one API process.

Twice: every stream watches a job of its own, of which so many make a step each second; and all streams watch one job.
A delay is from before the worker's side writes a step until the client has read its event. Client and worker's side
share a process, API and Redis have their own: on two cores each is in the others' way.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import resource
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from shared.settings import Settings
from shared.stages import Stage
from shared.store.connection import connect, connect_async
from shared.store.jobs.leases import JobStore
from shared.store.jobs.store import AsyncJobStore
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import ClaimRejected
from tests.support.api_server import ApiServer, api_server
from tests.support.queue_records import spec_of
from tests.support.servers import (
    ACCESS_KEY,
    SECRET_KEY,
    redis_server,
    s3_server,
)

_STREAMS = 1000
_STEPS_PER_S = 200.0
_SECONDS = 15.0
_WARM_UP = 50
_PATIENCE_S = 60.0
_MOST = {"stream_delay_p95_ms": 250.0, "shared_stream_delay_p95_ms": 250.0}
_STEP = re.compile(rb'"progress":\{"step":(\d+)')


@dataclass
class Readers:
    """Streams that are open, and the delays of what they heard."""

    url: str
    written: dict[tuple[str, int], float] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    heard: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def open(self, job_ids: Sequence[str]) -> None:
        """Opens a stream for each id; returns when all have told the state."""
        heard = self.heard + len(job_ids)
        self.tasks += [asyncio.create_task(self._read(job_id)) for job_id in job_ids]
        deadline = time.perf_counter() + _PATIENCE_S
        while self.heard < heard:
            if time.perf_counter() > deadline:
                message = f"{self.heard} of {heard} streams have told a state"
                raise RuntimeError(message)
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """Drops all connections."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _read(self, job_id: str) -> None:
        address = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
            while line := await reader.readline():
                found = _STEP.search(line)
                if found:
                    self.heard += 1
                    since_s = self.written.get((job_id, int(found[1])))
                    if since_s is not None:
                        self.delays_s.append(time.perf_counter() - since_s)
        finally:
            writer.close()


def running_jobs(settings: Settings, count: int) -> dict[str, int]:
    """New jobs that a worker holds: their attempts by id."""
    job_ids = [uuid.uuid4().hex for _ in range(count)]

    async def submit() -> None:
        client = connect_async(settings)
        store = AsyncJobStore(client, settings)
        for job_id in job_ids:
            await store.submit(job_id, spec_of("a man and a woman on the beach", steps=20))
        await client.aclose()

    asyncio.run(submit())
    with connect(settings) as redis:
        queue_store, store = QueueStore(redis, settings), JobStore(redis, settings)
        while queue_store.dispatch("bench", count):
            pass
        attempts = {}
        for job_id in job_ids:
            claim = store.claim(job_id, Stage.IDENTIFY, worker="bench", token=job_id)
            assert not isinstance(claim, ClaimRejected), claim
            attempts[job_id] = claim.attempt
    return attempts


def advance(settings: Settings, attempts: dict[str, int], readers: Readers, per_s: float, seconds: float) -> None:
    """Makes so many steps a second, each of a job by chance, and notes when."""
    job_ids, steps = list(attempts), dict.fromkeys(attempts, 0)
    chance = random.Random(7)
    with connect(settings) as redis:
        store = JobStore(redis, settings)
        start = time.perf_counter()
        for number in range(int(per_s * seconds)):
            time.sleep(max(0.0, start + number / per_s - time.perf_counter()))
            job_id = chance.choice(job_ids)
            steps[job_id] += 1
            readers.written[job_id, steps[job_id]] = time.perf_counter()
            store.renew(job_id, attempts[job_id], worker="bench", progress=(steps[job_id], 1000))


async def measure(
    server: ApiServer, attempts: dict[str, int], watched: Sequence[str], per_s: float
) -> dict[str, float]:
    """Opens a stream for each of the watched, makes steps, gives delays and memory."""
    readers = Readers(url=server.url)
    await readers.open(watched[:_WARM_UP])
    before = _resident_bytes(server)
    started = time.perf_counter()
    await readers.open(watched[_WARM_UP:])
    opened_s = time.perf_counter() - started
    used = _resident_bytes(server) - before
    await asyncio.to_thread(advance, server.settings, attempts, readers, per_s, _SECONDS)
    await asyncio.sleep(1.0)
    await readers.close()
    cuts = statistics.quantiles(readers.delays_s, n=100)
    return {
        "delay_p50_ms": cuts[49] * 1000,
        "delay_p95_ms": cuts[94] * 1000,
        "events_per_s": len(readers.delays_s) / _SECONDS,
        "opened_per_s": (len(watched) - _WARM_UP) / opened_s,
        "kb": used / 1024 / (len(watched) - _WARM_UP),
    }


def _resident_bytes(server: ApiServer) -> int:
    pages = int(Path(f"/proc/{server.running.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to. 1 when a delay is above what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--streams", type=int, default=_STREAMS)
    parser.add_argument("--steps-per-s", type=float, default=_STEPS_PER_S)
    options = parser.parse_args()
    figures: dict[str, float] = {"streams": options.streams}
    with tempfile.TemporaryDirectory() as name, redis_server(Path(name)) as redis, s3_server(Path(name) / "s3") as s3:
        settings = Settings(
            redis_url=redis.url, s3_endpoint_url=s3, s3_access_key=ACCESS_KEY, s3_secret_key=SECRET_KEY, lease_s=600
        )
        attempts = running_jobs(settings, options.streams)
        one = next(iter(attempts))
        runs = (
            ("stream", list(attempts), attempts, options.steps_per_s),
            ("shared_stream", None, {one: attempts[one]}, 2),
        )
        for prefix, watched, stepping, per_s in runs:
            with api_server(settings, Path(name) / prefix) as server:
                found = asyncio.run(measure(server, stepping, watched or [one] * options.streams, per_s))
            figures |= {f"{prefix}_{what}": value for what, value in found.items()}
    print(f"{options.streams} streams{'each its own job':>26}{'all the same job':>20}")
    for what in ("delay_p50_ms", "delay_p95_ms", "events_per_s", "opened_per_s", "kb"):
        print(f"{what:16}{figures[f'stream_{what}']:26.1f}{figures[f'shared_stream_{what}']:20.1f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(any(figures[name] > most for name, most in _MOST.items()))


if __name__ == "__main__":
    sys.exit(main())
