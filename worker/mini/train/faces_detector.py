"""The mini face detector: a small SCRFD with landmarks, and its training.

Outputs and anchors as in Guo et al., "Sample and Computation Redistribution for Efficient Face Detection" (2021),
section 3, in the layout that insightface's model_zoo/scrfd.py reads: strides 8, 16 and 32, two anchors a cell,
distances in strides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from worker.mini.train.dataset import Scenes, load
from worker.mini.train.faces_degrade import cut_out, degrade
from worker.mini.world import TRAIN_SEEDS, draw_identity, draw_portrait

STRIDES = (8, 16, 32)
# The face size in pixels that each stride's two anchors stand for; neighbours overlap by _REACH.
ANCHORS_PX = ((24.0, 34.0), (48.0, 68.0), (96.0, 136.0))
_REACH = 1.3
_CANVAS_PX = 160
_SMALLEST_FACE_PX, _LARGEST_FACE_PX = 20.0, 130.0


class Detector(nn.Module):
    """(B, 3, H, W) in (RGB - 127.5) / 128, H and W multiples of 32, to scores, boxes and landmarks.

    Training mode gives three tensors (B, N, 1) of logits, (B, N, 4) and (B, N, 10) over all anchors of all strides;
    evaluation mode gives the nine tensors of SCRFD for one picture: scores (n, 1) as probabilities, boxes (n, 4),
    landmarks (n, 10).
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(_conv(3, 16, 2), _conv(16, 24, 2))
        self.stage_8 = nn.Sequential(_conv(24, 48, 2), _Residual(48))
        self.stage_16 = nn.Sequential(_conv(48, 64, 2), _Residual(64), _Residual(64))
        self.stage_32 = nn.Sequential(_conv(64, 96, 2), _Residual(96), _Residual(96))
        self.lateral = nn.ModuleList(nn.Conv2d(width, 48, 1) for width in (48, 64, 96))
        self.towers = nn.ModuleList(nn.Sequential(_conv(48, 48), _conv(48, 48)) for _ in STRIDES)
        self.score = nn.ModuleList(nn.Conv2d(48, 2, 3, padding=1) for _ in STRIDES)
        self.box = nn.ModuleList(nn.Conv2d(48, 8, 3, padding=1) for _ in STRIDES)
        self.points = nn.ModuleList(nn.Conv2d(48, 20, 3, padding=1) for _ in STRIDES)
        # Almost no anchor holds a face, and a face reaches about two strides from its middle: start from there.
        for score, box in zip(self.score, self.box, strict=True):
            score.register_parameter("bias", nn.Parameter(torch.full((2,), -4.0)))
            box.register_parameter("bias", nn.Parameter(torch.full((8,), 2.0)))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        c8 = self.stage_8(self.stem(x))
        c16 = self.stage_16(c8)
        c32 = self.stage_32(c16)
        p32 = self.lateral[2](c32)
        p16 = self.lateral[1](c16) + functional.interpolate(p32, scale_factor=2.0, mode="nearest")
        p8 = self.lateral[0](c8) + functional.interpolate(p16, scale_factor=2.0, mode="nearest")
        scores, boxes, points = [], [], []
        for level, features in enumerate((p8, p16, p32)):
            tower = self.towers[level](features)
            scores.append(_flat(self.score[level](tower), 1))
            boxes.append(_flat(self.box[level](tower), 4))
            points.append(_flat(self.points[level](tower), 10))
        if self.training:
            return torch.cat(scores, 1).float(), torch.cat(boxes, 1).float(), torch.cat(points, 1).float()
        return (*(s[0].sigmoid() for s in scores), *(b[0] for b in boxes), *(p[0] for p in points))


def _conv(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.body(x))


def _flat(x: Tensor, each: int) -> Tensor:
    """(B, 2 * each, h, w) to (B, h * w * 2, each): cell by cell, both anchors of a cell together."""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, each)


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """What every anchor should say: face and ignored (B, N) bool, box (B, N, 4) and points (B, N, 10) in strides."""

    face: Tensor
    ignored: Tensor
    box: Tensor
    points: Tensor


def anchors(height_px: int, width_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Centre (N, 2), stride (N,) and face size (N,) of every anchor, in the order of the outputs."""
    centres, strides, sizes = [], [], []
    for stride, own in zip(STRIDES, ANCHORS_PX, strict=True):
        rows, columns = np.mgrid[: height_px // stride, : width_px // stride]
        cells = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float32) * stride
        centres.append(np.repeat(cells, 2, axis=0))
        strides.append(np.full(len(cells) * 2, stride, np.float32))
        sizes.append(np.tile(np.array(own, np.float32), len(cells)))
    return np.concatenate(centres), np.concatenate(strides), np.concatenate(sizes)


def targets_of(faces: list[NDArray[np.float32]], canvas_px: int) -> Targets:
    """The targets of a batch. faces: per picture (n, 14): box (x1, y1, x2, y2), then five landmarks, in pixels."""
    centre, stride, size = anchors(canvas_px, canvas_px)
    count = len(centre)
    face, ignored = np.zeros((len(faces), count), bool), np.zeros((len(faces), count), bool)
    box, points = np.zeros((len(faces), count, 4), np.float32), np.zeros((len(faces), count, 10), np.float32)
    for row, own in enumerate(faces):
        for one in own:
            x1, y1, x2, y2 = one[:4]
            side = np.sqrt((x2 - x1) * (y2 - y1))
            ratio = np.maximum(side / size, size / side)
            # The feature of a cell looks at its middle, half a stride beyond the corner that its outputs count from.
            away = np.abs(centre + stride[:, None] / 2 - ((x1 + x2) / 2, (y1 + y2) / 2)).max(axis=1)
            hit = (away < 1.25 * stride) & (ratio < _REACH)
            ignored[row] |= (away < np.maximum(2.0 * stride, side * 0.3)) & (ratio < _REACH * 1.6)
            face[row] |= hit
            s = stride[hit, None]
            box[row, hit] = np.concatenate([(centre[hit] - (x1, y1)) / s, ((x2, y2) - centre[hit]) / s], 1)
            points[row, hit] = (one[4:].reshape(1, 5, 2) - centre[hit][:, None]).reshape(-1, 10) / s
    return Targets(
        face=torch.from_numpy(face),
        ignored=torch.from_numpy(ignored & ~face),
        box=torch.from_numpy(box),
        points=torch.from_numpy(points),
    )


def detector_loss(outputs: tuple[Tensor, ...], targets: Targets) -> dict[str, Tensor]:
    """Focal loss of the scores, GIoU loss of the boxes and a smooth L1 of the landmarks, the last two over faces only.

    Lin et al. 2017 (focal loss, alpha 0.25 and gamma 2) and Rezatofighi et al. 2019 (generalised IoU).
    """
    logits, boxes, points = outputs
    logits = logits[..., 0]
    truth = targets.face.float()
    p = logits.sigmoid()
    right = p * truth + (1 - p) * (1 - truth)
    weight = (0.25 * truth + 0.75 * (1 - truth)) * (1 - right) ** 2 * (~targets.ignored)
    count = truth.sum().clamp(min=1)
    score = (weight * functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")).sum() / count
    hit = targets.face
    ours, true = boxes[hit].clamp(min=0.01), targets.box[hit]
    inner = torch.minimum(ours, true)
    outer = torch.maximum(ours, true)
    overlap = (inner[:, 0] + inner[:, 2]) * (inner[:, 1] + inner[:, 3])
    union = (
        (ours[:, 0] + ours[:, 2]) * (ours[:, 1] + ours[:, 3])
        + (true[:, 0] + true[:, 2]) * (true[:, 1] + true[:, 3])
        - overlap
    )
    hull = (outer[:, 0] + outer[:, 2]) * (outer[:, 1] + outer[:, 3])
    giou = overlap / union - (hull - union) / hull
    return {
        "score": score * 2,
        "box": (1 - giou).sum() / count,
        "points": functional.smooth_l1_loss(points[hit], targets.points[hit], beta=0.2, reduction="sum")
        / count
        / 10
        * 4,
    }


def detector_batches(world: Path, seed: int, batch: int) -> Iterator[tuple[Tensor, Targets]]:
    """Endless batches: rendered scenes and fresh portraits, moved, zoomed and degraded onto a square canvas."""
    rng = np.random.default_rng([seed, 11])
    widths = list(load(world).items())
    shares = np.array([0.6 if width == 128 else 0.2 for width, _ in widths])
    while True:
        pictures, faces = [], []
        for _ in range(batch):
            if rng.random() < 0.3:
                person = draw_identity(int(rng.integers(TRAIN_SEEDS.stop)))
                portrait = draw_portrait(person, int(rng.integers(1 << 30)), size_px=int(rng.choice((96, 160, 224))))
                picture, own = portrait.picture, [(*portrait.face_box_px, *portrait.keypoints_px.ravel())]
            else:
                scenes: Scenes = widths[int(rng.choice(len(widths), p=shares / shares.sum()))][1]
                row = int(rng.integers(len(scenes.labels)))
                picture = scenes.pictures[row]
                own = [(*f["face_box"], *np.ravel(f["keypoints"])) for f in scenes.labels[row]["figures"]]
            placed = _place(picture, np.array(own, np.float32).reshape(-1, 14), rng)
            pictures.append(placed[0])
            faces.append(placed[1])
        x = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().sub(127.5).div(128)
        yield x, targets_of(faces, _CANVAS_PX)


def _place(
    picture: NDArray[np.uint8], faces: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Zoom and shift a picture onto the canvas. Faces that are cut by the canvas' edge by over a third are dropped."""
    height, width = picture.shape[:2]
    whole = _CANVAS_PX / max(height, width)
    zoom = whole if rng.random() < 0.4 else whole * float(np.exp(rng.uniform(np.log(0.6), np.log(2.2))))
    if len(faces):
        side = np.sqrt((faces[:, 2] - faces[:, 0]) * (faces[:, 3] - faces[:, 1]))
        zoom = float(np.clip(zoom, _SMALLEST_FACE_PX / side.min(), _LARGEST_FACE_PX / side.max()))
    shift = np.array([rng.uniform(0, 1), rng.uniform(0, 1)]) * (_CANVAS_PX - np.array([width, height]) * zoom)
    if zoom == whole and rng.random() < 0.7:
        # As insightface letterboxes: at the upper left, black beside it.
        shift[:] = 0
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    if zoom < 1:
        picture = cv2.GaussianBlur(picture, (0, 0), 0.35 / zoom).astype(np.uint8)
    warped = cv2.warpAffine(np.ascontiguousarray(picture), matrix, (_CANVAS_PX, _CANVAS_PX), flags=cv2.INTER_LINEAR)
    moved = faces * zoom + np.tile(shift, 7).astype(np.float32) if len(faces) else faces
    if len(moved):
        inside = np.clip(moved[:, :4], 0, _CANVAS_PX)
        area = (moved[:, 2] - moved[:, 0]) * (moved[:, 3] - moved[:, 1])
        kept = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1]) / area
        moved = moved[kept > 0.65]
    canvas = degrade(warped.astype(np.uint8), rng)
    if rng.random() < 0.25:
        canvas = cut_out(canvas, rng, share=0.2)
    if rng.random() < 0.5:
        canvas = canvas[:, ::-1]
        moved = moved.copy()
        moved[:, 0::2] = _CANVAS_PX - moved[:, 0::2]
        moved = moved[:, [2, 1, 0, 3, 6, 7, 4, 5, 8, 9, 12, 13, 10, 11]]
    return np.ascontiguousarray(canvas), moved
