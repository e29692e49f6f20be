from __future__ import annotations

import pytest

from worker.concepts.places import place_in_row


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
