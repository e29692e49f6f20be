"""What one finished case is worth, and what a row of them comes to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.orders import Region
from worker.concepts.boxes import iou
from worker.mini.measure.casts import Case, draw_others
from worker.mini.measure.judge import Judge, Seen
from worker.mini.measure.place import PlaceReader
from worker.mini.measure.play import Made, Play
from worker.mini.measure.scores import Estimate, identity_score, is_first, is_swapped, mean, rate, share_of_way
from worker.mini.measure.surroundings import far_outside, psnr_db, seam_ratio, ssim

# A face belongs to a concept when it lies on the face that the template has there.
_SAME_FACE_IOU = 0.2
# One latent, 8 px, and as much again for what the decoder spreads.
_REACH_PX = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """What a case's identity score could be: of the true people as the world draws them, and of strangers.

    ceiling_vae: of the same drawing after the VAE.
    """

    references: NDArray[np.float32]
    ceiling: float
    ceiling_vae: float
    floor: float


@dataclass(frozen=True, kw_only=True)
class Marks:
    """One finished case. first, swapped, faceless: counts of concepts out of `people`; the rest as in `Row` figures."""

    people: int
    identity: float
    bounds: Bounds
    first: int
    swapped: int
    faceless: int
    psnr_db: float
    far_psnr_db: float
    ssim: float
    seam: float
    cast_found: bool
    place_seen: bool


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A case that the stages refused, with the code of their error."""

    code: str
    people: int
    bounds: Bounds


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A row as far as it has come."""

    marks: list[Marks] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class Examiner:
    """Marks finished cases. What follows from a case alone is found once."""

    def __init__(self, judge: Judge, places: PlaceReader, strangers: NDArray[np.float32], seed: int) -> None:
        self._judge = judge
        self._places = places
        self._strangers = strangers
        self._seed = seed
        self._bounds: dict[tuple[int, int], Bounds] = {}

    def mark(self, play: Play, case: Case, made: Made) -> Marks:
        """What the finished case is worth."""
        bounds = self._bounds_of(play, case)
        seen = self._judge.look(made.picture)
        own = [_face_of(region, seen) for region in made.where.regions]
        found = [(concept, face.embedding) for concept, face in enumerate(own) if face is not None]
        references, masks = bounds.references, made.where.masks
        outside = masks == 0
        return Marks(
            people=case.people,
            identity=identity_score([face.embedding for face in seen], references),
            bounds=bounds,
            first=sum(is_first(face, references[concept], self._strangers) for concept, face in found),
            swapped=sum(is_swapped(face, concept, references) for concept, face in found),
            faceless=case.people - len(found),
            psnr_db=psnr_db(made.picture, made.template, outside),
            far_psnr_db=psnr_db(made.picture, made.template, far_outside(masks, _REACH_PX)),
            ssim=ssim(made.picture, made.template, outside),
            seam=seam_ratio(made.picture, made.template, masks),
            cast_found=play.finds_cast(case, made),
            place_seen=self._places.read(made.picture) == case.scene.place,
        )

    def refuse(self, play: Play, case: Case, code: str) -> Refusal:
        """What is known of a case that the stages refused."""
        return Refusal(code=code, people=case.people, bounds=self._bounds_of(play, case))

    def _bounds_of(self, play: Play, case: Case) -> Bounds:
        key = (case.number, case.people)
        if key not in self._bounds:
            references = np.stack([self._judge.know(portrait) for portrait in case.portraits])
            pictures = (
                case.scene.picture,
                play.through_vae(case.scene.picture),
                draw_others(case, self._seed).picture,
            )
            scores = [
                identity_score([face.embedding for face in self._judge.look(picture)], references)
                for picture in pictures
            ]
            self._bounds[key] = Bounds(references=references, ceiling=scores[0], ceiling_vae=scores[1], floor=scores[2])
        return self._bounds[key]


def figures_of(tally: Tally) -> dict[str, Estimate]:
    """Every figure of a row, in the order of the table.

    Over the jobs that were served; over all of them, with nothing for the refused, where the name ends in `_of_all`.
    """
    marks, refused = tally.marks, tally.refused
    people, turned_away = sum(one.people for one in marks), sum(one.people for one in refused)
    faceless, first = sum(one.faceless for one in marks), sum(one.first for one in marks)
    scores, floors = [one.identity for one in marks], [one.bounds.floor for one in marks]
    ceilings = [one.bounds.ceiling for one in marks]
    all_scores = scores + [0.0] * len(refused)
    all_floors = floors + [one.bounds.floor for one in refused]
    all_ceilings = ceilings + [one.bounds.ceiling for one in refused]
    return {
        "served": rate(len(marks), len(marks) + len(refused)),
        "top1": rate(first, people),
        "top1_of_all": rate(first, people + turned_away),
        "swap_rate": rate(sum(one.swapped for one in marks), people - faceless),
        "faceless_rate": rate(faceless, people),
        "identity": mean(scores),
        "identity_share": share_of_way(scores, floors, ceilings),
        "identity_share_of_all": share_of_way(all_scores, all_floors, all_ceilings),
        "identity_floor": mean(floors),
        "identity_ceiling": mean(ceilings),
        "identity_ceiling_vae": mean([one.bounds.ceiling_vae for one in marks]),
        "background_psnr_db": mean(_known([one.psnr_db for one in marks])),
        "background_far_psnr_db": mean(_known([one.far_psnr_db for one in marks])),
        "background_ssim": mean(_known([one.ssim for one in marks])),
        "seam_ratio": mean(_known([one.seam for one in marks])),
        "cast_found": rate(sum(one.cast_found for one in marks), len(marks)),
        "place_seen": rate(sum(one.place_seen for one in marks), len(marks)),
    }


def _face_of(region: Region, seen: Sequence[Seen]) -> Seen | None:
    """The face of the picture that lies where the concept's face was in the template."""
    best = max(seen, key=lambda face: iou(face.box_px, region.face_box_px), default=None)
    return best if best is not None and iou(best.box_px, region.face_box_px) >= _SAME_FACE_IOU else None


def _known(values: Sequence[float]) -> list[float]:
    """The values of the cases that have one: where masks cover everything there is no background."""
    return [value for value in values if not math.isnan(value)]
