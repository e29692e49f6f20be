from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.concepts.boxes import Box, Candidate, area, centre_x, distinct, iou

_EDGE = st.floats(0, 500, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(_EDGE), draw(_EDGE)
    return (x, y, x + draw(st.floats(1, 200)), y + draw(st.floats(1, 200)))


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_between_zero_and_one(a: Box, b: Box) -> None:
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, b) == pytest.approx(iou(b, a))


@given(boxes())
def test_a_box_overlaps_itself_fully(box: Box) -> None:
    assert iou(box, box) == pytest.approx(1)


@given(boxes())
def test_boxes_side_by_side_do_not_overlap(box: Box) -> None:
    width = box[2] - box[0]
    assert iou(box, (box[2], box[1], box[2] + width, box[3])) == 0


def test_an_inverted_box_has_no_area() -> None:
    assert area((10, 10, 5, 20)) == 0
    assert centre_x((10, 0, 20, 5)) == 15


@given(st.lists(st.builds(Candidate, box_px=boxes(), score=st.floats(0, 1)), max_size=12))
def test_suppression_keeps_the_best_and_no_two_of_one_person(candidates: list[Candidate]) -> None:
    kept = distinct(candidates)
    assert {one.box_px for one in kept} <= {one.box_px for one in candidates}
    for index, one in enumerate(kept):
        assert all(iou(one.box_px, other.box_px) < 0.6 for other in kept[:index])
    for one in candidates:
        assert any(other.score >= one.score and iou(one.box_px, other.box_px) >= 0.6 - 1e-9 for other in kept)


@given(st.lists(st.builds(Candidate, box_px=boxes(), score=st.floats(0, 1)), max_size=8), st.randoms())
def test_suppression_does_not_depend_on_the_order(candidates: list[Candidate], random: object) -> None:
    shuffled = sorted(candidates, key=lambda _: random.random())  # type: ignore[attr-defined]
    assert distinct(shuffled) == distinct(candidates)
