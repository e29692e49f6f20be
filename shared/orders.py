"""What a stage must do, as data: orders carry blob keys, never bytes.

An order holds everything its stage reads, so its digest names the result: a second run writes the same blobs, and an
equal order of another job finds them written.
"""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.job import BoxPx, MaskKind, Mode, Scheduler
from shared.stages import Stage


class Order(BaseModel):
    """What every order carries: the stage and the bundle whose models do the work."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: Stage
    bundle: str

    def digest(self) -> str:
        """128 bits of the sha256 (hex) of the order's canonical JSON: the address of its result.

        Half of it, because every record and key in Redis holds it, and whoever looks for two orders with the same would
        find but pictures of their own tenant.
        """
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]


class IdentifyOrder(Order):
    """Embed the faces of every concept's photos. photos[i] holds concept i's photo ids."""

    stage: Literal[Stage.IDENTIFY] = Stage.IDENTIFY
    photos: tuple[tuple[str, ...], ...]


class AppliedLora(BaseModel):
    """A LoRA in a drawing. sha256: of its file, so that another file of this name is another order."""

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
    """What is done to a drawn picture before it is a file.

    signed: it carries a signed C2PA manifest. caption: text in the file that says how it was drawn; none when empty.
    watermark: text in its colours; none when empty. checked: name of the safety checker that allowed it; empty where
    nothing was checked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    signed: bool = False
    caption: str = ""
    watermark: str = ""
    checked: str = ""


AS_DRAWN = Postprocessing()


class RenderOrder(Order):
    """Draw the template: the scene without anybody's identity."""

    stage: Literal[Stage.RENDER] = Stage.RENDER
    drawing: Drawing
    finish: Postprocessing = AS_DRAWN


class DetectConcept(BaseModel):
    """Whom to look for: a phrase, or an explicit box in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    phrase: str
    box_px: BoxPx | None


class DetectOrder(Order):
    """Find every concept in the template and give each a region and a mask.

    template: the render order's digest. engine: the Grounding DINO that looks.
    """

    stage: Literal[Stage.DETECT] = Stage.DETECT
    engine: str
    template: str
    concepts: tuple[DetectConcept, ...]
    mask: MaskKind


class Region(BaseModel):
    """One concept's place in the template, in its pixels.

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
    """What one concept's branch is told to draw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    negative_prompt: str


class PersonalizeOrder(Order):
    """Denoise again with a branch per concept.

    identities, template and regions are the digests of the orders before.
    """

    stage: Literal[Stage.PERSONALIZE] = Stage.PERSONALIZE
    identities: str
    template: str
    regions: str
    drawing: Drawing
    branches: tuple[BranchText, ...]
    mode: Mode
    split: float
    keep: float = 0.0
    crop_margin: float = 1.0
    feather_px: float
    identity_scale: float
    adapter_scale: float
    finish: Postprocessing = AS_DRAWN


class VerifyOrder(Order):
    """Look whose faces the final picture shows.

    identities, regions and picture are the digests of the orders before.
    """

    stage: Literal[Stage.VERIFY] = Stage.VERIFY
    identities: str
    regions: str
    picture: str
