"""Runs cases through the stages as workers do, but without the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from shared.errors import RequestError
from shared.job import Concept, JobSpec, MaskKind, Sampling
from shared.limits import MINI_LIMITS
from shared.orders import DetectConcept, Drawing
from shared.presets import filled
from worker.concepts.boxes import iou
from worker.mini.measure.baselines import draw_together, paste_each
from worker.mini.measure.cases import Case
from worker.mini.measure.rows import Row
from worker.models.bundle import Detection, Generation
from worker.runner.orders import drawing_of
from worker.runner.personalize import personalize_order_of
from worker.stages.detect import DetectedRegions, detect
from worker.stages.identify import identify
from worker.stages.personalize import Cast, personalize
from worker.stages.render import Template, render

K = TypeVar("K")
V = TypeVar("V")
Embeddings = tuple[NDArray[np.float32], ...]
_FOUND_IOU = 0.5
# Orders name blobs, but nothing is stored here.
_NO_BLOB = "0" * 64


@dataclass(frozen=True, kw_only=True, eq=False)
class PipelineOutput:
    """The template of a case, the regions in it, and the final picture."""

    template: NDArray[np.uint8]
    where: DetectedRegions
    picture: NDArray[np.uint8]


class Pipeline:
    """The stages over one bundle. Identities, templates and regions that rows share are computed once."""

    def __init__(self, detection: Detection, generation: Generation) -> None:
        self._detection = detection
        self._generation = generation
        self._identities: dict[tuple[int, int], Embeddings] = {}
        self._templates: dict[tuple[int, Drawing], Template] = {}
        self._places: dict[tuple[int, Drawing, MaskKind], DetectedRegions] = {}

    def make(self, case: Case, row: Row) -> PipelineOutput:
        """The output of a case for a row. Raises a RequestError when a stage rejects the job."""
        identities = _once(self._identities, (case.number, case.people), lambda: self._identify(case))
        spec = spec_of(case, row)
        drawing = drawing_of(spec)
        template = self._template(case, drawing)
        where = self._where(case, drawing, row.mask)
        if row.method == "template":
            picture = template.picture
        elif row.method == "together":
            picture = draw_together(self._generation, drawing, identities, where.regions)
        elif row.method == "pasted":
            picture = paste_each(self._generation, drawing, identities, where, template.picture)
        else:
            cast = Cast(identities=identities, regions=where.regions, predictions=template.predictions)
            order = personalize_order_of(spec, bundle="mini", identities=_NO_BLOB, template=_NO_BLOB, regions=_NO_BLOB)
            picture = personalize(self._generation, order, cast, _silent)
        return PipelineOutput(template=template.picture, where=where, picture=picture)

    def finds_cast(self, case: Case, made: PipelineOutput) -> bool:
        """Whether the detector finds everyone in the final picture at their place in the template."""
        try:
            again = detect(self._detection, made.picture, _asked(case), "box", _silent)
        except RequestError:
            return False
        pairs = zip(again.regions, made.where.regions, strict=True)
        return all(iou(now.box_px, before.box_px) >= _FOUND_IOU for now, before in pairs)

    @torch.inference_mode()
    def through_vae(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture encoded and decoded: the upper bound of what latents can represent."""
        sdxl = self._generation.generator.sdxl
        vae = sdxl.pipeline.vae
        pixels = torch.from_numpy(picture.copy()).to(vae.device, vae.dtype).permute(2, 0, 1)[None] / 127.5 - 1
        return sdxl.decode(vae.encode(pixels).latent_dist.mode() * vae.config.scaling_factor)

    def _identify(self, case: Case) -> Embeddings:
        return identify(self._detection, [[photo] for photo in case.portraits], _silent).embeddings

    def _template(self, case: Case, drawing: Drawing) -> Template:
        return _once(self._templates, (case.number, drawing), lambda: render(self._generation, drawing, _silent))

    def _where(self, case: Case, drawing: Drawing, mask: MaskKind) -> DetectedRegions:
        def recognise() -> DetectedRegions:
            return detect(self._detection, self._template(case, drawing).picture, _asked(case), mask, _silent)

        return _once(self._places, (case.number, drawing, mask), recognise)


def spec_of(case: Case, row: Row) -> JobSpec:
    """The job as a client would send it, with the sampling of the mini bundle filled in as at submit."""
    width_px, height_px = case.size_px
    asked = row.sampling.model_dump(exclude_unset=True)
    sampling = filled(
        Sampling.model_validate({**asked, "width_px": width_px, "height_px": height_px, "seed": case.seed}), MINI_LIMITS
    )
    concepts = tuple(Concept(phrase=phrase, photos=(_NO_BLOB,)) for phrase in case.phrases)
    return JobSpec(prompt=case.scene.caption, concepts=concepts, sampling=sampling)


def _asked(case: Case) -> list[DetectConcept]:
    return [DetectConcept(phrase=phrase, box_px=None) for phrase in case.phrases]


def _once(made: dict[K, V], key: K, make: Callable[[], V]) -> V:
    """The cached value of a key, computed by `make` at first."""
    if key not in made:
        made[key] = make()
    return made[key]


def _silent(_i: int, _n: int) -> None:
    pass
