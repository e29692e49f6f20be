"""Faces in a tenant's reference photos, detected once a photo and bundle and stored beside the photo."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import load, save

from shared.blob_store import BlobStore, faces_key, photo_key
from shared.errors import BlobDamaged, UnknownPhoto
from worker.models.bundle import Detection
from worker.stages.identify import DetectedFaces, detect_faces


@dataclass(frozen=True, kw_only=True)
class Photos:
    """The photos of one tenant for one bundle. Every method that reads or writes may raise BlobsUnavailable."""

    blobs: BlobStore
    tenant: str
    bundle: str

    def part(self, photo: str) -> str:
        """Name of a photo's faces as a part of results, so that two workers do not detect them at the same time."""
        return self._key(photo).removeprefix(f"{self.tenant}/")

    def is_stored(self, photo: str) -> bool:
        """Whether the photo's faces are stored."""
        return self.blobs.exists(self._key(photo))

    def stored(self, photo: str) -> DetectedFaces | None:
        """The stored faces of a photo, None when there are none, or damaged ones: then they are detected again."""
        try:
            data = self.blobs.get(self._key(photo))
        except BlobDamaged:
            return None
        if data is None:
            return None
        arrays = load(data)
        if "embedding" not in arrays:
            return DetectedFaces(count=0, box_px=None, embedding=None)
        x1, y1, x2, y2 = (float(side) for side in arrays["box_px"])
        return DetectedFaces(count=int(arrays["faces"]), box_px=(x1, y1, x2, y2), embedding=arrays["embedding"])

    def detect(self, photo: str, detection: Detection) -> DetectedFaces:
        """Detects the faces in a photo and stores them. Raises UnknownPhoto."""
        data = self.blobs.get(photo_key(self.tenant, photo))
        if data is None:
            message = f"photo {photo} is no longer stored; upload it again"
            raise UnknownPhoto(message)
        found = detect_faces(detection, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))
        arrays: dict[str, NDArray[np.generic]] = {"faces": np.array(found.count)}
        if found.embedding is not None:
            arrays |= {"embedding": found.embedding, "box_px": np.array(found.box_px)}
        self.blobs.put(self._key(photo), save(arrays), "application/octet-stream")
        return found

    def _key(self, photo: str) -> str:
        return faces_key(self.tenant, photo, self.bundle)
