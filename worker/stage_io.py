"""Between the queue and the stages: orders from a job's record, pictures from the blob store, results back into it.

What a stage makes is stored under the digest of its order, `output.json` last; an order whose output is stored already
is not worked on again, whichever job it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from shared.blob_store import BlobStore, stage_key
from shared.errors import BlobsUnavailable, UnknownPhoto
from shared.findings import PhotoFaces, Whereabout, rounded
from shared.job import Job, JobSpec, Stage
from shared.limits import limits_of
from shared.orders import (
    QUEUE_OF,
    STAGES,
    DetectConcept,
    DetectOrder,
    IdentifyOrder,
    Order,
    PersonalizeOrder,
    Region,
    RenderOrder,
    VerifyOrder,
)
from shared.settings import Role, Settings
from shared.verification import Verification
from worker.caption import caption_of
from worker.drawings import drawing_of, personalize_order_of, spec_of_try
from worker.equipment import Equipment
from worker.finish import Finisher, finisher_of
from worker.models.bundle import Bundle, Detection, Generation, load_bundle
from worker.models.memory import with_room
from worker.photos import Photos
from worker.pngs import pixels, png
from worker.seam import Loaded, OnStep, StageOutput
from worker.stages.detect import detect
from worker.stages.identify import Seen, identities_of
from worker.stages.personalize import Cast, personalize
from worker.stages.render import render
from worker.stages.verify import verify

_OUTPUT = "output.json"
TEMPLATE, MASKS, PICTURE = "template.png", "masks.png", "picture.png"
_PREDICTIONS, _IDENTITIES = "predictions.safetensors", "identities.safetensors"


def load_stages(settings: Settings, role: Role) -> Loaded:
    """The stages of a role over freshly loaded models. Raises BundleError, or BlobsUnavailable without a bucket."""
    bundle = load_bundle(settings, role)
    finisher = finisher_of(settings, bundle.name, bundle.device) if bundle.generation else None
    blobs = BlobStore(settings)
    blobs.ensure_bucket()
    rooms = Rooms(blobs=blobs, bundle=bundle, finisher=finisher)
    work = {
        Stage.IDENTIFY: rooms.identify,
        Stage.RENDER: rooms.render,
        Stage.DETECT: rooms.detect,
        Stage.PERSONALIZE: rooms.personalize,
        Stage.VERIFY: rooms.verify,
    }
    stages = {stage: partial(rooms.assign, work[stage]) for stage in STAGES if role in {"all", QUEUE_OF[stage]}}
    equipment = Equipment(bundle, settings)

    def warm_up() -> None:
        equipment.warm_up()
        if finisher is not None:
            finisher.warm_up(limits_of(settings.bundle))

    return Loaded(stages=stages, warm_up=warm_up, gauge=equipment.gauge)


@dataclass(frozen=True, kw_only=True)
class Rooms:
    """The stages over one bundle and one blob store. finisher: None where the role draws no pictures."""

    blobs: BlobStore
    bundle: Bundle
    finisher: Finisher | None

    def assign(self, work: Callable[[Job], tuple[Order, Work]], job: Job) -> StoredWork:
        """One stage of a job."""
        order, do = work(job)
        place = Place(blobs=self.blobs, tenant=job.tenant, stage=order.stage, digest=order.digest())
        size = _size_of(job.spec, order.stage)
        return StoredWork(
            place=place,
            do=lambda place, on_step: with_room(lambda: do(place, on_step), size),
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
            arrays = {str(concept): rows for concept, rows in enumerate(found.embeddings)}
            place.put(_IDENTITIES, save_arrays(arrays), "application/octet-stream")
            faces = [[photo.model_dump() for photo in own] for own in found.faces]
            return {"warnings": found.warnings, "faces": faces, "looked_at": looked_at}

        return order, work

    def render(self, job: Job) -> tuple[RenderOrder, Work]:
        """The template and the predictions that led to it."""
        drawing = drawing_of(spec_of_try(job), self._generation.loras.files)
        order = RenderOrder(bundle=self.bundle.name, drawing=drawing, finish=self._finisher.wish())

        def work(place: Place, on_step: OnStep) -> dict[str, Any]:
            template = render(self._generation, order.drawing, on_step)
            place.put_new(TEMPLATE, self._finisher.file(template.picture, order.finish), "image/png")
            predictions = {"predictions": template.predictions.cpu().contiguous()}
            place.put(_PREDICTIONS, save_tensors(predictions), "application/octet-stream")
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
            template = pixels(self._stored(job.tenant, Stage.RENDER, order.template, TEMPLATE))
            found = detect(self._detection, template, order.concepts, order.mask, on_step)
            place.put(MASKS, png(found.masks), "image/png")
            return {"regions": [region.model_dump() for region in found.regions]}

        return order, work

    def personalize(self, job: Job) -> tuple[PersonalizeOrder, Work]:
        """The final picture."""
        spec = spec_of_try(job)
        caption = caption_of(spec, self.bundle.name) if spec.embed_settings else ""
        order = personalize_order_of(
            spec,
            bundle=self.bundle.name,
            identities=job.outputs[Stage.IDENTIFY],
            template=job.outputs[Stage.RENDER],
            regions=job.outputs[Stage.DETECT],
            finish=self._finisher.wish(caption),
            loras=self._generation.loras.files,
        )

        def work(place: Place, on_step: OnStep) -> dict[str, Any]:
            predictions = load_tensors(self._stored(job.tenant, Stage.RENDER, order.template, _PREDICTIONS))[
                "predictions"
            ]
            cast = Cast(
                identities=self._identities(job.tenant, order.identities),
                regions=self._regions(job.tenant, order.regions),
                mask=job.spec.sampling.mask,
                predictions=predictions,
            )
            picture = personalize(self._generation, order, cast, self._finisher.discreet(on_step))
            place.put_new(PICTURE, self._finisher.file(picture, order.finish), "image/png")
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
            found = verify(
                self._detection,
                pixels(self._stored(job.tenant, Stage.PERSONALIZE, order.picture, PICTURE)),
                self._regions(job.tenant, order.regions),
                self._identities(job.tenant, order.identities),
                on_step,
            )
            return {"verification": found.model_dump()}

        return order, work

    def _identities(self, tenant: str, digest: str) -> list[NDArray[np.float32]]:
        arrays = load_arrays(self._stored(tenant, Stage.IDENTIFY, digest, _IDENTITIES))
        return [arrays[str(concept)] for concept in range(len(arrays))]

    def _regions(self, tenant: str, digest: str) -> list[Region]:
        found = json.loads(self._stored(tenant, Stage.DETECT, digest, _OUTPUT))
        return [Region.model_validate(region) for region in found["regions"]]

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
    def _finisher(self) -> Finisher:
        if self.finisher is None:
            message = "this worker's role draws no pictures"
            raise RuntimeError(message)
        return self.finisher

    def _photos(self, job: Job) -> Photos:
        return Photos(blobs=self.blobs, tenant=job.tenant, bundle=self.bundle.name)

    def _unseen(self, job: Job) -> tuple[str, ...]:
        photos = self._photos(job)
        # Each once, in their order.
        ids = dict.fromkeys(photo for concept in job.spec.concepts for photo in concept.photos)
        return tuple(photos.part(photo) for photo in ids if not photos.is_seen(photo))

    def _stored(self, tenant: str, stage: Stage, digest: str, file: str) -> bytes:
        data = self.blobs.get(stage_key(tenant, stage, digest, file))
        if data is None and stage is Stage.IDENTIFY:
            # What this stage made goes with its photos, so trying again cannot help.
            message = "a photo of this job was erased while the job ran; upload it again"
            raise UnknownPhoto(message)
        if data is None:
            message = f"{file} of stage {stage} ({digest[:12]}) is no longer stored"
            raise BlobsUnavailable(message)
        return data


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the files of one order are."""

    blobs: BlobStore
    tenant: str
    stage: Stage
    digest: str

    def key(self, file: str) -> str:
        """Key of a file of this order."""
        return stage_key(self.tenant, self.stage, self.digest, file)

    def get(self, file: str) -> bytes | None:
        """A file of this order, None when there is none. Raises BlobsUnavailable."""
        return self.blobs.get(self.key(file))

    def put(self, file: str, data: bytes, content_type: str) -> None:
        """Writes a file of this order. Raises BlobsUnavailable."""
        self.blobs.put(self.key(file), data, content_type)

    def put_new(self, file: str, data: bytes, content_type: str) -> None:
        """Writes a file of this order unless it is there: a signed picture is never the same twice."""
        self.blobs.put_new(self.key(file), data, content_type)


Work = Callable[[Place, OnStep], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StoredWork:
    """An assignment whose result is kept under its order's digest; `output.json` says that it is whole.

    unseen: names of the photos nobody has looked at yet, where the result is put together from what photos show.
    picture: key of the picture, where there is one.
    """

    place: Place
    do: Work
    unseen: Callable[[], tuple[str, ...]] | None = None
    picture: str | None = None

    @property
    def digest(self) -> str:
        """Of the order."""
        return self.place.digest

    def find(self) -> StageOutput | None:
        """The result of an equal order. Raises BlobsUnavailable."""
        stored = self.place.get(_OUTPUT)
        return None if stored is None else self._left(json.loads(stored), reused=True)

    def missing(self) -> tuple[str, ...]:
        """Parts of the result that are to be made, too. Raises BlobsUnavailable."""
        return () if self.unseen is None else self.unseen()

    def make(self, on_step: OnStep) -> StageOutput:
        """Works on the order and stores the result. Raises whatever the stage raises."""
        output = self.do(self.place, on_step)
        self.place.put(_OUTPUT, json.dumps(output).encode(), "application/json")
        # A cast of known faces is only put together.
        return self._left(output, reused=output.get("looked_at") == 0)

    def _left(self, output: Mapping[str, Any], *, reused: bool) -> StageOutput:
        verification = output.get("verification")
        return StageOutput(
            digest=self.digest,
            warnings=tuple(output.get("warnings", ())),
            faces=tuple(tuple(PhotoFaces.model_validate(one) for one in own) for own in output.get("faces", ())),
            regions=tuple(_whereabout(Region.model_validate(one)) for one in output.get("regions", ())),
            picture=self.picture,
            verification=Verification.model_validate(verification) if verification else None,
            reused=reused,
        )


def _picture_of(job: Job, place: Place) -> str | None:
    if place.stage is Stage.PERSONALIZE:
        return place.key(PICTURE)
    drawn = job.outputs[Stage.PERSONALIZE] if place.stage is Stage.VERIFY else None
    return drawn and stage_key(job.tenant, Stage.PERSONALIZE, drawn, PICTURE)


def _whereabout(region: Region) -> Whereabout:
    return Whereabout(box_px=rounded(region.box_px), score=round(region.score, 4))


def _size_of(spec: JobSpec, stage: Stage) -> str:
    """What a device must have room for, in words."""
    people = len(spec.concepts)
    return f"{spec.sampling.width_px} x {spec.sampling.height_px} pixels and {people} people in stage {stage}"
