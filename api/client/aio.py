"""The client for an event loop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from api.client.batch_operations import BatchOperations, batch_path
from api.client.batch_values import Batch, BatchEstimate, BatchPicture
from api.client.calls import Call, Effort, Pause, Steps
from api.client.connection import TRIES, URL, options, request_options
from api.client.operations import TENANT, Operations, job_path, photo_path
from api.client.photos import Photo
from api.client.values import AuditPage, Estimate, Job, JobState, Queue, Worker
from api.client.watching import State, Watching
from shared.batch import Log, Outcome
from shared.job import JobSpec

T = TypeVar("T")


class AsyncClient:
    """A Troupe at a URL. key: of the tenant. tries: requests before a failure that may pass is raised.

    Every method raises the errors of the tree (`shared.errors`). Safe to share between tasks of one loop.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        key: str | None = None,
        tries: int = TRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = httpx.AsyncClient(transport=transport, **options(url, key))
        self._foreign = httpx.AsyncClient(transport=transport)
        self._effort = Effort(where=url, tries=tries)
        self._do = Operations(effort=self._effort)
        self._batches = BatchOperations(effort=self._effort)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of the connections."""
        await self._http.aclose()
        await self._foreign.aclose()

    async def upload(self, photo: Photo, *, consent: str | None = None) -> str:
        """Sends one photo, once; gives its id, the sha256 of its bytes.

        consent: the basis on which it is used, kept with it; a photo is sent again for its sake.
        """
        return await self.run(self._do.upload(photo, consent))

    async def submit(
        self,
        job: JobSpec | Mapping[str, Any],
        *,
        idempotency_key: str | None = None,
        folder: Path | None = None,
        consent: str | None = None,
    ) -> Job:
        """Queues a job, such as `scene` makes; its photos may be ids, paths (from `folder`), bytes or open files.

        The same idempotency_key within 24 hours gives the same job again. consent: said of those photos that are sent.
        """
        return await self.run(self._do.submit(job, idempotency_key, folder, consent))

    async def dry_run(
        self, job: JobSpec | Mapping[str, Any], *, folder: Path | None = None, consent: str | None = None
    ) -> Estimate:
        """What a job would cost: checked as in earnest, and nothing is kept or queued."""
        return await self.run(self._do.weigh(job, folder, consent))

    async def get(self, job_id: str) -> Job:
        """The job as it is."""
        return await self.run(self._do.get(job_id))

    async def wait(self, job_id: str, *, timeout_s: float | None = None) -> Job:
        """The job once it is done, however it ended: `check` it. Raises TimeoutError."""
        return await self.run(self._do.wait(job_id, timeout_s))

    async def events(self, job_id: str, *, previews: bool = False) -> AsyncIterator[JobState]:
        """The job's states from now until it is done; broken lines are mended. previews: with small pictures."""
        params = {"previews": "true"} if previews else {}
        async for state in self.watch(Watching(f"{job_path(job_id)}/events", JobState, params, self._effort)):
            yield state

    async def cancel(self, job_id: str) -> Job:
        """Takes a job back; a running one stops at its next step."""
        return await self.run(self._do.cancel(job_id))

    async def retry(self, job_id: str) -> Job:
        """Does a job over that failed, was canceled or expired; gives the new one."""
        return await self.run(self._do.retry(job_id))

    async def delete(self, job_id: str) -> bool:
        """Erases a job and what only it has. False: it runs, and goes when it stops."""
        return await self.run(self._do.erase(job_path(job_id)))

    async def delete_photo(self, photo_id: str) -> bool:
        """Erases a photo and the embeddings of its faces. False: it was in many casts, and the rest goes by itself."""
        return await self.run(self._do.erase(photo_path(photo_id)))

    async def delete_batch(self, batch_id: str) -> bool:
        """Erases a batch, its jobs and files. False: they go in the seconds after, once nothing of it runs."""
        return await self.run(self._do.erase(batch_path(batch_id)))

    async def delete_tenant(self, name: str) -> bool:
        """Erases all that the tenant of this client's key has. False: some jobs ran, and go when they stop."""
        return await self.run(self._do.erase(TENANT, confirm=name))

    async def picture(self, job_id: str, name: str = "picture") -> bytes:
        """The PNG `picture`, `template` or `masks` of a job."""
        return await self.run(self._do.picture(job_id, name))

    async def make_batch(self, lines: bytes, *, idempotency_key: str | None = None, **options: str) -> Batch:
        """Queues many jobs: a line of JSON each, as `submit` takes it with photo ids, and with a `custom_id`.

        options: `name`, `strict`, `expires_after_s`.
        """
        return await self.run(self._batches.make(lines, idempotency_key or uuid.uuid4().hex, options))

    async def dry_run_batch(self, lines: bytes, **options: str) -> BatchEstimate:
        """What a batch would cost, and which lines are wrong; nothing is kept or queued.

        options: as of `make_batch`, and `unsent_photos="true"`: photos that are still to be uploaded are no error.
        """
        return await self.run(self._batches.weigh(lines, options))

    async def batch(self, batch_id: str) -> Batch:
        """The batch as it is."""
        return await self.run(self._batches.get(batch_id))

    async def batch_change(self, known: Batch, *, wait_s: float = 30.0) -> Batch:
        """The batch as soon as it is not the known one any more; the known one when the time is over."""
        return await self.run(self._batches.change(known, wait_s))

    async def wait_batch(self, batch_id: str, *, timeout_s: float | None = None) -> Batch:
        """The batch once it is done. Raises TimeoutError."""
        return await self.run(self._batches.wait(batch_id, timeout_s))

    async def cancel_batch(self, batch_id: str) -> Batch:
        """Takes a batch back; pictures that are there stay."""
        return await self.run(self._batches.ask(batch_id, "cancel"))

    async def retry_batch(self, batch_id: str) -> Batch:
        """Runs the lines again that ended without a picture."""
        return await self.run(self._batches.ask(batch_id, "retry_failed"))

    async def batch_pictures(self, batch_id: str) -> list[BatchPicture]:
        """The lines with a picture so far."""
        return await self.run(self._batches.pictures(batch_id))

    async def batch_outcomes(self, batch_id: str, name: Log = "output") -> list[Outcome]:
        """What the lines left that are over: with a picture (`output`), or without (`errors`)."""
        return await self.run(self._batches.outcomes(batch_id, name))

    async def batch_file(self, batch_id: str, name: str) -> bytes:
        """The `output` or `errors` of a batch, as JSON lines."""
        return await self.run(self._batches.file(batch_id, name))

    async def download(self, address: str) -> bytes:
        """The bytes at a signed address, as `batch_pictures` names them."""
        return await self.run(self._batches.download(address))

    async def queue(self) -> Queue:
        """How busy the service is."""
        return await self.run(self._do.queue())

    async def workers(self) -> list[Worker]:
        """All workers that give signs of life, and what they do."""
        return await self.run(self._do.workers())

    async def audit(self, *, cursor: str | None = None, limit: int = 20, action: str | None = None) -> AuditPage:
        """Who uploaded, submitted, read and erased what, the newest first. cursor: `next` of the page before."""
        return await self.run(self._do.audit(cursor, limit, action))

    async def run(self, steps: Steps[T]) -> T:
        """Makes the calls and pauses of an operation."""
        got: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                step = steps.send(got)
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    got = None
                else:
                    got = await self._answer(step)
        except StopIteration as end:
            result: T = end.value
            return result

    async def watch(self, watching: Watching[State]) -> AsyncIterator[State]:
        """The states of a stream, over as many connections as it takes."""
        while not watching.over:
            got: httpx.Response | httpx.TransportError | None = None
            try:
                call = watching.call()
                async with self._http.stream(call.method, call.path, **request_options(call)) as answer:
                    if answer.status_code == httpx.codes.OK:
                        async for line in answer.aiter_lines():
                            state = watching.feed(line)
                            if state is not None:
                                yield state
                    else:
                        await answer.aread()
                        got = answer
            except httpx.TransportError as error:
                got = error
            if not watching.over:
                await asyncio.sleep(watching.ended(got))

    async def _answer(self, call: Call) -> httpx.Response | httpx.TransportError:
        try:
            http = self._foreign if call.foreign else self._http
            return await http.request(call.method, call.path, **request_options(call))
        except httpx.TransportError as error:
            return error
