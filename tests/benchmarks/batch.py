"""`python -m tests.benchmarks.batch [--json FILE]`: a batch of 100,000 lines goes in, and waits.

The lines are sent over HTTP as one streamed body, as a person's program would, to the API as a process of its own with
a Redis and an S3 server beside it on the same machine. The floor is this process reading the same lines as jobs and
doing nothing with them. Then a feeder fills the window, and Redis tells what the batch takes of it. Last, what it is
worth to do shared work once (shared_work.py).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx

from shared.job import JobSpec
from shared.settings import Settings
from shared.store.batches.feed import BatchStore
from shared.store.connection import connect
from tests.benchmarks import shared_work
from tests.benchmarks.backlog import draw_spec
from tests.support.api_server import ApiServer, api_server, png_bytes
from tests.support.servers import (
    ACCESS_KEY,
    SECRET_KEY,
    redis_server,
    s3_server,
)
from worker.queue.batch_feeder import BatchFeeder

_LINES = 100_000
_SPECS = 1000
_PHOTOS = 20
_CHUNK_BYTES = 1 << 16
_SAMPLE_S = 0.02
_PATIENCE_S = 60.0
_MB = 1e6
_LEAST = {"intake_lines_per_s": 5000.0}
_MOST = {"redis_mb": 25.0, "finished_line_bytes": 1400.0}


def write_lines(path: Path, count: int, photos: list[str]) -> None:
    """A file of so many lines: prompts and casts as people write them, photos of these."""
    rng = random.Random(0)
    asked = []
    for _ in range(_SPECS):
        spec = json.loads(draw_spec(rng, "batch").model_dump_json(include={"prompt", "negative_prompt", "concepts"}))
        for concept in spec["concepts"]:
            concept["photos"] = [rng.choice(photos) for _ in concept["photos"]]
        spec["concepts"] = [{name: one[name] for name in ("phrase", "photos")} for one in spec["concepts"]]
        asked.append(spec)
    with path.open("w") as lines:
        for number in range(count):
            spec = asked[number % _SPECS]
            line = {"custom_id": f"picture-{number}", **spec, "sampling": {"width_px": 128, "seed": number}}
            lines.write(json.dumps(line) + "\n")


def read_alone(path: Path) -> float:
    """Lines a second of one process that reads them as jobs and keeps none."""
    started_s = time.perf_counter()
    count = 0
    with path.open("rb") as lines:
        for line in lines:
            asked = json.loads(line)
            del asked["custom_id"]
            JobSpec.model_validate(asked)
            count += 1
    return count / (time.perf_counter() - started_s)


class Memory:
    """The most memory that a process had while the block ran, above what it had before."""

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory")
        self._before = self._most = self._now()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def grown_bytes(self) -> int:
        """Growth at its peak."""
        return self._most - self._before

    def _now(self) -> int:
        row = next(row for row in self._status.read_text().splitlines() if row.startswith("VmRSS:"))
        return int(row.split()[1]) * 1024

    def _watch(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            self._most = max(self._most, self._now())


def measure(server: ApiServer, folder: Path, count: int) -> dict[str, float]:
    """All figures."""
    with server.client() as client, connect(server.settings) as redis:
        photos = [
            client.post("/v1/photos", files={"photo": png_bytes(side_px=16 + number)}).json()["id"]
            for number in range(_PHOTOS)
        ]
        path = folder / "lines.jsonl"
        write_lines(path, count, photos)
        alone = read_alone(path)
        before = int(redis.info("memory")["used_memory"])
        with Memory(server.running.pid) as memory:
            started_s = time.perf_counter()
            answer = client.post(
                "/v1/batches",
                content=_chunks(path),
                headers={"Content-Type": "application/jsonl"},
                timeout=httpx.Timeout(600.0),
            )
            seconds = time.perf_counter() - started_s
        if answer.status_code != 202:
            message = f"the batch was not taken: {answer.status_code} {answer.text[:300]}"
            raise RuntimeError(message)
        feeder, stop = BatchFeeder(BatchStore(redis, server.settings), server.settings, "bench"), threading.Event()
        address = f"/v1/batches/{answer.json()['id']}"
        deadline_s = time.monotonic() + _PATIENCE_S
        while client.get(address).json()["counts"]["queued"] < server.settings.batch_window:
            if time.monotonic() > deadline_s:
                message = f"the window was not full within {_PATIENCE_S:.0f} s: {client.get(address).text}"
                raise TimeoutError(message)
            feeder.tick(stop)
        return {
            "batch_lines": float(count),
            "batch_mb": path.stat().st_size / _MB,
            "intake_lines_per_s": count / seconds,
            "intake_alone_per_s": alone,
            "intake_ratio": count / seconds / alone,
            "api_growth_mb": memory.grown_bytes / _MB,
            "redis_mb": (int(redis.info("memory")["used_memory"]) - before) / _MB,
        }


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as lines:
        while chunk := lines.read(_CHUNK_BYTES):
            yield chunk


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to. 1 when a figure misses what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--lines", type=int, default=_LINES)
    parser.add_argument("--jobs", type=int, default=shared_work.JOBS, help="pictures drawn, with and without sharing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with redis_server(folder / "redis") as redis, s3_server(folder / "s3") as s3:
            settings = Settings(
                redis_url=redis.url,
                key_prefix="bench",
                s3_endpoint_url=s3,
                s3_access_key=ACCESS_KEY,
                s3_secret_key=SECRET_KEY,
            )
            with api_server(settings, folder / "api") as server:
                found = measure(server, folder, options.lines)
            # The batch above would be in the way.
            settings = settings.model_copy(update={"key_prefix": "shared"})
            with api_server(settings, folder / "shared-api") as server:
                found |= shared_work.measure(server, folder / "workers", options.jobs)
    for name, figure in found.items():
        least = f"at least {_LEAST[name]:.0f}" if name in _LEAST else ""
        most = f"at most {_MOST[name]:.0f}" if name in _MOST else ""
        print(f"{name:20}{figure:12.2f}  {least}{most}".rstrip())
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    missed = any(found[name] < least for name, least in _LEAST.items())
    return int(missed or any(found[name] > most for name, most in _MOST.items()))


if __name__ == "__main__":
    sys.exit(main())
