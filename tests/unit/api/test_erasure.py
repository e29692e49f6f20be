"""What the blobs of a bucket are."""

from __future__ import annotations

from api.erasure import Entry, Kind, entries_in
from shared.blob_store import Blob


def test_blobs_that_go_together_are_one_thing_as_old_as_the_newest() -> None:
    keys = [
        ".probe/x",
        "a/batches/b/errors/1",
        "a/batches/b/lines/1",
        "a/photos/p.png",
        "a/photos/p.png.faces/mini",
        "a/photos/q.png.faces/mini",
        "a/stages/render/d/output.json",
        "a/stages/render/d/template.png",
        "a/stages/render/e/output.json",
        "a/uploads/u",
        "warm",
    ]
    blobs = [Blob(key=key, written_at=at) for at, key in enumerate(keys)]
    assert list(entries_in(blobs)) == [
        Entry(kind=Kind.BATCH, tenant="a", name="b", written_at=2),
        Entry(kind=Kind.PHOTO, tenant="a", name="p", written_at=4),
        Entry(kind=Kind.PHOTO, tenant="a", name="q", written_at=5),
        Entry(kind=Kind.RESULT, tenant="a", name="a/render/d", written_at=7),
        Entry(kind=Kind.RESULT, tenant="a", name="a/render/e", written_at=8),
        Entry(kind=Kind.UPLOAD, tenant="a", name="a/uploads/u", written_at=9),
    ]
