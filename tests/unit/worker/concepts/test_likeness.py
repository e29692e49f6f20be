"""How much a face is somebody's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.concepts.likeness import likeness


def row(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def test_a_face_is_as_alike_as_the_best_photo_says() -> None:
    photos = np.stack([row(0, 1), row(3, 4), row(-1, 0)])
    assert likeness(row(2, 0), [photos, row(0, 5)[None]]) == pytest.approx([0.6, 0.0])


def test_an_embedding_of_nothing_is_like_nobody() -> None:
    assert likeness(row(0, 0), [row(1, 1)[None]]) == [0.0]


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=3), st.floats(0.01, 100))
def test_the_length_of_an_embedding_does_not_matter(numbers: list[float], times: float) -> None:
    face, other = row(1, 2, 3), row(*numbers)
    found = likeness(face, [other[None]])[0]
    assert -1.0001 <= found <= 1.0001
    if np.linalg.norm(other) > 0.01:
        assert likeness(face * np.float32(times), [(other * np.float32(times))[None]])[0] == pytest.approx(
            found, abs=1e-4
        )
