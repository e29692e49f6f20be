"""What the face pack is worth: measured through insightface's own FaceAnalysis, on the evaluation seeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from insightface.app import FaceAnalysis
from numpy.typing import NDArray

from worker.mini.train.faces_degrade import degrade
from worker.mini.world import EVAL_SEEDS, draw_identity, draw_portrait, draw_scene

# The long side that pictures are brought to before detection; the detector is trained on faces of 20 to 130 px.
DETECTION_PX = (192, 192)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """How well faces are found: counts, the share found, and the landmarks' mean and 95th percentile of error in px."""

    faces: int
    recall: float
    extra_per_picture: float
    landmark_px: float
    landmark_95_px: float


@dataclass(frozen=True, kw_only=True)
class Knowing:
    """How well people are told apart.

    same, stranger: mean cosines of one person and of strangers; norm: of the raw embedding.
    top1: a face in a scene against a portrait of every one of the people. stranger_95: 95th percentile of strangers.
    """

    people: int
    same: float
    stranger: float
    stranger_95: float
    top1: float
    norm: float


def open_pack(pack: Path) -> FaceAnalysis:
    """The pack as insightface loads it, on the CPU, detecting at DETECTION_PX."""
    analysis = FaceAnalysis(name="mini", root=str(pack), providers=["CPUExecutionProvider"])
    analysis.prepare(ctx_id=-1, det_thresh=0.5, det_size=DETECTION_PX)
    return analysis


def measure_pack(pack: Path, *, scenes: int = 200, people: int = 100) -> dict[str, dict[str, float]]:
    """All figures by row: finding faces in scenes, portraits and degraded scenes, and knowing people by the pack."""
    analysis = open_pack(pack)
    rows: dict[str, dict[str, float]] = {}
    for name in ("scenes", "degraded", "portraits", "empty"):
        rows[f"find_{name}"] = asdict(_find(analysis, name, scenes))
    for name in ("clean", "degraded"):
        rows[f"know_{name}"] = asdict(_know(analysis, people, worse=name == "degraded"))
    return rows


def _find(analysis: FaceAnalysis, name: str, count: int) -> Finding:
    rng = np.random.default_rng(31)
    errors, faces, found, extra = [], 0, 0, 0
    for number in range(count):
        seed = EVAL_SEEDS.start + number
        if name == "portraits":
            portrait = draw_portrait(draw_identity(seed), number)
            picture, truth = portrait.picture, [portrait.keypoints_px]
        else:
            scene = draw_scene(seed, people=0 if name == "empty" else number % 5 + 1)
            picture, truth = scene.picture, [figure.keypoints_px for figure in scene.figures]
        if name == "degraded":
            picture = degrade(picture, rng, softest_px=64)
        hits = [np.asarray(face.kps) for face in analysis.get(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))]
        faces += len(truth)
        matched = 0
        for own in truth:
            distance = [float(np.hypot(*(hit - own).T).mean()) for hit in hits]
            eyes = float(np.hypot(*(own[1] - own[0])))
            if distance and min(distance) < eyes / 2:
                matched += 1
                errors.append(min(distance))
        found += matched
        extra += len(hits) - matched
    return Finding(
        faces=faces,
        recall=round(found / max(1, faces), 4),
        extra_per_picture=round(extra / count, 4),
        landmark_px=round(float(np.mean(errors)), 3) if errors else 0.0,
        landmark_95_px=round(float(np.percentile(errors, 95)), 3) if errors else 0.0,
    )


def _know(analysis: FaceAnalysis, count: int, *, worse: bool) -> Knowing:
    rng = np.random.default_rng(32)
    portraits: list[NDArray[np.float32]] = []
    faces: list[NDArray[np.float32]] = []
    norms: list[float] = []
    for number in range(count):
        person = draw_identity(EVAL_SEEDS.start + 1000 + number)
        portrait = draw_portrait(person, number).picture
        scene = draw_scene(EVAL_SEEDS.start + 2000 + number, identities=[person]).picture
        scene = degrade(scene, rng, softest_px=64) if worse else scene
        for pictures, picture in ((portraits, portrait), (faces, scene)):
            raw = _largest(analysis, picture)
            norms.append(float(np.linalg.norm(raw)))
            pictures.append(raw / max(1e-6, norms[-1]))
    cosine = np.stack(faces) @ np.stack(portraits).T
    strangers = cosine[~np.eye(count, dtype=bool)]
    return Knowing(
        people=count,
        same=round(float(np.diag(cosine).mean()), 4),
        stranger=round(float(strangers.mean()), 4),
        stranger_95=round(float(np.percentile(strangers, 95)), 4),
        top1=round(float((cosine.argmax(axis=1) == np.arange(count)).mean()), 4),
        norm=round(float(np.mean(norms)), 2),
    )


def _largest(analysis: FaceAnalysis, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The raw embedding of the largest face, or zeros where none is found, which then count as a miss."""
    faces = analysis.get(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    if not faces:
        return np.zeros(512, np.float32)
    best = max(faces, key=lambda face: (face.bbox[2] - face.bbox[0]) * (face.bbox[3] - face.bbox[1]))
    return np.asarray(best.embedding, dtype=np.float32)
