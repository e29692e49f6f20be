"""What it is worth to do shared work once: one worker draws 200 pictures over 10 scenes, and over 200.

Both are batches over HTTP, with the mini bundle on the CPU, and are drawn one after the other by the same worker. In
the first, pictures of a scene have prompt, seed and settings in common, and so its template and masks; in the second
every picture has a seed of its own. What differs between pictures of a scene is who is in it, and how strongly.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import redis

from compose.processes import Processes, Program
from shared.broker import WORKER_ARGS
from shared.store.connection import connect
from shared.store.queue.dispatch import QueueStore
from tests.support.api_server import ApiServer, environment_of

JOBS, SCENES, STEPS = 200, 10, 8
_PORTRAITS = Path("worker/mini/portraits")
_MEN, _WOMEN = ("ben", "carl"), ("anna", "dora")
_PLACES = ("on the beach", "in the city", "in the forest", "in the mountains", "in a kitchen")
_FIRST_SEED = 100
_START_S = 120.0
_PATIENCE_S = 1800.0
_WAIT_S = 30.0


def measure(server: ApiServer, folder: Path, jobs: int = JOBS, scenes: int = SCENES) -> dict[str, float]:
    """Pictures a second with shared scenes and without, their ratio, and what a finished line takes of Redis."""
    with Processes(folder) as processes, server.client() as client, connect(server.settings) as records:
        command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", *WORKER_ARGS]
        environment = {**environment_of(server.settings), "TROUPE_ROLE": "all", "TROUPE_TORCH_THREADS": "1"}
        processes.start(Program(name="worker", command=command, environment=environment))
        queue_store = QueueStore(records, server.settings)
        processes.wait_until("worker", lambda: queue_store.ready_slots() == 1, timeout_s=_START_S)
        photos = {
            name: client.post("/v1/photos", files={"photo": (_PORTRAITS / f"{name}.png").read_bytes()}).json()["id"]
            for name in (*_MEN, *_WOMEN)
        }
        shared = _rate(client, _lines(photos, jobs, scenes, first_seed=_FIRST_SEED))
        line_bytes = left_bytes(records, server.settings.key_prefix) / jobs
        alone = _rate(client, _lines(photos, jobs, jobs, first_seed=_FIRST_SEED + scenes))
    return {
        "shared_work_jobs": float(jobs),
        "shared_work_scenes": float(scenes),
        "shared_work_per_s": shared,
        "unshared_work_per_s": alone,
        "shared_work_ratio": shared / alone,
        "finished_line_bytes": line_bytes,
    }


def left_bytes(redis: redis.Redis, prefix: str) -> int:
    """What Redis keeps of jobs that are over: their records, when they go, and who has which result."""
    kinds = (f"{prefix}:job:*", f"{prefix}:references:*", f"{prefix}:faces:*", f"{prefix}:kept")
    return sum(int(redis.memory_usage(key) or 0) for kind in kinds for key in redis.scan_iter(kind, count=1000))


def _lines(photos: dict[str, str], jobs: int, scenes: int, *, first_seed: int) -> Iterator[bytes]:
    casts = itertools.cycle(itertools.product(_MEN, _WOMEN))
    for number in range(jobs):
        scene, (man, woman) = number % scenes, next(casts)
        line = {
            "custom_id": f"{number}",
            "prompt": f"a man and a woman {_PLACES[scene % len(_PLACES)]}",
            "concepts": [
                {"phrase": "the man", "photos": [photos[man]]},
                {"phrase": "the woman", "photos": [photos[woman]]},
            ],
            # No two pictures are equal.
            "sampling": {"seed": first_seed + scene, "steps": STEPS, "identity_scale": 0.6 + 0.001 * number},
        }
        yield json.dumps(line).encode() + b"\n"


def _rate(client: httpx.Client, lines: Iterator[bytes]) -> float:
    """Pictures that a batch gave, over the seconds it took."""
    started_s = time.perf_counter()
    answer = client.post("/v1/batches", content=lines, headers={"Content-Type": "application/jsonl"})
    if answer.status_code != 202:
        message = f"the batch was not taken: {answer.status_code} {answer.text[:300]}"
        raise RuntimeError(message)
    address, batch = f"/v1/batches/{answer.json()['id']}", answer.json()
    while not batch["done"]:
        if time.perf_counter() - started_s > _PATIENCE_S:
            message = f"the batch was not over within {_PATIENCE_S:.0f} s: {batch['counts']}"
            raise TimeoutError(message)
        batch = client.get(address, params={"wait": _WAIT_S}, timeout=2 * _WAIT_S).json()
    succeeded: int = batch["counts"]["succeeded"]
    if not succeeded:
        message = f"the batch gave no picture: {batch['counts']}"
        raise RuntimeError(message)
    return succeeded / (time.perf_counter() - started_s)
