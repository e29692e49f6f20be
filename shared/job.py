"""The request for a picture (JobSpec) and its record (Job)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from shared.stages import LAST_STAGE, Stage
from shared.verification import ConceptRegion, PhotoFaces, Try, Verification

MAX_CONCEPTS = 5
MAX_PHOTOS = 8
MAX_PROMPT_CHARS = 1000
MAX_PHRASE_CHARS = 100
MAX_TRIES = 8
MAX_LORAS = 4
MOST_RETENTION_S = 10 * 366 * 86_400
PHOTO_ID = r"^[0-9a-f]{64}$"


def _with_a_word(phrase: str) -> str:
    if not any(char.isalnum() for char in phrase):
        message = f"the phrase {phrase!r} contains no word"
        raise ValueError(message)
    return phrase


Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PROMPT_CHARS)]
NegativePrompt = Annotated[str, StringConstraints(strip_whitespace=True, max_length=MAX_PROMPT_CHARS)]
Phrase = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_PHRASE_CHARS),
    AfterValidator(_with_a_word),
]
PhotoId = Annotated[str, StringConstraints(pattern=PHOTO_ID)]
Pixel = Annotated[float, Field(ge=0, le=8192)]
BoxPx = tuple[Pixel, Pixel, Pixel, Pixel]

Mode = Literal["literal", "staged", "shared"]
MaskKind = Literal["box", "ellipse"]
Scheduler = Literal["euler", "euler_a", "euler_trailing", "ddim", "ddim_trailing", "dpmpp_2m", "unipc", "lcm"]
Lane = Literal["interactive", "batch"]
Preset = Literal["fast", "balanced", "best"]


class Status(StrEnum):
    """The state of a job. The last four are terminal: a job in one of them does not change any more."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELED, Status.EXPIRED})


class RequestModel(BaseModel):
    """A part of a request body: frozen; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Concept(RequestModel):
    """One person of the picture."""

    phrase: Phrase = Field(
        description="Text by which the detector finds this person in the scene", examples=["the man"]
    )
    photos: tuple[PhotoId, ...] = Field(
        min_length=1, max_length=MAX_PHOTOS, description="Ids of the photos of this person"
    )
    prompt: Prompt | None = Field(None, description="Prompt for this person. Null: the prompt of the scene")
    negative_prompt: NegativePrompt | None = Field(
        None, description="Negative prompt for this person. Null: the negative prompt of the scene"
    )
    box_px: BoxPx | None = Field(
        None,
        description="Box of the person (x1, y1, x2, y2 in pixels of the picture). Null: the detector finds it",
    )

    @field_validator("box_px")
    @classmethod
    def _box_has_an_area(cls, box_px: BoxPx | None) -> BoxPx | None:
        if box_px is not None:
            x1, y1, x2, y2 = box_px
            if x2 - x1 < 8 or y2 - y1 < 8:
                message = f"box_px {box_px} must be at least 8 pixels wide and high, as x1, y1, x2, y2"
                raise ValueError(message)
        return box_px


class Lora(RequestModel):
    """A LoRA that is applied to the scene and the people."""

    name: str = Field(min_length=1, max_length=64, description="Name in the server's list of LoRAs")
    scale: float | None = Field(
        None, ge=-4, le=4, description="Weight of the LoRA. Null: the default of the server's list"
    )


class Sampling(RequestModel):
    """Settings of the drawing. The preset, then the bundle, supply the values that a request leaves out."""

    preset: Preset | None = Field(
        None,
        description="Set of default values. `fast`: few steps; `balanced`: less computation, nearly the same picture; "
        "`best`: the full computation. Null: the preset of the bundle",
    )
    width_px: int | None = Field(
        None, ge=64, le=4096, description="Width of the picture in pixels. Null: the default of the bundle"
    )
    height_px: int | None = Field(
        None, ge=64, le=4096, description="Height of the picture in pixels. Null: the default of the bundle"
    )
    steps: int | None = Field(
        None, ge=1, le=150, description="Number of denoising steps. Null: the default of the preset or the bundle"
    )
    seed: int | None = Field(
        None, ge=0, lt=2**63, description="Seed of the noise. Null: a random seed, chosen at submit"
    )
    guidance_scale: float | None = Field(
        None,
        ge=1,
        le=30,
        description="Weight of the prompts (classifier-free guidance); 1 turns guidance off, which halves the "
        "computation. Null: the default of the preset or the bundle",
    )
    scheduler: Scheduler = Field("euler", description="Noise scheduler of the denoising steps")
    mode: Mode = Field(
        "shared", description="How the branches of the scene and of the people are coupled during denoising"
    )
    split: float = Field(
        0.15,
        ge=0,
        le=1,
        description="Fraction of the steps (S in the paper). In modes `staged` and `shared` the first S steps draw the "
        "template alone; in mode `literal` the branches are not coupled in the last S steps",
    )
    keep: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Fraction of the steps, counted from the first, that keep the template's background behind the "
        "people; the remaining steps draw the background again. Null: the default of the preset",
    )
    crop_margin: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Margin around a mask that the branch of a person sees, as a fraction of the sides of the picture; "
        "1 is the whole picture. Null: the default of the preset",
    )
    guidance_stop: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Fraction of the steps, counted from the first, that use guidance. Null: the default of the preset",
    )
    mask: MaskKind = Field("box", description="Shape of the masks, drawn from the box of each person")
    feather_px: float = Field(
        0.0, ge=0, le=512, description="Width of the soft edge of a mask in pixels; 0 is a hard edge"
    )
    identity_scale: float | None = Field(
        None,
        ge=0,
        le=2,
        description="Weight of IdentityNet, which follows the landmarks of the faces. Null: the default of the bundle",
    )
    adapter_scale: float | None = Field(
        None, ge=0, le=2, description="Weight of the face tokens in the UNet. Null: the default of the bundle"
    )
    loras: tuple[Lora, ...] = Field((), max_length=MAX_LORAS, description="LoRAs to apply, from the server's list")


class SceneSpec(RequestModel):
    """A scene and its settings: every field of a job except its people and its lane."""

    prompt: Prompt = Field(description="Text of the scene", examples=["a man and a woman on the beach"])
    negative_prompt: NegativePrompt = Field("", description="What the picture must not show")
    sampling: Sampling = Field(Sampling(), description="Settings of the drawing: size, steps, seed, scheduler, masks")
    min_identity: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Lowest accepted similarity (a cosine) of every face in the picture to its photos. In pictures of "
        "the mini bundle the median is 0.61, and 5 % are below 0.45; two different people score 0 on average and above "
        "0.36 in 1 % of cases. Null: every similarity is accepted",
        examples=[0.4],
    )
    max_tries: int = Field(
        1,
        ge=1,
        le=MAX_TRIES,
        description="Maximum number of pictures to draw. If a picture fails the verification (min_identity, a missing "
        "face, two swapped faces), another is drawn with the next seed; the best one is kept",
    )
    until: Stage = Field(
        LAST_STAGE,
        description="Last stage of the job: `identify` checks the photos (`faces`); `detect` gives the template, the "
        "masks and `regions`; `personalize` gives the picture without verification. Only stages that run cost units",
        examples=["detect"],
    )
    embed_settings: bool = Field(
        False,
        description="Whether to write the settings into the PNG file: its text `troupe` holds prompts, phrases, "
        "sampling, bundle and version as JSON, and nothing about the photos",
    )
    retention_s: int | None = Field(
        None,
        ge=0,
        le=MOST_RETENTION_S,
        description="Seconds to keep the job and its pictures after its end. Null, or more than the limit of the "
        "server: the limit of the server",
    )
    expires_after_s: int | None = Field(
        None,
        ge=1,
        le=MOST_RETENTION_S,
        description="Seconds after which the job expires if no worker has started it. Null: it does not expire",
    )

    @field_validator("until")
    @classmethod
    def _verified_if_needed(cls, until: Stage, info: ValidationInfo) -> Stage:
        if until is not LAST_STAGE and (
            info.data.get("min_identity") is not None or info.data.get("max_tries", 1) != 1
        ):
            message = f"min_identity and max_tries need the verified picture: until must be {LAST_STAGE}, not {until}"
            raise ValueError(message)
        return until


class JobSpec(SceneSpec):
    """The request for one picture: a scene and its people."""

    concepts: tuple[Concept, ...] = Field(
        min_length=1, max_length=MAX_CONCEPTS, description="The people, in the order of their masks"
    )
    lane: Lane = Field("interactive", description="Queue of the job: `interactive`, or `batch` for work that can wait")


class Failure(BaseModel):
    """The error of a job that failed."""

    model_config = ConfigDict(frozen=True)

    code: str
    message: str
    retryable: bool
    stage: Stage | None = None


class Progress(BaseModel):
    """The progress of the running stage; fraction is from 0 to 1."""

    model_config = ConfigDict(frozen=True)

    step: int = 0
    steps: int = 0

    @property
    def fraction(self) -> float:
        """Completed fraction of the stage."""
        return self.step / self.steps if self.steps else 0.0


class Job(BaseModel):
    """The record of a job. Times are seconds since the epoch; timings are seconds per stage.

    outputs maps a finished stage to the digest of its order: `blob_store.stage_key` turns it into blob keys.
    reused: finished stages whose result was stored before or came from another job.
    retry_of: the job that this one retries.
    faces: the faces in the photos of each concept. regions: the box of each concept in the template.
    picture: key of the final picture, written once, when the last stage finishes.
    verification: the similarity of the faces in the final picture; None for a job that was not verified.
    tries: the verified pictures of a job that may draw several.
    preview_step: the step of the newest preview.
    batch, line, custom_id: the line of a batch that this job belongs to, if any.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    spec: JobSpec
    status: Status
    stage: Stage | None
    progress: Progress
    lane: Lane
    tenant: str
    attempt: int
    sequence: int
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    error: Failure | None = None
    warnings: tuple[str, ...] = ()
    timings: dict[Stage, float] = {}
    outputs: dict[Stage, str] = {}
    reused: tuple[Stage, ...] = ()
    faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    regions: tuple[ConceptRegion, ...] = ()
    picture: str | None = None
    verification: Verification | None = None
    tries: tuple[Try, ...] = ()
    preview_step: int | None = None
    retry_of: str | None = None
    batch: str | None = None
    line: int | None = None
    custom_id: str | None = None

    @property
    def done(self) -> bool:
        """Whether the job has reached a terminal state."""
        return self.status in TERMINAL


def encode_spec(spec: JobSpec) -> str:
    """The request as compact JSON. Defaults are left out: 100,000 waiting jobs share one Redis."""
    return spec.model_dump_json(exclude_defaults=True)
