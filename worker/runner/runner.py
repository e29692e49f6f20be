"""Between the queue and the stages: orders from a job's record, what earlier stages left, results back beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.blob_store import BlobStore, stage_key
from shared.job import Job, JobSpec
from shared.limits import limits_of
from shared.orders import DetectConcept, DetectOrder, IdentifyOrder, Order, PersonalizeOrder, RenderOrder, VerifyOrder
from shared.settings import Role, Settings
from shared.stages import STAGES, Stage
from worker.models.bundle import Bundle, Detection, Generation, load_bundle
from worker.models.device_memory import with_device_memory
from worker.output.metadata import caption_of
from worker.output.png import png
from worker.output.postprocess import Postprocessor, postprocessor_of
from worker.runner.device import DeviceMonitor
from worker.runner.orders import drawing_of, personalize_order_of, spec_of_try
from worker.runner.photos import Photos
from worker.runner.results import (
    PICTURE,
    TEMPLATE,
    Place,
    Results,
    StoredWork,
    Work,
)
from worker.runner.stage import Loaded, OnStep
from worker.stages.detect import detect
from worker.stages.identify import Seen, identities_of
from worker.stages.personalize import Cast, personalize
from worker.stages.render import render
from worker.stages.verify import verify


def load_stages(settings: Settings, role: Role) -> Loaded:
    """The stages of a role over freshly loaded models. Raises BundleError, or TransientError without a free device."""
    bundle, finisher = with_device_memory(lambda: _models(settings, role), "the models of the bundle")
    blobs = BlobStore(settings)
    rooms = StageRunner(blobs=blobs, bundle=bundle, finisher=finisher)
    work = {
        Stage.IDENTIFY: rooms.identify,
        Stage.RENDER: rooms.render,
        Stage.DETECT: rooms.detect,
        Stage.PERSONALIZE: rooms.personalize,
        Stage.VERIFY: rooms.verify,
    }
    stages = {stage: partial(rooms.assign, work[stage]) for stage in STAGES if role in {"all", stage.info.queue}}
    equipment = DeviceMonitor(bundle, settings)

    def warm_up() -> None:
        equipment.warm_up()
        if finisher is not None:
            finisher.warm_up(limits_of(settings.bundle))

    return Loaded(
        stages=stages,
        warm_up=warm_up,
        reach=blobs.ensure_bucket,
        gauge=equipment.gauge,
        answers=equipment.answers,
    )


def _models(settings: Settings, role: Role) -> tuple[Bundle, Postprocessor | None]:
    bundle = load_bundle(settings, role)
    return bundle, postprocessor_of(settings, bundle.generation.name, bundle.device) if bundle.generation else None


@dataclass(frozen=True, kw_only=True)
class StageRunner:
    """The stages over one bundle and one blob store. finisher: None where the role draws no pictures."""

    blobs: BlobStore
    bundle: Bundle
    finisher: Postprocessor | None

    def assign(self, work: Callable[[Job], tuple[Order, Work]], job: Job) -> StoredWork:
        """One stage of a job."""
        order, do = work(job)
        place = Place(blobs=self.blobs, tenant=job.tenant, stage=order.stage, digest=order.digest())
        size = _size_of(job.spec, order.stage)
        return StoredWork(
            place=place,
            do=lambda place, on_step: with_device_memory(lambda: do(place, on_step), size),
            unseen=partial(self._unseen, job) if order.stage is Stage.IDENTIFY else None,
            picture=_picture_of(job, place),
        )

    def identify(self, job: Job) -> tuple[IdentifyOrder, Work]:
        """Embeddings of every concept's photos."""
        order = IdentifyOrder(bundle=self.bundle.name, photos=tuple(concept.photos for concept in job.spec.concepts))

        photos = self._photos(job)
        ids = [photo for own in order.photos for photo in own]

        def work(place: Place, on_step: OnStep) -> dict[str, Any]:
            seen: dict[str, Seen] = {}
            looked_at = 0
            for step, photo in enumerate(ids):
                on_step(step, len(ids))
                if photo in seen:
                    continue
                known = photos.seen(photo)
                seen[photo] = known or photos.look(photo, self._detection)
                looked_at += known is None
            on_step(len(ids), len(ids))
            found = identities_of([[seen[photo] for photo in own] for own in order.photos])
            place.put_identities(found.embeddings)
            faces = [[photo.model_dump() for photo in own] for own in found.faces]
            return {"warnings": found.warnings, "faces": faces, "looked_at": looked_at}

        return order, work

    def render(self, job: Job) -> tuple[RenderOrder, Work]:
        """The template and the predictions that led to it."""
        drawing = drawing_of(spec_of_try(job), self._generation.loras.files)
        order = RenderOrder(bundle=self._generation.name, drawing=drawing, finish=self._finisher.wish())

        def work(place: Place, on_step: OnStep) -> dict[str, Any]:
            template = render(self._generation, order.drawing, on_step)
            place.put_picture(TEMPLATE, self._finisher.file(template.picture, order.finish))
            place.put_predictions(template.predictions)
            return {}

        return order, work

    def detect(self, job: Job) -> tuple[DetectOrder, Work]:
        """Everybody's region and mask."""
        sampling = job.spec.sampling
        order = DetectOrder(
            bundle=self.bundle.name,
            engine=self._detection.engine,
            template=job.outputs[Stage.RENDER],
            concepts=tuple(DetectConcept(phrase=one.phrase, box_px=one.box_px) for one in job.spec.concepts),
            mask=sampling.mask,
        )

        def work(place: Place, on_step: OnStep) -> dict[str, Any]:
            template = self._results(job).template(order.template)
            found = detect(self._detection, template, order.concepts, order.mask, on_step)
            place.put_masks(png(found.masks))
            return {"regions": [region.model_dump() for region in found.regions]}

        return order, work

    def personalize(self, job: Job) -> tuple[PersonalizeOrder, Work]:
        """The final picture."""
        spec = spec_of_try(job)
        caption = caption_of(spec, self._generation.name) if spec.embed_settings else ""
        order = personalize_order_of(
            spec,
            bundle=self._generation.name,
            identities=job.outputs[Stage.IDENTIFY],
            template=job.outputs[Stage.RENDER],
            regions=job.outputs[Stage.DETECT],
            finish=self._finisher.wish(caption),
            loras=self._generation.loras.files,
        )

        def work(place: Place, on_step: OnStep) -> dict[str, Any]:
            results = self._results(job)
            cast = Cast(
                identities=results.identities(order.identities),
                regions=results.regions(order.regions),
                mask=job.spec.sampling.mask,
                predictions=results.predictions(order.template),
            )
            picture = personalize(self._generation, order, cast, self._finisher.without_previews(on_step))
            place.put_picture(PICTURE, self._finisher.file(picture, order.finish))
            return {}

        return order, work

    def verify(self, job: Job) -> tuple[VerifyOrder, Work]:
        """Whose faces the final picture shows."""
        order = VerifyOrder(
            bundle=self.bundle.name,
            identities=job.outputs[Stage.IDENTIFY],
            regions=job.outputs[Stage.DETECT],
            picture=job.outputs[Stage.PERSONALIZE],
        )

        def work(_place: Place, on_step: OnStep) -> dict[str, Any]:
            results = self._results(job)
            found = verify(
                self._detection,
                results.picture(order.picture),
                results.regions(order.regions),
                results.identities(order.identities),
                on_step,
            )
            return {"verification": found.model_dump()}

        return order, work

    @property
    def _detection(self) -> Detection:
        if self.bundle.detection is None:
            message = "this worker's role has no detection models"
            raise RuntimeError(message)
        return self.bundle.detection

    @property
    def _generation(self) -> Generation:
        if self.bundle.generation is None:
            message = "this worker's role has no generation models"
            raise RuntimeError(message)
        return self.bundle.generation

    @property
    def _finisher(self) -> Postprocessor:
        if self.finisher is None:
            message = "this worker's role draws no pictures"
            raise RuntimeError(message)
        return self.finisher

    def _results(self, job: Job) -> Results:
        return Results(blobs=self.blobs, tenant=job.tenant)

    def _photos(self, job: Job) -> Photos:
        return Photos(blobs=self.blobs, tenant=job.tenant, bundle=self.bundle.name)

    def _unseen(self, job: Job) -> tuple[str, ...]:
        photos = self._photos(job)
        # Each once, in their order.
        ids = dict.fromkeys(photo for concept in job.spec.concepts for photo in concept.photos)
        return tuple(photos.part(photo) for photo in ids if not photos.is_seen(photo))


def _picture_of(job: Job, place: Place) -> str | None:
    if place.stage is Stage.PERSONALIZE:
        return place.key(PICTURE)
    drawn = job.outputs[Stage.PERSONALIZE] if place.stage is Stage.VERIFY else None
    return drawn and stage_key(job.tenant, Stage.PERSONALIZE, drawn, PICTURE)


def _size_of(spec: JobSpec, stage: Stage) -> str:
    """What a device must have room for, in words."""
    people = len(spec.concepts)
    return f"{spec.sampling.width_px} x {spec.sampling.height_px} pixels and {people} people in stage {stage}"
