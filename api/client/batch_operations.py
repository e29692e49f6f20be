"""What a client can do with batches."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Literal

from api.client.batch_values import Batch, BatchEstimate, BatchPage, BatchPicture, ItemPage
from api.client.calls import Call, Steps
from api.client.paths import BATCHES, batch_path
from api.client.sending import Sending, given
from api.client.watching import Watching
from shared.batch import Log, Outcome

BatchFile = Literal["output", "errors", "manifest", "zip"]

_POLL_S = 30.0
_GRACE_S = 15.0
_ERASE_S = 120.0
_FILE_S = 600.0


class BatchOperations(Sending):
    """Make, follow, list, cancel, retry and erase batches, and fetch their files."""

    def make_batch(
        self,
        lines: bytes,
        *,
        name: str | None = None,
        strict: bool = False,
        expires_after_s: int | None = None,
        idempotency_key: str | None = None,
    ) -> Steps[Batch]:
        """Queues one job for each line of JSON: a job as `submit` takes it, with photo ids and a `custom_id`.

        Args:
            lines: the lines (JSONL).
            name: a name for people.
            strict: one invalid line refuses the batch; without it, invalid lines are listed in `errors`.
            expires_after_s: lines that have not ended by then expire.
            idempotency_key: the same key within 24 hours returns the same batch.
        """
        call = _with_lines(lines, name=name, strict=_flag(strict), expires_after_s=expires_after_s)
        headers = {**call.headers, "Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        return (yield from self.value(Batch, replace(call, headers=headers)))

    def dry_run_batch(
        self,
        lines: bytes,
        *,
        name: str | None = None,
        strict: bool = False,
        expires_after_s: int | None = None,
        unsent_photos: bool = False,
    ) -> Steps[BatchEstimate]:
        """What a batch would cost and which lines are invalid. Nothing is stored or queued.

        unsent_photos: a photo that is not uploaded yet is not an error.
        """
        call = _with_lines(
            lines,
            name=name,
            strict=_flag(strict),
            expires_after_s=expires_after_s,
            unsent_photos=_flag(unsent_photos),
            dry_run="true",
        )
        return (yield from self.value(BatchEstimate, call))

    def batches(self, *, cursor: str | None = None, limit: int | None = None) -> Steps[BatchPage]:
        """One page of the tenant's batches, the newest first. cursor: `next` of the previous page."""
        return (yield from self.get_value(BatchPage, BATCHES, cursor=cursor, limit=limit))

    def batch(self, batch_id: str) -> Steps[Batch]:
        """The batch as it is now."""
        return (yield from self.get_value(Batch, batch_path(batch_id)))

    def batch_change(self, known: Batch, *, wait_s: float = 30.0) -> Steps[Batch]:
        """The batch as soon as it differs from `known`, or `known` itself after `wait_s` seconds."""
        answer = yield from self.effort.send(
            Call(
                method="GET",
                path=batch_path(known.id),
                params={"wait": f"{wait_s:.3f}"},
                headers={"If-None-Match": f'W/"{known.sequence}"'},
                timeout_s=wait_s + _GRACE_S,
            )
        )
        return known if answer.status_code == 304 else Batch.model_validate_json(answer.content)

    def wait_batch(self, batch_id: str, *, timeout_s: float | None = None) -> Steps[Batch]:
        """The batch once it is done. Raises TimeoutError."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        batch = yield from self.batch(batch_id)
        while not batch.done:
            left_s = _POLL_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                message = f"batch {batch_id} is {batch.status} and not done after {timeout_s:g} s"
                raise TimeoutError(message)
            batch = yield from self.batch_change(batch, wait_s=min(_POLL_S, left_s))
        return batch

    def batch_events(self, batch_id: str) -> Watching[Batch]:
        """The states of a batch from now until it is done, at most two a second."""
        return Watching(f"{batch_path(batch_id)}/events", Batch, {}, self.effort)

    def cancel_batch(self, batch_id: str) -> Steps[Batch]:
        """Cancels a batch. Pictures that exist already stay."""
        return (yield from self.value(Batch, Call(method="POST", path=f"{batch_path(batch_id)}/cancel")))

    def retry_batch(self, batch_id: str) -> Steps[Batch]:
        """Runs the lines again that ended without a picture. Only for a batch that is done."""
        return (yield from self.value(Batch, Call(method="POST", path=f"{batch_path(batch_id)}/retry_failed")))

    def delete_batch(self, batch_id: str) -> Steps[bool]:
        """Erases a batch, its jobs and its files. False: that happens within seconds, once none of its jobs runs."""
        return (yield from self.erase(batch_path(batch_id), _ERASE_S))

    def batch_items(
        self, batch_id: str, *, status: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> Steps[ItemPage]:
        """One page of a batch's lines: those that ended, then those that run, then those that wait.

        status: only lines in this state. cursor: `next` of the previous page.
        """
        path = f"{batch_path(batch_id)}/items"
        return (yield from self.get_value(ItemPage, path, status=status, cursor=cursor, limit=limit))

    def batch_pictures(self, batch_id: str) -> Steps[list[BatchPicture]]:
        """The lines that have a picture so far, each with a signed address."""
        manifest = yield from self.batch_file(batch_id, "manifest")
        return [BatchPicture.model_validate_json(row) for row in manifest.splitlines()]

    def batch_outcomes(self, batch_id: str, log: Log = "output") -> Steps[list[Outcome]]:
        """The lines that ended so far: with a picture (`output`) or without one (`errors`)."""
        rows = yield from self.batch_file(batch_id, log)
        return [Outcome.model_validate_json(row) for row in rows.splitlines()]

    def batch_file(self, batch_id: str, file: BatchFile) -> Steps[bytes]:
        """A file of the batch as it is now: `output`, `errors` and `manifest` are JSONL; `zip` holds the pictures."""
        call = Call(method="GET", path=f"{batch_path(batch_id)}/{file}", timeout_s=_FILE_S)
        answer = yield from self.effort.send(call)
        return answer.content

    def save_batch_file(self, batch_id: str, file: BatchFile, path: Path) -> Steps[None]:
        """Writes a file of the batch to this path without holding it in memory."""
        yield from self.effort.send(
            Call(method="GET", path=f"{batch_path(batch_id)}/{file}", timeout_s=_FILE_S, save_to=path)
        )

    def download(self, address: str) -> Steps[bytes]:
        """The bytes at a signed address, such as `batch_pictures` returns. The API key is not sent there."""
        answer = yield from self.effort.send(Call(method="GET", path=address, anonymous=True, timeout_s=_FILE_S))
        return answer.content


def _with_lines(lines: bytes, **params: str | int | None) -> Call:
    return Call(
        method="POST",
        path=BATCHES,
        content=lines,
        headers={"Content-Type": "application/jsonl"},
        params=given(params),
        timeout_s=_FILE_S,
    )


def _flag(value: bool) -> str | None:
    return "true" if value else None
