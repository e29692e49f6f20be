"""What both clients can do with batches, as steps."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from api.client.batch_values import Batch, BatchEstimate, BatchPicture
from api.client.calls import Call, Effort, Steps
from shared.batch import Log, Outcome

_BATCHES = "/v1/batches"
_POLL_S = 30.0
_GRACE_S = 15.0
_FILE_S = 600.0


@dataclass(frozen=True, kw_only=True)
class BatchOperations:
    """The steps of every operation on batches."""

    effort: Effort

    def make(self, lines: bytes, key: str, options: Mapping[str, str]) -> Steps[Batch]:
        """Sends the lines."""
        headers = {"Content-Type": "application/jsonl", "Idempotency-Key": key}
        call = Call(
            method="POST", path=_BATCHES, content=lines, headers=headers, params=dict(options), timeout_s=_FILE_S
        )
        answer = yield from self.effort.send(call)
        return Batch.model_validate_json(answer.content)

    def weigh(self, lines: bytes, options: Mapping[str, str]) -> Steps[BatchEstimate]:
        """What these lines would cost."""
        answer = yield from self.effort.send(
            Call(
                method="POST",
                path=_BATCHES,
                content=lines,
                headers={"Content-Type": "application/jsonl"},
                params={**options, "dry_run": "true"},
                timeout_s=_FILE_S,
            )
        )
        return BatchEstimate.model_validate_json(answer.content)

    def get(self, batch_id: str) -> Steps[Batch]:
        """The batch as it is."""
        answer = yield from self.effort.send(Call(method="GET", path=batch_path(batch_id)))
        return Batch.model_validate_json(answer.content)

    def change(self, known: Batch, wait_s: float) -> Steps[Batch]:
        """The batch once it is not the known one any more, or the known one when the time is over."""
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

    def wait(self, batch_id: str, timeout_s: float | None) -> Steps[Batch]:
        """The batch once it is done. Raises TimeoutError."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        batch = yield from self.get(batch_id)
        while not batch.done:
            left_s = _POLL_S if deadline_s is None else deadline_s - time.monotonic()
            if left_s <= 0:
                message = f"batch {batch_id} is {batch.status} and not done after {timeout_s:g} s"
                raise TimeoutError(message)
            batch = yield from self.change(batch, min(_POLL_S, left_s))
        return batch

    def ask(self, batch_id: str, what: str) -> Steps[Batch]:
        """`cancel` or `retry_failed`."""
        answer = yield from self.effort.send(Call(method="POST", path=f"{batch_path(batch_id)}/{what}"))
        return Batch.model_validate_json(answer.content)

    def file(self, batch_id: str, name: str) -> Steps[bytes]:
        """`output`, `errors` or `manifest`, as it is now."""
        call = Call(method="GET", path=f"{batch_path(batch_id)}/{name}", timeout_s=_FILE_S)
        answer = yield from self.effort.send(call)
        return answer.content

    def outcomes(self, batch_id: str, name: Log) -> Steps[list[Outcome]]:
        """What the lines of a file left."""
        rows = yield from self.file(batch_id, name)
        return [Outcome.model_validate_json(row) for row in rows.splitlines()]

    def pictures(self, batch_id: str) -> Steps[list[BatchPicture]]:
        """The lines with a picture so far."""
        manifest = yield from self.file(batch_id, "manifest")
        return [BatchPicture.model_validate_json(row) for row in manifest.splitlines()]

    def download(self, address: str) -> Steps[bytes]:
        """The bytes at a signed address."""
        answer = yield from self.effort.send(Call(method="GET", path=address, foreign=True, timeout_s=_FILE_S))
        return answer.content


def batch_path(batch_id: str) -> str:
    """Address of a batch."""
    return f"{_BATCHES}/{quote(batch_id, safe='')}"
