"""What the blobs of the bucket are, one thing at a time: a stage's result, a photo, a batch or an upload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from shared.blob_store import Blob


class Kind(StrEnum):
    """What a thing is."""

    RESULT = "result"
    PHOTO = "photo"
    BATCH = "batch"
    UPLOAD = "upload"


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Blobs that go together.

    name: a result's `{tenant}/{stage}/{digest}`, an upload's key, the id of a photo or batch; written_at: the newest.
    """

    kind: Kind
    tenant: str
    name: str
    written_at: float


def things_in(blobs: Iterable[Blob]) -> Iterator[Thing]:
    """What these blobs are, in the order of their keys; what belongs to nothing is left out. Holds one at a time."""
    for place, some in groupby(blobs, key=lambda blob: _place_of(blob.key)):
        if place is not None:
            kind, tenant, name = place
            yield Thing(kind=kind, tenant=tenant, name=name, written_at=max(blob.written_at for blob in some))


def _place_of(key: str) -> tuple[Kind, str, str] | None:
    match key.split("/"):
        case [tenant, "stages", stage, digest, _]:
            return Kind.RESULT, tenant, f"{tenant}/{stage}/{digest}"
        case [tenant, "batches", batch_id, *_]:
            return Kind.BATCH, tenant, batch_id
        # What was seen in a photo lies beside it, and may have been seen after the photo had gone.
        case [tenant, "photos", file] | [tenant, "photos", file, _]:
            return Kind.PHOTO, tenant, file.removesuffix(".faces").removesuffix(".png")
        case [tenant, "uploads", *_]:
            return Kind.UPLOAD, tenant, key
        case _:
            return None
