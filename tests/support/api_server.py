"""The API as a process of its own, and a worker's side of its stores to play a job forward."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import executable

import httpx
from PIL import Image
from pydantic import SecretStr

from compose.processes import Processes, Program, Running
from compose.servers import HOST, free_port
from shared.blob_store import BlobStore, stage_key
from shared.settings import Settings
from shared.stages import STAGES, Stage
from shared.store.connection import connect
from shared.store.jobs.finished import FinishedStage
from shared.store.jobs.leases import JobStore
from shared.store.queue.dispatch import QueueStore
from shared.store.queue.values import WorkerStatus
from shared.verification import ConceptRegion, PhotoFaces
from tests.support.contract import check_answer

_START_S = 30.0
FACE = PhotoFaces(found=1, box_px=(2.0, 3.0, 12.5, 14.0))
REGION = ConceptRegion(box_px=(4.0, 0.5, 60.0, 127.0), score=0.75)


@dataclass(frozen=True, kw_only=True)
class ApiServer:
    """A running API. `url` is its address, `settings` what it and its workers agree on."""

    settings: Settings
    url: str
    processes: Processes
    running: Running

    def client(self) -> httpx.Client:
        """A client as a person would have one; it follows no redirects by itself, and knows the document."""
        return httpx.Client(base_url=self.url, timeout=30.0, event_hooks={"response": [check_answer]})

    def run_stages(self, job_id: str, *, until: Stage = STAGES[-1], first: Stage = Stage.IDENTIFY) -> None:
        """Does what workers do, without their models: the job goes through the stages first..until."""
        blobs = BlobStore(self.settings)
        with connect(self.settings) as redis:
            store, queue_store = JobStore(redis, self.settings), QueueStore(redis, self.settings)
            for stage in STAGES[STAGES.index(first) : STAGES.index(until) + 1]:
                if stage is Stage.IDENTIFY:
                    queue_store.dispatch("test", 100)
                claim = store.claim(job_id, stage, worker="test", token=uuid.uuid4().hex)
                assert not isinstance(claim, str), f"{stage} may not run: {claim}"
                digest, people = uuid.uuid4().hex, claim.job.spec.concepts
                for file in ("template.png", "masks.png"):
                    blobs.put(stage_key(claim.job.tenant, stage, digest, file), png_bytes(), "image/png")
                picture = f"jobs/{job_id}/{claim.attempt}/picture.png" if stage is STAGES[-1] else None
                if picture:
                    blobs.put(picture, png_bytes(), "image/png")
                store.finish(
                    job_id,
                    claim.attempt,
                    FinishedStage(
                        stage=stage,
                        digest=digest,
                        seconds=0.5,
                        picture=picture,
                        faces=[[FACE] * len(one.photos) for one in people] if stage is Stage.IDENTIFY else (),
                        regions=[REGION] * len(people) if stage is Stage.DETECT else (),
                    ),
                )

    def announce_workers(self, *, ready: bool = True, reason: str = "") -> None:
        """Signs of life of one worker per role."""
        with connect(self.settings) as redis:
            queue_store = QueueStore(redis, self.settings)
            for role in ("detection", "generation"):
                queue_store.heartbeat(
                    WorkerStatus(name=f"{role}@test", role=role, slots=1, bundle=self.settings.bundle, ready=False)
                )
                queue_store.report_readiness(f"{role}@test", ready=ready, reason=reason)


@contextmanager
def api_server(settings: Settings, logs: Path) -> Iterator[ApiServer]:
    """Starts `python -m api` with these settings on a free port and waits until it answers."""
    port = free_port()
    program = Program(
        name="api",
        command=[executable, "-m", "api"],
        environment={**environment_of(settings), "TROUPE_API_PORT": str(port)},
    )
    url = f"http://{HOST}:{port}"
    with Processes(logs) as processes:
        running = processes.start(program)
        processes.wait_until("api", lambda: _alive(url), timeout_s=_START_S)
        yield ApiServer(settings=settings, url=url, processes=processes, running=running)


def environment_of(settings: Settings) -> dict[str, str]:
    """The settings that differ from the defaults, as the environment of a process."""
    values = {"s3_secret_key": settings.s3_secret_key, **settings.model_dump(exclude_unset=True)}
    plain = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()
    }
    return {f"TROUPE_{name.upper()}": str(value) for name, value in plain.items()}


def png_bytes(side_px: int = 16, colour: str = "teal") -> bytes:
    """A small picture."""
    out = io.BytesIO()
    Image.new("RGB", (side_px, side_px), colour).save(out, "PNG")
    return out.getvalue()


def _alive(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=1.0, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
