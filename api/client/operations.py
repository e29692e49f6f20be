"""What both clients can do, as steps."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from api.client.calls import Call, Effort, Steps
from api.client.photos import Photo, Photos
from api.client.values import AuditPage, Estimate, Job, Queue, Worker, Workers
from shared.errors import UnknownPhoto
from shared.job import JobSpec

_JOBS, _PHOTOS, TENANT = "/v1/jobs", "/v1/photos", "/v1/tenant"
_POLL_S = 30
_GRACE_S = 15.0
_UPLOAD_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Operations:
    """The steps of every operation. photos: what was sent already."""

    effort: Effort
    photos: Photos = field(default_factory=Photos)

    def upload(self, photo: Photo, consent: str | None = None) -> Steps[str]:
        """Sends one photo, unless this client has sent it before and nothing is said of consent; gives its id."""
        name = self.photos.id_of(photo, Path())
        again = consent and self.photos.has(name)
        unsent = self.photos.unsent({"concepts": [{"photos": [name]}]})
        yield from self._send_photos([name] if again else unsent, consent)
        return name

    def submit(
        self,
        job: JobSpec | Mapping[str, Any],
        key: str | None,
        folder: Path | None = None,
        consent: str | None = None,
    ) -> Steps[Job]:
        """Queues a job; sends those of its photos that the server does not have, with what is said of consent."""
        document = self.photos.settle(job, folder)
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        call = Call(method="POST", path=_JOBS, json=document, headers=headers)
        try:
            answer = yield from self.effort.send(call)
        except UnknownPhoto:
            unsent = self.photos.unsent(document)
            if not unsent:
                raise
            yield from self._send_photos(unsent, consent)
            answer = yield from self.effort.send(call)
        return Job.model_validate_json(answer.content)

    def weigh(
        self, job: JobSpec | Mapping[str, Any], folder: Path | None = None, consent: str | None = None
    ) -> Steps[Estimate]:
        """What a job would cost. Photos that the server does not have go along to be checked, and are not kept."""
        document, params = self.photos.settle(job, folder), {"dry_run": "true"}
        try:
            answer = yield from self.effort.send(Call(method="POST", path=_JOBS, json=document, params=params))
        except UnknownPhoto:
            files = {name: self.photos.read(name) for name in self.photos.unsent(document)}
            if not files:
                raise
            fields = {"job": json.dumps(document), **({"consent": consent} if consent else {})}
            answer = yield from self.effort.send(
                Call(method="POST", path=_JOBS, fields=fields, files=files, params=params, timeout_s=_UPLOAD_S)
            )
        return Estimate.model_validate_json(answer.content)

    def get(self, job_id: str) -> Steps[Job]:
        """The job as it is."""
        answer = yield from self.effort.send(Call(method="GET", path=job_path(job_id)))
        return Job.model_validate_json(answer.content)

    def wait(self, job_id: str, timeout_s: float | None) -> Steps[Job]:
        """The job once it is done. Raises TimeoutError."""
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

    def cancel(self, job_id: str) -> Steps[Job]:
        """Takes a job back."""
        answer = yield from self.effort.send(Call(method="POST", path=f"{job_path(job_id)}/cancel"))
        return Job.model_validate_json(answer.content)

    def retry(self, job_id: str) -> Steps[Job]:
        """Does a job over."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        answer = yield from self.effort.send(Call(method="POST", path=f"{job_path(job_id)}/retry", headers=headers))
        return Job.model_validate_json(answer.content)

    def erase(self, path: str, **params: str) -> Steps[bool]:
        """Whether what is at the path is gone; if not, it goes by itself, as soon as nothing of it runs."""
        answer = yield from self.effort.send(Call(method="DELETE", path=path, params=params, timeout_s=_UPLOAD_S))
        return answer.status_code == httpx.codes.NO_CONTENT

    def picture(self, job_id: str, name: str) -> Steps[bytes]:
        """The bytes of a picture of the job."""
        answer = yield from self.effort.send(
            Call(method="GET", path=f"{job_path(job_id)}/{name}", follow=True, timeout_s=_UPLOAD_S)
        )
        return answer.content

    def queue(self) -> Steps[Queue]:
        """How busy the service is."""
        answer = yield from self.effort.send(Call(method="GET", path="/v1/queue"))
        return Queue.model_validate_json(answer.content)

    def workers(self) -> Steps[list[Worker]]:
        """All workers."""
        answer = yield from self.effort.send(Call(method="GET", path="/v1/workers"))
        return Workers.model_validate_json(answer.content).workers

    def audit(self, cursor: str | None, limit: int, action: str | None) -> Steps[AuditPage]:
        """A page of the tenant's audit log."""
        asked = {"cursor": cursor, "limit": str(limit), "action": action}
        params = {name: value for name, value in asked.items() if value is not None}
        answer = yield from self.effort.send(Call(method="GET", path="/v1/audit", params=params))
        return AuditPage.model_validate_json(answer.content)

    def _send_photos(self, names: list[str], consent: str | None) -> Steps[None]:
        for name in names:
            data = self.photos.read(name)
            if consent:
                form = {"consent": consent}
                call = Call(method="POST", path=_PHOTOS, fields=form, files={"photo": data}, timeout_s=_UPLOAD_S)
            else:
                plain = {"Content-Type": "application/octet-stream"}
                call = Call(method="POST", path=_PHOTOS, content=data, headers=plain, timeout_s=_UPLOAD_S)
            yield from self.effort.send(call)
            self.photos.sent(name)


def photo_path(photo_id: str) -> str:
    """Address of a photo."""
    return f"{_PHOTOS}/{quote(photo_id, safe='')}"


def job_path(job_id: str) -> str:
    """Address of a job. An id is one step of a path, whatever is in it."""
    return f"{_JOBS}/{quote(job_id, safe='')}"
