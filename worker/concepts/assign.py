"""Assigns one detected person to each concept, or gives the reason why that is not possible.

A wrong assignment is worse than none. A concept is therefore assigned only to people that the detector clearly means.
If the detector means several, the place words of the phrase select among them. If two concepts are left with the same
person, neither is assigned to another one.
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
# A person is plausible for a phrase if the score reaches this fraction of the phrase's best.
_PLAUSIBLE = 0.5
_TAKEN_IOU = 0.5
_IMPOSSIBLE = 1e6
# Smaller than any meaningful difference of two scores, larger than a rounding error.
_TIE = 1e-4


@dataclass(frozen=True, kw_only=True)
class Match:
    """The person of one concept: index of the concept, box in pixels, score of the detector (1 for a chosen box)."""

    concept: int
    box_px: Box
    score: float


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Every person was found: one match for each concept, in the order of the concepts; no box occurs twice."""

    matches: tuple[Match, ...]


@dataclass(frozen=True, kw_only=True)
class NobodyFound:
    """The detector found no person for these concepts; `best_score` is the highest score of any of them."""

    concepts: tuple[int, ...]
    best_score: float


@dataclass(frozen=True, kw_only=True)
class SamePerson:
    """These concepts (two or more) match fewer people than there are concepts; `box_px` is a person they share."""

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
    """The person of each concept.

    candidates: one list for each phrase, from the detector. everybody: all people of the picture; those that no phrase
    means count only for places in the row. chosen: boxes that the request gives, by concept; they are used unchanged,
    and no other concept gets their people. Equal scores are resolved from left to right in the order of the concepts,
    so "a woman" and "a woman" are the left and the right one.
    Raises ValueError if the numbers of lists and phrases differ.
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
    """All people of the picture from left to right."""
    return sorted((one.box_px for one in distinct(found)), key=lambda box: (centre_x(box), box))


def _meant(phrase: str, scores: NDArray[np.float64], threshold: float) -> list[int]:
    """The people that a phrase may mean: their score is near the best, and they stand at the place that it names.

    The place is looked up in the row of all people first ("the woman second from the left"), then among the plausible
    ones ("the woman on the right" of two women who stand left of a man).
    """
    best = scores.max(initial=0.0)
    if best < threshold:
        return []
    plausible = [int(column) for column in np.flatnonzero(scores >= max(threshold, _PLAUSIBLE * best))]
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
    """The assignment with the highest sum of scores (Kuhn 1955, by scipy) among the people that are meant."""
    cost = np.full(scores.shape, _IMPOSSIBLE)
    for row, columns in enumerate(meant):
        for column in columns:
            # A square is convex: of equal sums, the one that keeps the order from left to right is smallest.
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
