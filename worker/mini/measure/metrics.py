"""Metrics of one case, and the figures of a row of cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.orders import Region
from worker.concepts.boxes import iou
from worker.mini.measure.background import far_outside, psnr_db, seam_ratio, ssim
from worker.mini.measure.cases import Case, draw_others
from worker.mini.measure.pipeline import Pipeline, PipelineOutput
from worker.mini.measure.place import PlaceReader
from worker.mini.measure.recogniser import RecognisedFace, Recogniser
from worker.mini.measure.scores import Estimate, identity_score, is_first, is_swapped, mean, rate, share_of_way

# Minimum overlap of a face with the concept's face in the template.
_SAME_FACE_IOU = 0.2
# One latent, 8 px, and as much again for the reach of the decoder.
_REACH_PX = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Bounds:
    """Bounds of a case's identity score. ceiling: of the true people as the world draws them; floor: of strangers.

    ceiling_vae: of the same drawing after the VAE.
    """

    references: NDArray[np.float32]
    ceiling: float
    ceiling_vae: float
    floor: float


@dataclass(frozen=True, kw_only=True)
class CaseMetrics:
    """Metrics of one case. first, swapped, faceless: counts of concepts; the rest as in `Row` figures."""

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
class RejectedCase:
    """A case that a stage rejected, with the code of its error."""

    code: str
    people: int
    bounds: Bounds


@dataclass(frozen=True, kw_only=True)
class RowResults:
    """Results of a row so far."""

    metrics: list[CaseMetrics] = field(default_factory=list)
    rejected: list[RejectedCase] = field(default_factory=list)


class Scorer:
    """Computes the metrics of cases. The bounds of a case are computed once."""

    def __init__(self, recogniser: Recogniser, places: PlaceReader, strangers: NDArray[np.float32], seed: int) -> None:
        self._recogniser = recogniser
        self._places = places
        self._strangers = strangers
        self._seed = seed
        self._bounds: dict[tuple[int, int], Bounds] = {}

    def score(self, pipeline: Pipeline, case: Case, made: PipelineOutput) -> CaseMetrics:
        """The metrics of a finished case."""
        bounds = self._bounds_of(pipeline, case)
        faces = self._recogniser.recognise(made.picture)
        own = [_face_of(region, faces) for region in made.where.regions]
        found = [(concept, face.embedding) for concept, face in enumerate(own) if face is not None]
        references, masks = bounds.references, made.where.masks
        outside = masks == 0
        return CaseMetrics(
            people=case.people,
            identity=identity_score([face.embedding for face in faces], references),
            bounds=bounds,
            first=sum(is_first(face, references[concept], self._strangers) for concept, face in found),
            swapped=sum(is_swapped(face, concept, references) for concept, face in found),
            faceless=case.people - len(found),
            psnr_db=psnr_db(made.picture, made.template, outside),
            far_psnr_db=psnr_db(made.picture, made.template, far_outside(masks, _REACH_PX)),
            ssim=ssim(made.picture, made.template, outside),
            seam=seam_ratio(made.picture, made.template, masks),
            cast_found=pipeline.finds_cast(case, made),
            place_seen=self._places.read(made.picture) == case.scene.place,
        )

    def reject(self, pipeline: Pipeline, case: Case, code: str) -> RejectedCase:
        """The record of a case that a stage rejected."""
        return RejectedCase(code=code, people=case.people, bounds=self._bounds_of(pipeline, case))

    def _bounds_of(self, pipeline: Pipeline, case: Case) -> Bounds:
        key = (case.number, case.people)
        if key not in self._bounds:
            references = np.stack([self._recogniser.embed(portrait) for portrait in case.portraits])
            pictures = (
                case.scene.picture,
                pipeline.through_vae(case.scene.picture),
                draw_others(case, self._seed).picture,
            )
            scores = [
                identity_score([face.embedding for face in self._recogniser.recognise(picture)], references)
                for picture in pictures
            ]
            self._bounds[key] = Bounds(references=references, ceiling=scores[0], ceiling_vae=scores[1], floor=scores[2])
        return self._bounds[key]


def figures_of(results: RowResults) -> dict[str, Estimate]:
    """Every figure of a row, in the order of the table.

    Over the jobs that were served. Figures whose name ends in `_of_all` are over all jobs, with 0 for rejected ones.
    """
    metrics, rejected = results.metrics, results.rejected
    people, rejected_people = sum(one.people for one in metrics), sum(one.people for one in rejected)
    faceless, first = sum(one.faceless for one in metrics), sum(one.first for one in metrics)
    scores, floors = [one.identity for one in metrics], [one.bounds.floor for one in metrics]
    ceilings = [one.bounds.ceiling for one in metrics]
    all_scores = scores + [0.0] * len(rejected)
    all_floors = floors + [one.bounds.floor for one in rejected]
    all_ceilings = ceilings + [one.bounds.ceiling for one in rejected]
    return {
        "served": rate(len(metrics), len(metrics) + len(rejected)),
        "top1": rate(first, people),
        "top1_of_all": rate(first, people + rejected_people),
        "swap_rate": rate(sum(one.swapped for one in metrics), people - faceless),
        "faceless_rate": rate(faceless, people),
        "identity": mean(scores),
        "identity_share": share_of_way(scores, floors, ceilings),
        "identity_share_of_all": share_of_way(all_scores, all_floors, all_ceilings),
        "identity_floor": mean(floors),
        "identity_ceiling": mean(ceilings),
        "identity_ceiling_vae": mean([one.bounds.ceiling_vae for one in metrics]),
        "background_psnr_db": mean(_known([one.psnr_db for one in metrics])),
        "background_far_psnr_db": mean(_known([one.far_psnr_db for one in metrics])),
        "background_ssim": mean(_known([one.ssim for one in metrics])),
        "seam_ratio": mean(_known([one.seam for one in metrics])),
        "cast_found": rate(sum(one.cast_found for one in metrics), len(metrics)),
        "place_seen": rate(sum(one.place_seen for one in metrics), len(metrics)),
    }


def _face_of(region: Region, seen: Sequence[RecognisedFace]) -> RecognisedFace | None:
    """The face of the picture at the place of the concept's face in the template."""
    best = max(seen, key=lambda face: iou(face.box_px, region.face_box_px), default=None)
    return best if best is not None and iou(best.box_px, region.face_box_px) >= _SAME_FACE_IOU else None


def _known(values: Sequence[float]) -> list[float]:
    """The values of the cases that have one: there is no background when masks cover everything."""
    return [value for value in values if not math.isnan(value)]
