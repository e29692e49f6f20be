"""The numbers of the measure: scores of vectors and counts, each with its 95 % interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RESAMPLES = 2000
_Z = 1.959964


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure, its 95 % interval, and the number of cases it comes from. All three are NaN without cases."""

    value: float
    low: float
    high: float
    cases: int


def nothing() -> Estimate:
    """What is known of no cases."""
    return Estimate(value=math.nan, low=math.nan, high=math.nan, cases=0)


def rate(hits: int, cases: int) -> Estimate:
    """A share of cases with Wilson's interval (Wilson 1927, equation 2)."""
    if cases == 0:
        return nothing()
    share, spread = hits / cases, _Z**2 / cases
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / cases + spread / (4 * cases)) / (1 + spread)
    return Estimate(value=share, low=max(0.0, middle - half), high=min(1.0, middle + half), cases=cases)


def mean(values: Sequence[float]) -> Estimate:
    """The mean with the percentile interval of a bootstrap over cases (Efron 1979). The resamples are always alike."""
    if not values:
        return nothing()
    numbers = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(numbers[_resamples(len(numbers))].mean(axis=1), (2.5, 97.5))
    return Estimate(value=float(numbers.mean()), low=float(low), high=float(high), cases=len(numbers))


def share_of_way(scores: Sequence[float], floors: Sequence[float], ceilings: Sequence[float]) -> Estimate:
    """How far the mean score is from the mean floor to the mean ceiling, as a share. One entry of each a case."""
    if not scores:
        return nothing()
    rows = np.stack([np.asarray(one, dtype=np.float64) for one in (scores, floors, ceilings)])
    means = rows[:, _resamples(len(scores))].mean(axis=2)
    low, high = np.percentile(_way(*means), (2.5, 97.5))
    return Estimate(value=float(_way(*rows.mean(axis=1))), low=float(low), high=float(high), cases=len(scores))


def greedy(cosines: NDArray[np.float32]) -> list[float]:
    """The score of every reference when faces go to references greedily, the most alike pair first.

    cosines: (faces, references). A reference for which no face is left scores 0 (FastComposer, arXiv 2305.10431,
    section 5.1).
    """
    scores = [0.0] * cosines.shape[1]
    left = cosines.astype(np.float64)
    for _ in range(min(cosines.shape)):
        face, reference = np.unravel_index(int(left.argmax()), left.shape)
        scores[int(reference)] = float(left[face, reference])
        left[face, :] = left[:, reference] = -np.inf
    return scores


def identity_score(faces: Sequence[NDArray[np.float32]], references: NDArray[np.float32]) -> float:
    """The least of the references' scores. faces: each (512,), of length 1; references: (concepts, 512)."""
    if not faces:
        return 0.0
    return min(greedy(np.stack(list(faces)) @ references.T))


def is_first(face: NDArray[np.float32], own: NDArray[np.float32], strangers: NDArray[np.float32]) -> bool:
    """Whether the face is nearer to its own reference (512,) than to every stranger (n, 512)."""
    return bool(face @ own > (strangers @ face).max())


def is_swapped(face: NDArray[np.float32], concept: int, references: NDArray[np.float32]) -> bool:
    """Whether the face of a concept is nearer to another concept's reference. references: (concepts, 512)."""
    return int((references @ face).argmax()) != concept


def _resamples(cases: int) -> NDArray[np.int64]:
    return np.random.default_rng(95).integers(cases, size=(_RESAMPLES, cases))


def _way(score: NDArray[np.float64], floor: NDArray[np.float64], ceiling: NDArray[np.float64]) -> NDArray[np.float64]:
    return (score - floor) / np.maximum(ceiling - floor, 1e-9)
