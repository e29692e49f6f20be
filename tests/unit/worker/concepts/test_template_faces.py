"""Each person's face in the template: their own, once, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.concepts.boxes import Box
from worker.concepts.template_faces import faces_of

LEFT, RIGHT = (0.0, 20.0, 60.0, 128.0), (50.0, 20.0, 120.0, 128.0)
LEFT_FACE, RIGHT_FACE = (10.0, 30.0, 50.0, 70.0), (65.0, 30.0, 105.0, 70.0)


def test_each_person_gets_the_face_in_their_own_box_whatever_the_order_of_faces() -> None:
    assert faces_of([LEFT, RIGHT], [LEFT_FACE, RIGHT_FACE]) == [0, 1]
    assert faces_of([LEFT, RIGHT], [RIGHT_FACE, LEFT_FACE]) == [1, 0]


def test_a_person_without_a_face_gets_none_even_where_another_face_is_near() -> None:
    assert faces_of([LEFT, RIGHT], [RIGHT_FACE]) == [None, 0]


def test_a_face_that_is_mostly_outside_the_box_is_somebody_elses() -> None:
    assert faces_of([(0.0, 0.0, 30.0, 128.0)], [(20.0, 20.0, 60.0, 60.0)]) == [None]


def test_of_two_faces_in_a_box_the_one_in_its_upper_middle_is_taken() -> None:
    person = (0.0, 0.0, 100.0, 128.0)
    assert faces_of([person], [(60.0, 80.0, 95.0, 115.0), (30.0, 10.0, 70.0, 50.0)]) == [1]


@pytest.mark.parametrize(("people", "faces"), [([], []), ([LEFT], []), ([], [LEFT_FACE])])
def test_nobody_or_no_face_is_no_error(people: list[Box], faces: list[Box]) -> None:
    assert faces_of(people, faces) == [None] * len(people)


boxes = st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(8, 100), st.floats(8, 100)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(st.lists(boxes, max_size=5), st.lists(boxes, max_size=5))
def test_no_face_is_given_twice(people: list[Box], faces: list[Box]) -> None:
    given_out = [face for face in faces_of(people, faces) if face is not None]
    assert len(given_out) == len(set(given_out))
    assert all(0 <= face < len(faces) for face in given_out)
