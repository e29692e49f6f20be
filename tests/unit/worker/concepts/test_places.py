from __future__ import annotations

import pytest

from worker.concepts.places import place_in_row, without_place


@pytest.mark.parametrize(
    ("phrase", "count", "expected"),
    [
        ("a woman", 3, None),
        ("the man with the right attitude", 3, None),
        ("a man who left early", 3, None),
        ("the woman on the left", 3, (0,)),
        ("The Leftmost Person", 3, (0,)),
        ("the man on the far right", 4, (3,)),
        ("the man on the right side", 2, (1,)),
        ("the child in the middle", 3, (1,)),
        ("the child in the center", 5, (2,)),
        ("the child in the middle", 4, (1, 2)),
        ("the man second from the left", 4, (1,)),
        ("the man second from the right", 5, (3,)),
        ("third person from the left", 5, (2,)),
        ("the man second from the left", 1, ()),
        ("the man on the left", 0, ()),
    ],
)
def test_place_words_point_into_the_row(phrase: str, count: int, expected: tuple[int, ...] | None) -> None:
    assert place_in_row(phrase, count) == expected


@pytest.mark.parametrize(
    ("phrase", "bare"),
    [
        ("the woman on the left", "the woman"),
        ("the man on the right side", "the man"),
        ("The Leftmost Person", "the person"),
        ("the man second from the left", "the man"),
        ("third person from the left", "third person from the left"),
        ("the child in the  middle with red hair", "the child with red hair"),
        ("the man with the right attitude", "the man with the right attitude"),
        ("on the left", "on the left"),
    ],
)
def test_a_phrase_without_its_place_words_says_who_is_meant(phrase: str, bare: str) -> None:
    assert without_place(phrase) == bare
