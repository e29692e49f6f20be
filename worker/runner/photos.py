"""Reference photos of a tenant, and what was seen in them: looked at once a bundle, in whichever cast they come."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load, save

from shared.blob_store import BlobStore, faces_key, photo_key
from shared.errors import UnknownPhoto
from worker.models.bundle import Detection
from worker.stages.identify import Seen, look_at


@dataclass(frozen=True, kw_only=True)
class Photos:
    """The photos of one tenant, as one bundle sees them. Every call may raise BlobsUnavailable."""

    blobs: BlobStore
    tenant: str
    bundle: str

    def part(self, photo: str) -> str:
        """The name of what is seen in a photo, for those who must not look at it twice at once."""
        return faces_key(self.tenant, photo, self.bundle).removeprefix(f"{self.tenant}/")

    def is_seen(self, photo: str) -> bool:
        """Whether the photo has been looked at."""
        return self.blobs.exists(faces_key(self.tenant, photo, self.bundle))

    def seen(self, photo: str) -> Seen | None:
        """What was seen in it, None when nobody has looked at it."""
        data = self.blobs.get(faces_key(self.tenant, photo, self.bundle))
        if data is None:
            return None
        arrays = load(data)
        if "embedding" not in arrays:
            return Seen(faces=0, box_px=None, embedding=None)
        if "box_px" not in arrays:
            # Looked at by a version that kept no boxes: look again.
            return None
        x1, y1, x2, y2 = (float(side) for side in arrays["box_px"])
        return Seen(faces=int(arrays["faces"]), box_px=(x1, y1, x2, y2), embedding=arrays["embedding"])

    def look(self, photo: str, detection: Detection) -> Seen:
        """Looks at a photo and keeps what is seen. Raises UnknownPhoto."""
        data = self.blobs.get(photo_key(self.tenant, photo))
        if data is None:
            message = f"photo {photo} is no longer stored; upload it again"
            raise UnknownPhoto(message)
        seen = look_at(detection, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        arrays: dict[str, NDArray[np.generic]] = {"faces": np.array(seen.faces)}
        if seen.embedding is not None:
            arrays |= {"embedding": seen.embedding, "box_px": np.array(seen.box_px)}
        self.blobs.put(faces_key(self.tenant, photo, self.bundle), save(arrays), "application/octet-stream")
        return seen
