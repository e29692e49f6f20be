"""The evaluation recogniser: identifies faces independently of the recogniser that feeds the generator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from insightface.app.common import Face
from insightface.model_zoo import get_model
from numpy.typing import NDArray

from shared.errors import BundleError
from worker.concepts.boxes import Box
from worker.models.faces import FaceReader


@dataclass(frozen=True, kw_only=True, eq=False)
class RecognisedFace:
    """One face: its box in pixels and its embedding (512,) of length 1."""

    box_px: Box
    embedding: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Recogniser:
    """The serving pack's detector and insightface's alignment in front of the evaluation recogniser."""

    faces: FaceReader
    recogniser: Any

    def recognise(self, picture: NDArray[np.uint8]) -> list[RecognisedFace]:
        """The embeddings of all faces in an RGB picture (H, W, 3), the largest face first."""
        blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        seen = []
        for face in self.faces.find(picture):
            found = Face(bbox=np.array(face.box_px), kps=np.array(face.keypoints_px, np.float32), det_score=face.score)
            raw = np.asarray(self.recogniser.get(blue_first, found), dtype=np.float32)
            seen.append(RecognisedFace(box_px=face.box_px, embedding=raw / max(float(np.linalg.norm(raw)), 1e-6)))
        return seen

    def embed(self, portrait: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The embedding (512,) of the portrait's largest face; zeros when there is no face."""
        seen = self.recognise(portrait)
        return seen[0].embedding if seen else np.zeros(512, np.float32)


def load_recogniser(path: Path, faces: FaceReader) -> Recogniser:
    """The recogniser of an ONNX file. Raises BundleError when the file is missing."""
    if not path.is_file():
        raise BundleError(f"there is no evaluation recogniser {path}: train it by worker.mini.train.faces")
    recogniser = get_model(str(path), providers=["CPUExecutionProvider"])
    recogniser.prepare(ctx_id=-1)
    return Recogniser(faces=faces, recogniser=recogniser)
