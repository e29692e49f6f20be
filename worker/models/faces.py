"""Faces by insightface: where they are, their landmarks, and the raw embedding that InstantID reads."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import torch
from insightface.app import FaceAnalysis
from insightface.app.common import Face as FoundFace
from numpy.typing import NDArray

from worker.concepts.boxes import Box

# insightface's own threshold.
_THRESHOLD = 0.5
# A negative number would take the session off the GPU; which GPU it is stands in the providers.
_PROVIDERS_AS_GIVEN = 0
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@dataclass(frozen=True, kw_only=True)
class FaceBox:
    """One face. keypoints_px: eyes, nose, mouth corners, each (x, y), the left one in the picture first."""

    box_px: Box
    keypoints_px: tuple[tuple[float, float], ...]
    score: float

    @property
    def area_px(self) -> float:
        """Square pixels, as insightface counts the largest face."""
        return (self.box_px[2] - self.box_px[0]) * (self.box_px[3] - self.box_px[1])


@dataclass(frozen=True, kw_only=True)
class FaceReader:
    """A loaded model pack. detection_px: sides of the square that a picture is fitted into, in the order tried."""

    analysis: Any
    detection_px: Sequence[int]

    def find(self, picture: NDArray[np.uint8]) -> list[FaceBox]:
        """All faces of an RGB picture (H, W, 3), the largest first.

        Where a size of detection finds nothing the next one is tried: a face that fills the picture is seen only small.
        """
        blue_first = _blue_first(picture)
        for side_px in self.detection_px:
            boxes, keypoints = self.analysis.det_model.detect(blue_first, input_size=(side_px, side_px))
            if len(boxes):
                faces = [_face(box, points) for box, points in zip(boxes, keypoints, strict=True)]
                return sorted(faces, key=lambda face: (-face.area_px, face.box_px))
        return []

    def embed(self, picture: NDArray[np.uint8], face: FaceBox) -> NDArray[np.float32]:
        """The raw (not normalised) recognition embedding of one face of this picture, (512,)."""
        found = FoundFace(bbox=np.array(face.box_px), kps=np.array(face.keypoints_px, np.float32), det_score=face.score)
        self.analysis.models["recognition"].get(_blue_first(picture), found)
        return np.asarray(found.embedding, dtype=np.float32)


def load_faces(root: Path, pack: str, *, detection_px: Sequence[int], device: torch.device) -> FaceReader:
    """The pack under `root`/models/`pack`. Raises OSError for files that are missing or broken."""
    folder = root / "models" / pack
    if not folder.is_dir():
        message = f"there is no model pack {folder}"
        raise FileNotFoundError(message)
    providers = providers_of(device, onnxruntime.get_available_providers())
    # insightface reports every model on standard output.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            analysis = FaceAnalysis(
                name=str(folder),
                allowed_modules=["detection", "recognition"],
                providers=providers,
            )
        except Exception as error:
            # onnxruntime's errors share no class of their own, and insightface asserts what it misses.
            message = f"the model pack {folder} cannot be read: {error or 'it holds no face detector'}"
            raise OSError(message) from error
        side_px = detection_px[0]
        analysis.prepare(ctx_id=_PROVIDERS_AS_GIVEN, det_thresh=_THRESHOLD, det_size=(side_px, side_px))
    if "recognition" not in analysis.models:
        message = f"the model pack {folder} holds no recogniser"
        raise FileNotFoundError(message)
    return FaceReader(analysis=analysis, detection_px=tuple(detection_px))


def providers_of(device: torch.device, available: Collection[str]) -> list[str | tuple[str, dict[str, int]]]:
    """How onnxruntime runs the pack: on this very GPU where its build for CUDA is installed, else on the CPU."""
    if device.type == "cuda" and _CUDA in available:
        return [(_CUDA, {"device_id": device.index or 0}), _CPU]
    return [_CPU]


def _blue_first(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), dtype=np.uint8)


def _face(box: NDArray[np.float32], points: NDArray[np.float32]) -> FaceBox:
    x1, y1, x2, y2, score = (float(number) for number in box)
    return FaceBox(box_px=(x1, y1, x2, y2), keypoints_px=tuple((float(x), float(y)) for x, y in points), score=score)
