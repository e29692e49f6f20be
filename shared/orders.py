"""The input of each stage as data: orders name blobs and never contain their bytes.

An order holds everything that its stage reads, so its digest names the result: a second run writes the same blobs, and
an equal order of another job finds them.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.job import BoxPx, MaskKind, Mode, Scheduler
from shared.stages import Stage


class Order(BaseModel):
    """The fields of every order: the stage, and the bundle whose models run it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    bundle: str

    def digest(self) -> str:
        """128 bits of the sha256 (hex) of the order's canonical JSON: the address of its result.

        Half of the hash is enough: every record and key in Redis contains the digest, and results of different tenants
        never share an address.
        """
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]


class IdentifyOrder(Order):
    """Embed the faces in the photos of every concept. photos[i]: ids of concept i's photos."""

    stage: Literal[Stage.IDENTIFY] = Stage.IDENTIFY
    photos: tuple[tuple[str, ...], ...]


class AppliedLora(BaseModel):
    """A LoRA of a drawing. sha256: of its file, so that another file with this name gives another order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    scale: float


class Drawing(BaseModel):
    """How a picture is denoised: the sampling of a job with every value filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    negative_prompt: str
    width_px: int
    height_px: int
    steps: int
    seed: int
    guidance_scale: float
    guidance_stop: float = 1.0
    scheduler: Scheduler
    loras: tuple[AppliedLora, ...] = ()


class Postprocessing(BaseModel):
    """What happens to a drawn picture before it is stored as a file.

    signed: whether the file carries a signed C2PA manifest. metadata: text in the file that tells how the picture was
    drawn; empty for none. watermark: text in the picture's colours; empty for none. safety_checker: name of the checker
    that allowed the picture; empty for none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    signed: bool = False
    metadata: str = ""
    watermark: str = ""
    safety_checker: str = ""


AS_DRAWN = Postprocessing()


class RenderOrder(Order):
    """Draw the template: the scene without anyone's identity."""

    stage: Literal[Stage.RENDER] = Stage.RENDER
    drawing: Drawing
    postprocessing: Postprocessing = AS_DRAWN


class DetectConcept(BaseModel):
    """A person to find: by a phrase, or by an explicit box in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrase: str
    box_px: BoxPx | None


class DetectOrder(Order):
    """Find every concept in the template and give each a region and a mask.

    template: the render order's digest. engine: the implementation of Grounding DINO.
    """

    stage: Literal[Stage.DETECT] = Stage.DETECT
    engine: str
    template: str
    concepts: tuple[DetectConcept, ...]
    mask: MaskKind


class Region(BaseModel):
    """One concept's place in the template, in pixels.

    keypoints_px: eyes, nose, mouth corners; of each pair the one on the left of the image first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    concept: int
    phrase: str
    box_px: BoxPx
    score: float
    explicit: bool
    face_box_px: tuple[float, float, float, float]
    keypoints_px: tuple[tuple[float, float], ...]


class BranchText(BaseModel):
    """The prompts of one concept's branch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    negative_prompt: str


class PersonalizeOrder(Order):
    """Denoise again with a branch per concept.

    identities, template and regions are the digests of the earlier orders.
    """

    stage: Literal[Stage.PERSONALIZE] = Stage.PERSONALIZE
    identities: str
    template: str
    regions: str
    drawing: Drawing
    branches: tuple[BranchText, ...]
    mask: MaskKind
    mode: Mode
    split: float
    background_replay: float = 0.0
    crop_margin: float = 1.0
    feather_px: float
    identity_scale: float
    adapter_scale: float
    postprocessing: Postprocessing = AS_DRAWN


class VerifyOrder(Order):
    """Compare the faces in the final picture with the identities.

    identities, regions and picture are the digests of the earlier orders.
    """

    stage: Literal[Stage.VERIFY] = Stage.VERIFY
    identities: str
    regions: str
    picture: str
