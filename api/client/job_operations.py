"""What a client can do with jobs."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from api.client.calls import Call, Steps
from api.client.paths import JOBS, job_path
from api.client.photo_operations import PhotoOperations
from api.client.values import Estimate, Job, JobPage, JobState
from api.client.watching import Watching
from shared.errors import UnknownPhoto
from shared.job import JobSpec, Status

Image = Literal["picture", "template", "masks"]

_POLL_S = 30
_GRACE_S = 15.0
_SEND_S = 120.0


class JobOperations(PhotoOperations):
    """Submit, follow, list, cancel, retry and erase jobs."""

    def submit(
        self,
        job: JobSpec | Mapping[str, object],
        *,
        idempotency_key: str | None = None,
        folder: Path | None = None,
        consent: str | None = None,
    ) -> Steps[Job]:
        """Queues a job and returns it. Photos that the server does not have are sent.

        Args:
            job: a JobSpec, or a mapping as `scene` makes it, whose photos may be ids, paths, bytes or open files.
            idempotency_key: the same key within 24 hours returns the same job.
            folder: where relative paths of photos start; the current folder by default.
            consent: the basis on which the photos are used, stored with those that are sent.
        """
        document = self.photos.with_ids(job, folder)
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        call = Call(method="POST", path=JOBS, json=document, headers=headers)
        try:
            return (yield from self.value(Job, call))
        except UnknownPhoto:
            unsent = self.photos.unsent(document)
            if not unsent:
                raise
            yield from self.send_photos(unsent, consent)
            return (yield from self.value(Job, call))

    def dry_run(
        self, job: JobSpec | Mapping[str, object], *, folder: Path | None = None, consent: str | None = None
    ) -> Steps[Estimate]:
        """What a job would cost. It is checked like a real one, and nothing is stored or queued."""
        document, params = self.photos.with_ids(job, folder), {"dry_run": "true"}
        try:
            return (yield from self.value(Estimate, Call(method="POST", path=JOBS, json=document, params=params)))
        except UnknownPhoto:
            # Photos that the server does not have go along to be checked.
            files = {name: self.photos.read(name) for name in self.photos.unsent(document)}
            if not files:
                raise
            fields = {"job": json.dumps(document), **({"consent": consent} if consent else {})}
            call = Call(method="POST", path=JOBS, fields=fields, files=files, params=params, timeout_s=_SEND_S)
            return (yield from self.value(Estimate, call))

    def jobs(
        self, *, status: Status | str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> Steps[JobPage]:
        """One page of the tenant's jobs, the newest first, without the jobs of batches.

        status: only jobs in this state. cursor: `next` of the previous page.
        """
        return (yield from self.get_value(JobPage, JOBS, status=status, cursor=cursor, limit=limit))

    def get(self, job_id: str) -> Steps[Job]:
        """The job as it is now."""
        return (yield from self.get_value(Job, job_path(job_id)))

    def wait(self, job_id: str, *, timeout_s: float | None = None) -> Steps[Job]:
        """The job once it is done, however it ended: `check` raises its error. Raises TimeoutError."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        tag, job = "", None
        while job is None or not job.done:
            left_s = _POLL_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0 and job is not None:
                message = f"job {job_id} is {job.status.value} and not done after {timeout_s:g} s"
                raise TimeoutError(message)
            wait_s = max(0.0, min(_POLL_S, left_s)) if job is not None else 0.0
            answer = yield from self.effort.send(
                Call(
                    method="GET",
                    path=job_path(job_id),
                    params={"wait": f"{wait_s:.3f}"} if wait_s else {},
                    headers={"If-None-Match": tag} if tag else {},
                    timeout_s=wait_s + _GRACE_S,
                )
            )
            if answer.status_code != 304:
                job = Job.model_validate_json(answer.content)
                tag = answer.headers.get("etag", "")
        return job

    def events(self, job_id: str, *, previews: bool = False) -> Watching[JobState]:
        """The states of a job from now until it is done, over as many connections as that takes.

        previews: with addresses of small pictures (`previews`), which the server then draws while the job runs.
        """
        params = {"previews": "true"} if previews else {}
        return Watching(f"{job_path(job_id)}/events", JobState, params, self.effort)

    def cancel(self, job_id: str) -> Steps[Job]:
        """Cancels a job; a running job stops at its next step."""
        return (yield from self.value(Job, Call(method="POST", path=f"{job_path(job_id)}/cancel")))

    def retry(self, job_id: str) -> Steps[Job]:
        """A new job with the same spec as a job that failed, was canceled or expired."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return (yield from self.value(Job, Call(method="POST", path=f"{job_path(job_id)}/retry", headers=headers)))

    def delete(self, job_id: str) -> Steps[bool]:
        """Erases a job and everything that only this job uses. False: it runs, and is erased when it stops."""
        return (yield from self.erase(job_path(job_id), _SEND_S))

    def picture(self, job_id: str, image: Image = "picture", *, preview: bool = False) -> Steps[bytes]:
        """The picture of a job, its template or its masks, as PNG. preview: a small JPEG of it."""
        path = f"{job_path(job_id)}/previews/{image}" if preview else f"{job_path(job_id)}/{image}"
        answer = yield from self.effort.send(Call(method="GET", path=path, follow=True, timeout_s=_SEND_S))
        return answer.content
