"""Which place a picture shows, by a linear classifier on a few pixels, fitted when it is asked for."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from worker.mini.measure.scores import Estimate, rate
from worker.mini.world import EVAL_SEEDS, PLACES, TRAIN_SEEDS, Scene, draw_scene

_SIDE_PX = 16
_RIDGE = 30.0
_FIRST = 7_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class PlaceReader:
    """weights: (pixels + 1, places). accuracy: on drawn scenes of evaluation seeds."""

    weights: NDArray[np.float64]
    accuracy: Estimate

    def read(self, picture: NDArray[np.uint8]) -> str:
        """The place of an RGB picture (H, W, 3)."""
        return list(PLACES)[int((_pixels(picture) @ self.weights).argmax())]


def fit_place_reader(*, scenes: int = 600, tests: int = 200) -> PlaceReader:
    """The least squares of the places' indicators over drawn training scenes, with a ridge."""
    seen = [_scene(TRAIN_SEEDS.start + _FIRST, number) for number in range(scenes)]
    x = np.stack([_pixels(scene.picture) for scene in seen])
    y = np.array([[scene.place == place for place in PLACES] for scene in seen], dtype=np.float64)
    weights = np.asarray(np.linalg.solve(x.T @ x + _RIDGE * np.eye(x.shape[1]), x.T @ y), dtype=np.float64)
    unseen = [_scene(EVAL_SEEDS.start + _FIRST, number) for number in range(tests)]
    reader = PlaceReader(weights=weights, accuracy=rate(0, 0))
    right = sum(reader.read(scene.picture) == scene.place for scene in unseen)
    return PlaceReader(weights=weights, accuracy=rate(right, tests))


def _scene(first: int, number: int) -> Scene:
    return draw_scene(first + number, people=number % 4 + 1)


def _pixels(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    small = cv2.resize(picture, (_SIDE_PX, _SIDE_PX), interpolation=cv2.INTER_AREA)
    return np.append(small.astype(np.float64).ravel() / 255 - 0.5, 1.0)
