"""Detect: the region of every concept in the template, or an error that tells the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.errors import NoTemplateFace, PhraseNotFound, SamePerson
from shared.job import MaskKind
from shared.orders import DetectConcept, Region
from worker.blend.masks import Area, draw_mask, make_exclusive
from worker.concepts.assign import Match, NobodyFound, assign
from worker.concepts.assign import SamePerson as OnePerson
from worker.concepts.boxes import Candidate
from worker.concepts.template_faces import faces_of
from worker.models.bundle import Detection
from worker.models.dino import detect_phrases

OnStep = Callable[[int, int], object]
_STEPS = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectedRegions:
    """regions: in the order of the concepts; masks: (H, W), i + 1 where concept i may draw."""

    regions: tuple[Region, ...]
    masks: NDArray[np.uint8]


def detect(
    detection: Detection,
    template: NDArray[np.uint8],
    concepts: Sequence[DetectConcept],
    mask: MaskKind,
    on_step: OnStep,
) -> DetectedRegions:
    """Every concept's region in the template (H, W, 3) RGB.

    Raises PhraseNotFound, SamePerson or NoTemplateFace: a wrong match would put a face on the wrong body.
    """
    on_step(0, _STEPS)
    matches = _find_people(detection, template, concepts)
    on_step(1, _STEPS)
    faces = detection.faces.find(template)
    owned = faces_of([match.box_px for match in matches], [face.box_px for face in faces])
    on_step(2, _STEPS)
    regions = []
    for match, face in zip(matches, owned, strict=True):
        asked = concepts[match.concept]
        if face is None:
            message = f"the person found for {asked.phrase!r} shows no face in the template; another seed may help"
            raise NoTemplateFace(message)
        regions.append(
            Region(
                concept=match.concept,
                phrase=asked.phrase,
                box_px=match.box_px,
                score=match.score,
                explicit=asked.box_px is not None,
                face_box_px=faces[face].box_px,
                keypoints_px=faces[face].keypoints_px,
            )
        )
    on_step(_STEPS, _STEPS)
    return DetectedRegions(regions=tuple(regions), masks=_numbered(regions, mask, template.shape[:2]))


def areas_of(regions: Sequence[Region]) -> list[Area]:
    """The regions as areas of the blend."""
    return [Area(box_px=region.box_px, score=region.score) for region in regions]


def _find_people(
    detection: Detection, template: NDArray[np.uint8], concepts: Sequence[DetectConcept]
) -> Sequence[Match]:
    phrases = [concept.phrase for concept in concepts]
    chosen = {index: concept.box_px for index, concept in enumerate(concepts) if concept.box_px is not None}
    asked = [index for index in range(len(concepts)) if index not in chosen]
    try:
        found = detect_phrases(detection.phrases, Image.fromarray(template), [phrases[index] for index in asked])
    except ValueError as error:
        # A phrase without words, or more tokens than the detector reads.
        raise PhraseNotFound(str(error)) from error
    candidates: list[Sequence[Candidate]] = [()] * len(concepts)
    for index, own in zip(asked, found.candidates, strict=True):
        candidates[index] = own
    outcome = assign(phrases, candidates, everybody=found.everybody, chosen=chosen)
    if isinstance(outcome, NobodyFound):
        missing = ", ".join(repr(phrases[concept]) for concept in outcome.concepts)
        message = f"nobody in the template answers to {missing} (best score {outcome.best_score:.2f})"
        raise PhraseNotFound(message)
    if isinstance(outcome, OnePerson):
        rivals = " and ".join(repr(phrases[concept]) for concept in outcome.concepts)
        message = f"{rivals} find only the same person; say who stands where ('on the left'), or give a box_px"
        raise SamePerson(message)
    return outcome.matches


def _numbered(regions: Sequence[Region], mask: MaskKind, size: tuple[int, int]) -> NDArray[np.uint8]:
    height_px, width_px = size
    areas = areas_of(regions)
    drawn = [draw_mask(area, mask, width_px=width_px, height_px=height_px) for area in areas]
    numbered = np.zeros((height_px, width_px), np.uint8)
    for region, own in zip(regions, make_exclusive(drawn, areas), strict=True):
        numbered[own.numpy() > 0] = region.concept + 1
    return numbered
