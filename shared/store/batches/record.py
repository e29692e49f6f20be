"""A batch's record in Redis <-> the Batch that the rooms read."""

from __future__ import annotations

from collections.abc import Mapping

from shared.batch import Batch, BatchStatus, Cursor, RateMark
from shared.job import TERMINAL


def decode(batch_id: str, fields: Mapping[str, str], now_s: float) -> Batch:
    """The batch that a record describes."""

    def number(name: str) -> int:
        return int(fields.get(name, 0))

    deadline = fields.get("deadline")
    mark = fields.get("marka")
    return Batch.model_validate(
        {
            "id": batch_id,
            "tenant": fields["tenant"],
            "name": fields.get("name", ""),
            "status": fields["s"],
            "sequence": number("seq"),
            "good": number("good"),
            "invalid": number("bad"),
            "open": number("open"),
            "running": number("running"),
            "over": {status: number(f"n:{status}") for status in TERMINAL},
            "saved": number("saved"),
            "stop": fields.get("stop"),
            "round": number("round"),
            "pending_delete": "pending_delete" in fields,
            "cursor": Cursor(
                source=fields.get("source", ""), chunks=number("chunks"), chunk=number("chunk"), at=number("at")
            ),
            "deadline_s": float(deadline) if deadline else None,
            "stamps": {status: float(fields[f"at:{status}"]) for status in BatchStatus if f"at:{status}" in fields},
            "mark": _mark(mark) if mark else None,
            "now_s": now_s,
        }
    )


def _mark(text: str) -> RateMark:
    at_s, over, succeeded = text.split()
    return RateMark(at_s=float(at_s), over=int(over), succeeded=int(succeeded))
