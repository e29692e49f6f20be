"""When a picture falls short, and which of several is the best."""

from __future__ import annotations

import pytest

from shared.verification import Swap, Try, Verification, VerifiedFace, best_of, seed_of_try, shortfalls


def found(*identities: float | None, swaps: int = 0) -> Verification:
    faces = [
        VerifiedFace(concept=concept, identity=one, face_box_px=None if one is None else (0, 0, 9, 9))
        for concept, one in enumerate(identities)
    ]
    return Verification.of(faces, [Swap(concept=concept, nearer_to=1 - concept) for concept in range(swaps)])


def drawn(verification: Verification) -> Try:
    return Try(seed=0, verification=verification, outputs={}, picture="")


def test_the_smallest_identity_counts_and_there_is_none_without_all_faces() -> None:
    assert found(0.7, 0.4).min_identity == 0.4
    assert found(0.7, None).min_identity is None


def test_what_falls_short_is_said_in_words() -> None:
    assert shortfalls(found(0.7, 0.4), None) == shortfalls(found(0.7, 0.4), 0.4) == ()
    assert shortfalls(found(0.7, 0.4), 0.5) == ("the identity of concept 2 is 0.4, under 0.5",)
    assert shortfalls(found(None, 0.4, swaps=1), None) == (
        "the face of concept 1 is missing",
        "concept 1 looks more like concept 2",
    )


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (found(0.1, 0.1, swaps=2), found(None, 0.9)),
        (found(0.1, 0.2), found(0.8, 0.9, swaps=1)),
        (found(0.3, 0.3), found(0.9, 0.2)),
        (found(None, 0.3), found(None, 0.2)),
        (found(None, 0.3), found(None, None)),
    ],
)
def test_of_two_tries_the_better_is_kept_and_of_equal_ones_the_first(better: Verification, worse: Verification) -> None:
    assert best_of([drawn(worse), drawn(better)]) == 1
    assert best_of([drawn(better), drawn(worse), drawn(better)]) == 0


def test_the_first_try_has_the_jobs_own_seed_and_every_seed_is_allowed() -> None:
    assert [seed_of_try(7, number) for number in range(3)] == [7, 8, 9]
    assert seed_of_try(2**63 - 1, 1) == 0
