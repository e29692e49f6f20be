"""What the stages leave in the blob store: an order's files under its digest, `output.json` last.

An order whose output is stored already is not worked on again, whichever job it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from shared.blob_store import BlobStore, stage_key
from shared.errors import BlobsUnavailable, UnknownPhoto
from shared.orders import Region
from shared.stages import Stage
from shared.verification import ConceptRegion, PhotoFaces, Verification, rounded
from worker.output.png import pixels
from worker.runner.stage import OnStep, StageOutput

TEMPLATE, MASKS, PICTURE = "template.png", "masks.png", "picture.png"
_OUTPUT, _PREDICTIONS, _IDENTITIES = "output.json", "predictions.safetensors", "identities.safetensors"


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

    def output(self) -> Mapping[str, Any] | None:
        """What the stage said when it was done, None where it is not. Raises BlobsUnavailable."""
        data = self.blobs.get(self.key(_OUTPUT))
        return None if data is None else json.loads(data)

    def finish(self, output: Mapping[str, Any]) -> None:
        """Says that everything is there. Raises BlobsUnavailable."""
        self.blobs.put(self.key(_OUTPUT), json.dumps(output).encode(), "application/json")

    def put_masks(self, data: bytes) -> None:
        """Writes the masks (PNG). Raises BlobsUnavailable."""
        self.blobs.put(self.key(MASKS), data, "image/png")

    def put_picture(self, file: str, data: bytes) -> None:
        """Writes a finished picture (PNG) unless it is there: a signed one is never the same twice."""
        self.blobs.put_new(self.key(file), data, "image/png")

    def put_predictions(self, predictions: Tensor) -> None:
        """Writes what led to a template. Raises BlobsUnavailable."""
        data = save_tensors({"predictions": predictions.cpu().contiguous()})
        self.blobs.put(self.key(_PREDICTIONS), data, "application/octet-stream")

    def put_identities(self, identities: Sequence[NDArray[np.float32]]) -> None:
        """Writes every concept's embeddings. Raises BlobsUnavailable."""
        data = save_arrays({str(concept): rows for concept, rows in enumerate(identities)})
        self.blobs.put(self.key(_IDENTITIES), data, "application/octet-stream")


@dataclass(frozen=True, kw_only=True)
class Results:
    """What earlier stages of a tenant's jobs left, by the digests of their orders.

    Every call may raise BlobsUnavailable: for what is no longer stored, too.
    """

    blobs: BlobStore
    tenant: str

    def template(self, digest: str) -> NDArray[np.uint8]:
        """A template (H, W, 3) RGB."""
        return pixels(self._stored(Stage.RENDER, digest, TEMPLATE))

    def predictions(self, digest: str) -> Tensor:
        """The predictions (steps, c, h, w) that led to a template."""
        return load_tensors(self._stored(Stage.RENDER, digest, _PREDICTIONS))["predictions"]

    def identities(self, digest: str) -> list[NDArray[np.float32]]:
        """The embeddings (photos, 512) of every concept. Raises UnknownPhoto for a photo that was erased since."""
        arrays = load_arrays(self._stored(Stage.IDENTIFY, digest, _IDENTITIES))
        return [arrays[str(concept)] for concept in range(len(arrays))]

    def regions(self, digest: str) -> list[Region]:
        """Where everybody is in a template."""
        found = json.loads(self._stored(Stage.DETECT, digest, _OUTPUT))
        return [Region.model_validate(region) for region in found["regions"]]

    def picture(self, digest: str) -> NDArray[np.uint8]:
        """A final picture (H, W, 3) RGB."""
        return pixels(self._stored(Stage.PERSONALIZE, digest, PICTURE))

    def _stored(self, stage: Stage, digest: str, file: str) -> bytes:
        data = self.blobs.get(stage_key(self.tenant, stage, digest, file))
        if data is None and stage is Stage.IDENTIFY:
            # What this stage made goes with its photos, so trying again cannot help.
            message = "a photo of this job was erased while the job ran; upload it again"
            raise UnknownPhoto(message)
        if data is None:
            message = f"{file} of stage {stage} ({digest[:12]}) is no longer stored"
            raise BlobsUnavailable(message)
        return data


Work = Callable[[Place, OnStep], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StoredWork:
    """An assignment whose result is kept under its order's digest.

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
        output = self.place.output()
        return None if output is None else self._left(output, reused=True)

    def missing(self) -> tuple[str, ...]:
        """Parts of the result that are to be made, too. Raises BlobsUnavailable."""
        return () if self.unseen is None else self.unseen()

    def make(self, on_step: OnStep) -> StageOutput:
        """Works on the order and stores the result. Raises whatever the stage raises."""
        output = self.do(self.place, on_step)
        self.place.finish(output)
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


def _whereabout(region: Region) -> ConceptRegion:
    return ConceptRegion(box_px=rounded(region.box_px), score=round(region.score, 4))
