"""The mini face recogniser: (B, 3, 112, 112) to an embedding of 512, and its training.

The margin is CosFace's (Wang et al. 2018, equation 4); beside it the embedding must tell the person's visible
parameters, which is what carries over to people who were never trained on. A batch normalisation without affine
parameters ends the network, so the raw embedding keeps a norm of about sqrt(512) = 22.6 (as ArcFace's networks end,
Deng et al. 2019, section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from worker.mini.identity import HAIR_STYLES, KINDS, Identity
from worker.mini.train.faces_degrade import cut_out, degrade
from worker.mini.train.precision import mixed
from worker.mini.world import TRAIN_SEEDS, draw_identity, draw_portrait, draw_scene

EMBEDDING = 512
# Where insightface's utils/face_align.py puts the five landmarks in a crop of 112 px.
TEMPLATE_PX = np.array(
    [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
_CROP_PX = 112
# Cached crops show 24 px more on each side, so that a badly placed landmark still finds pixels.
_MARGIN_PX = 24
_DRAWINGS = 6
_SCALE, _MARGIN = 20.0, 0.3
_HAIR_STYLES = sorted({style for styles in HAIR_STYLES.values() for style in styles})


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How a recogniser is built: channels of its three stages, residual blocks in each, and the nonlinearity."""

    widths: tuple[int, int, int] = (32, 64, 128)
    blocks: tuple[int, int, int] = (1, 1, 1)
    smooth: bool = False


# The second shape is for measuring only: it never feeds a generator.
SHAPES: dict[str, Shape] = {
    "recogniser": Shape(),
    "judge": Shape(widths=(40, 56, 112), blocks=(0, 2, 1), smooth=True),
}


class Recogniser(nn.Module):
    """(B, 3, 112, 112) in (RGB - 127.5) / 127.5 to raw embeddings (B, 512)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, shape.widths[0], 4, shape.smooth, kernel=7)]
        before = shape.widths[0]
        for stage, (width, blocks) in enumerate(zip(shape.widths, shape.blocks, strict=True)):
            if stage:
                layers.append(_conv(before, width, 2, shape.smooth))
            layers += [_Residual(width, shape.smooth) for _ in range(blocks)]
            before = width
        self.body = nn.Sequential(
            *layers, nn.Conv2d(before, 24, 1, bias=False), nn.BatchNorm2d(24), _bend(shape.smooth)
        )
        self.embed = nn.Linear(24 * 7 * 7, EMBEDDING, bias=False)
        self.norm = nn.BatchNorm1d(EMBEDDING, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        embedding: Tensor = self.norm(self.embed(self.body(x).flatten(1)))
        return embedding


def _bend(smooth: bool) -> nn.Module:
    return nn.SiLU() if smooth else nn.ReLU()


def _conv(inner: int, outer: int, stride: int, smooth: bool, *, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outer), _bend(smooth)
    )


class _Residual(nn.Module):
    def __init__(self, width: int, smooth: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(width, width, 1, smooth), nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )
        self.bend = _bend(smooth)

    def forward(self, x: Tensor) -> Tensor:
        return self.bend(x + self.body(x))  # type: ignore[no-any-return]


class Teacher(nn.Module):
    """A recogniser, the prototypes of its training people, and two readers of their parameters."""

    def __init__(self, shape: Shape, identities: int) -> None:
        super().__init__()
        self.recogniser = Recogniser(shape)
        self.prototypes = nn.Parameter(torch.randn(identities, EMBEDDING) * 0.05)
        sizes, marks = parameters_of(draw_identity(0))
        self.sizes = nn.Linear(EMBEDDING, len(sizes))
        self.marks = nn.Linear(EMBEDDING, len(marks))

    def loss(self, batch: Faces) -> dict[str, Tensor]:
        """Margin softmax over people, squared error of sizes and colours, cross entropy of marks."""
        with mixed():
            embedding = self.recogniser(batch.crops).float()
        cosine = functional.normalize(embedding) @ functional.normalize(self.prototypes).T
        margin = functional.one_hot(batch.person, cosine.shape[1]) * _MARGIN
        return {
            "person": functional.cross_entropy(_SCALE * (cosine - margin), batch.person) * 0.3,
            "sizes": functional.mse_loss(self.sizes(embedding), batch.sizes) * 4,
            "marks": functional.binary_cross_entropy_with_logits(self.marks(embedding), batch.marks) * 6,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """A batch: crops (B, 3, 112, 112), the people's numbers (B,), and their parameters as parameters_of gives them."""

    crops: Tensor
    person: Tensor
    sizes: Tensor
    marks: Tensor


def parameters_of(person: Identity) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What can be seen of a person as sizes and colours of about unit spread, and as yes-or-no marks."""
    has_glasses = person.glasses != "none"
    colours = [c / 64 - 2 for colour in (person.skin, person.hair, person.iris, person.lips) for c in colour]
    lenses = [c / 64 - 1 if has_glasses else 0.0 for c in person.lenses]
    sizes = [
        (person.chin - 1.15) * 8, (person.jaw - 0.85) * 6, (person.eye_spacing - 0.44) * 20,
        (person.eye_size - 0.2) * 35, person.eye_height * 14, person.eye_slant * 7,
        (person.brow_width - 0.11) * 25, person.brow_slant * 5,
        (person.brow_lift - 0.16) * 25, (person.nose_size - 1) * 4, (person.mouth_width - 0.36) * 14,
        (person.lip_fullness - 0.1) * 35, (person.ear_size - 0.24) * 20,
    ]  # fmt: skip
    marks = [person.kind == kind for kind in KINDS]
    marks += [person.hair_style == style for style in _HAIR_STYLES]
    marks += [person.nose == nose for nose in ("dot", "line", "round")]
    marks += [person.glasses == glasses for glasses in ("none", "round", "square")]
    marks += [person.beard == beard for beard in ("none", "full", "goatee", "moustache")]
    marks += [person.mole == mole for mole in ("none", "left", "right")]
    marks += [person.freckles, person.blush, person.earrings]
    return np.array(colours + lenses + sizes, np.float32), np.array(marks, np.float32)


def alignment(landmarks: NDArray[np.float64], template_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 2 x 3 similarity that brings the landmarks (5, 2) nearest to the template, by least squares.

    The same as insightface's estimate_norm (Umeyama 1991 without reflection), in closed form on complex numbers.
    """
    z, w = landmarks @ (1, 1j), template_px @ (1, 1j)
    a = np.vdot(z - z.mean(), w - w.mean()) / np.vdot(z - z.mean(), z - z.mean()).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def render_faces(out: Path, *, identities: int, seed: int) -> None:
    """Cache wide crops (N * 6, 112, 112, 3) of training people and their landmarks, half of them from scenes."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / "landmarks.npy").exists():
        return
    rng = np.random.default_rng([seed, 21])
    count = identities * _DRAWINGS
    crops = np.lib.format.open_memmap(
        out / "crops.npy", mode="w+", dtype=np.uint8, shape=(count, _CROP_PX, _CROP_PX, 3)
    )
    landmarks = np.zeros((count, 5, 2), np.float32)
    frame = TEMPLATE_PX + _MARGIN_PX
    small = _CROP_PX / (_CROP_PX + 2 * _MARGIN_PX)

    def keep(row: int, picture: NDArray[np.uint8], keypoints: NDArray[np.float64]) -> None:
        matrix = alignment(keypoints, frame * small)
        if (zoom := math.hypot(matrix[0, 0], matrix[1, 0])) < 1:
            picture = cv2.GaussianBlur(picture, (0, 0), 0.35 / zoom).astype(np.uint8)
        crops[row] = cv2.warpAffine(picture, matrix, (_CROP_PX, _CROP_PX))
        landmarks[row] = keypoints @ matrix[:, :2].T + matrix[:, 2]

    for pair in range(0, identities, 2):
        people = [draw_identity(seed * 1_000_000 + number) for number in range(pair, min(pair + 2, identities))]
        for drawing in range(_DRAWINGS // 2):
            for number, person in enumerate(people, start=pair):
                portrait = draw_portrait(person, drawing, size_px=int(rng.choice((128, 192, 256))))
                keep(number * _DRAWINGS + drawing, portrait.picture, portrait.keypoints_px)
            scene = draw_scene(int(rng.integers(TRAIN_SEEDS.stop)), identities=people)
            for number, figure in enumerate(scene.figures, start=pair):
                keep(number * _DRAWINGS + _DRAWINGS // 2 + drawing, scene.picture, figure.keypoints_px)
    crops.flush()
    np.save(out / "landmarks.npy", landmarks)


def recogniser_batches(cache: Path, *, identities: int, identity_seed: int, seed: int, batch: int) -> Iterator[Faces]:
    """Endless batches of cached faces, with landmarks off as a detector leaves them and pictures degraded."""
    rng = np.random.default_rng([seed, 22])
    crops, landmarks = np.load(cache / "crops.npy", mmap_mode="r"), np.load(cache / "landmarks.npy")
    known = [parameters_of(draw_identity(identity_seed * 1_000_000 + number)) for number in range(identities)]
    sizes, marks = np.stack([k[0] for k in known]), np.stack([k[1] for k in known])
    while True:
        rows = rng.integers(0, len(landmarks), batch)
        x = np.stack([_view(crops[row], landmarks[row], rng) for row in rows])
        person = rows // _DRAWINGS
        yield Faces(
            crops=torch.from_numpy(x).permute(0, 3, 1, 2).float().sub(127.5).div(127.5),
            person=torch.from_numpy(person),
            sizes=torch.from_numpy(sizes[person]),
            marks=torch.from_numpy(marks[person]),
        )


def _view(crop: NDArray[np.uint8], landmarks: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.uint8]:
    eyes = float(np.hypot(*(landmarks[1] - landmarks[0])))
    found = landmarks + rng.normal(0, 0.05, (5, 2)) * eyes + rng.normal(0, 0.03, 2) * eyes
    worse = degrade(np.asarray(crop), rng, softest_px=36)
    if rng.random() < 0.25:
        worse = cut_out(worse, rng, share=0.3)
    return np.asarray(cv2.warpAffine(worse, alignment(found, TEMPLATE_PX), (_CROP_PX, _CROP_PX)), dtype=np.uint8)
