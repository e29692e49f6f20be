"""Who is where: one person of the picture for each concept, or a reason why not.

A wrong answer is worse than none. So a concept takes only people that the detector clearly means; where it means
several, the phrase's place words choose among them; and when two concepts are left with the same person, neither gets
another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from worker.concepts.boxes import Box, Candidate, centre_x, distinct, iou
from worker.concepts.places import place_in_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# Published demos of Grounding DINO use 0.35 for boxes.
THRESHOLD = 0.35
# A score under this share of the phrase's best does not compete with it; what is above is left to the place words.
_COMPETES = 0.5
_TAKEN_IOU = 0.5
_IMPOSSIBLE = 1e6
# Less than any difference of scores that means something, more than rounding.
_TIE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Match:
    """The person of one concept: its index, the box in pixels, and the detector's score (1 for a chosen box)."""

    concept: int
    box_px: Box
    score: float


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Everybody was found: one match a concept, in the order of the concepts, no box twice."""

    matches: tuple[Match, ...]


@dataclass(frozen=True, kw_only=True)
class NobodyFound:
    """The detector sees nobody for these concepts; `best_score` is the most any of them reached."""

    concepts: tuple[int, ...]
    best_score: float


@dataclass(frozen=True, kw_only=True)
class SamePerson:
    """These concepts (two or more) have fewer people between them than they are; `box_px` is the one they share."""

    concepts: tuple[int, ...]
    box_px: Box


Outcome = Matched | NobodyFound | SamePerson


def assign(
    phrases: Sequence[str],
    candidates: Sequence[Sequence[Candidate]],
    *,
    everybody: Sequence[Candidate] = (),
    chosen: Mapping[int, Box] | None = None,
    threshold: float = THRESHOLD,
) -> Outcome:
    """Give each concept its person.

    candidates: one list a phrase, as the detector gives them. everybody: people whom no phrase may mean, but who count
    when a place in the row does. chosen: boxes that a human drew, by concept; they are
    taken as they are and their people are out of reach for everybody else. Ties go from left to right in the order of
    the concepts, so that "a woman" and "a woman" are the left and the right one.
    Raises ValueError when `candidates` is not one list a phrase.
    """
    if len(phrases) != len(candidates):
        raise ValueError(f"{len(phrases)} phrases but {len(candidates)} lists of candidates")
    chosen = chosen or {}
    open_concepts = [concept for concept in range(len(phrases)) if concept not in chosen]
    found = [*everybody, *(one for concept in open_concepts for one in candidates[concept])]
    people = _row([one for one in found if one.score >= threshold])
    scores = np.zeros((len(open_concepts), len(people)))
    for row, concept in enumerate(open_concepts):
        for column, person in enumerate(people):
            near = [one.score for one in candidates[concept] if iou(one.box_px, person) >= _TAKEN_IOU]
            scores[row, column] = max(near, default=0.0)
    meant = [_meant(phrases[concept], scores[row], threshold) for row, concept in enumerate(open_concepts)]
    missing = [row for row, columns in enumerate(meant) if not columns]
    if missing:
        best = max((one.score for row in missing for one in candidates[open_concepts[row]]), default=0.0)
        return NobodyFound(concepts=tuple(open_concepts[row] for row in missing), best_score=best)
    for row, columns in enumerate(meant):
        free = [c for c in columns if all(iou(people[c], box) < _TAKEN_IOU for box in chosen.values())]
        if not free:
            taken = people[columns[0]]
            owner = max(chosen, key=lambda concept: iou(taken, chosen[concept]))
            return SamePerson(concepts=tuple(sorted((open_concepts[row], owner))), box_px=taken)
        meant[row] = free
    return _one_to_one(open_concepts, people, scores, meant, chosen)


def _row(found: Sequence[Candidate]) -> list[Box]:
    """The people of the picture from left to right, whatever phrase found them."""
    return sorted((one.box_px for one in distinct(found)), key=lambda box: (centre_x(box), box))


def _meant(phrase: str, scores: NDArray[np.float64], threshold: float) -> list[int]:
    """The people a phrase may mean: near the best score, and at the place the phrase says.

    The place counts in the whole row first ("the woman second from the left" of everybody), then among those the phrase
    may mean ("the woman on the right" of two women who stand left of a man).
    """
    best = scores.max(initial=0.0)
    if best < threshold:
        return []
    plausible = [int(column) for column in np.flatnonzero(scores >= max(threshold, _COMPETES * best))]
    in_row = place_in_row(phrase, len(scores))
    if in_row is None or len(plausible) == 1:
        return plausible
    there = [column for column in plausible if column in in_row]
    among = place_in_row(phrase, len(plausible)) or ()
    return there or [plausible[index] for index in among]


def _one_to_one(
    concepts: Sequence[int],
    people: Sequence[Box],
    scores: NDArray[np.float64],
    meant: Sequence[Sequence[int]],
    chosen: Mapping[int, Box],
) -> Outcome:
    """The assignment of most score (Kuhn 1955, as scipy has it) among the people that are meant."""
    cost = np.full(scores.shape, _IMPOSSIBLE)
    for row, columns in enumerate(meant):
        for column in columns:
            # A square is convex, so of equal sums the one that keeps the order of concepts from left to right is least.
            cost[row, column] = -scores[row, column].round(3) + _TIE * (row - column) ** 2 / max(scores.size, 1) ** 2
    rows, columns = linear_sum_assignment(cost) if len(people) else ((), ())
    got = {int(row): int(column) for row, column in zip(rows, columns, strict=True) if column in meant[int(row)]}
    for row in range(len(concepts)):
        if row not in got:
            wanted = meant[row][0]
            rivals = [other for other, column in got.items() if column in meant[row]]
            return SamePerson(concepts=tuple(sorted(concepts[r] for r in (row, *rivals))), box_px=people[wanted])
    found = [
        Match(concept=concepts[row], box_px=people[column], score=float(scores[row, column]))
        for row, column in got.items()
    ]
    found += [Match(concept=concept, box_px=box, score=1.0) for concept, box in chosen.items()]
    return Matched(matches=tuple(sorted(found, key=lambda match: match.concept)))
