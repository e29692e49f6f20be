"""Identify: embeddings of the reference photos, each photo once per tenant and bundle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from shared.job import Job
from shared.orders import IdentifyOrder
from shared.stages import Stage
from shared.verification import StageFindings
from worker.runner.assignment import OnStep
from worker.runner.photos import Photos
from worker.runner.results import Results
from worker.runner.stage import StageResult, WorkerStage
from worker.stages.identify import DetectedFaces, identities_of

_IDENTITIES = "identities.safetensors"


class IdentifyStage(WorkerStage[IdentifyOrder]):
    """Embeddings of every concept's photos."""

    stage = Stage.IDENTIFY

    def order(self, job: Job) -> IdentifyOrder:
        """The photos of all concepts."""
        return IdentifyOrder(
            bundle=self.models.bundle.name, photos=tuple(concept.photos for concept in job.spec.concepts)
        )

    def run(self, order: IdentifyOrder, inputs: Results, on_step: OnStep) -> StageResult:
        """One step a photo. Raises NoFace and UnknownPhoto."""
        photos = self._photos(inputs)
        ids = [photo for own in order.photos for photo in own]
        found: dict[str, DetectedFaces] = {}
        detected = 0
        for step, photo in enumerate(ids):
            on_step(step, len(ids))
            if photo in found:
                continue
            known = photos.stored(photo)
            found[photo] = known or photos.detect(photo, self.models.detection)
            detected += known is None
        on_step(len(ids), len(ids))
        identities = identities_of([[found[photo] for photo in own] for own in order.photos])
        return StageResult(
            files={_IDENTITIES: encode_identities(identities.embeddings)},
            findings=StageFindings(warnings=identities.warnings, faces=identities.faces),
            reused=not detected,
        )

    def missing_parts(self, order: IdentifyOrder, inputs: Results) -> tuple[str, ...]:
        """Names of the photos in which no face was detected yet, each once, in their order."""
        photos = self._photos(inputs)
        ids = dict.fromkeys(photo for own in order.photos for photo in own)
        return tuple(photos.part(photo) for photo in ids if not photos.is_stored(photo))

    def _photos(self, inputs: Results) -> Photos:
        return Photos(blobs=inputs.blobs, tenant=inputs.tenant, bundle=self.models.bundle.name)


def encode_identities(embeddings: Sequence[NDArray[np.float32]]) -> bytes:
    """The embeddings (photos, 512) of every concept as a file."""
    return save({str(concept): rows for concept, rows in enumerate(embeddings)})


def read_identities(results: Results, digest: str) -> list[NDArray[np.float32]]:
    """The embeddings (photos, 512) of every concept. Raises UnknownPhoto when a photo was erased meanwhile."""
    arrays = load(results.read(Stage.IDENTIFY, digest, _IDENTITIES))
    return [arrays[str(concept)] for concept in range(len(arrays))]
