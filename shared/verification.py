"""The quality of a finished picture, one number per concept (Verification), and the choice between tries (Try)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

# A seed is less than this.
_SEEDS = 2**63


class VerifiedFace(BaseModel):
    """The face of a concept in the picture, its box in pixels, and its similarity to the photos."""

    model_config = ConfigDict(frozen=True)

    concept: int = Field(description="Index of the concept, from 0")
    identity: float | None = Field(
        description="Cosine of this face and the most similar of the concept's photos, -1 to 1, by the bundle's "
        "recogniser; null without a face",
        examples=[0.71],
    )
    face_box_px: tuple[float, float, float, float] | None = Field(
        description="Where the face is (x1, y1, x2, y2 in pixels); null when the concept's region shows none"
    )


class Swap(BaseModel):
    """A concept whose face in the picture is more similar to another concept's photos than to its own."""

    model_config = ConfigDict(frozen=True)

    concept: int
    nearer_to: int


class Verification(BaseModel):
    """Whether all people are in the picture. Sort pictures by min_identity."""

    model_config = ConfigDict(frozen=True)

    min_identity: float | None = Field(
        description="The smallest similarity of all concepts; null if a face is missing", examples=[0.71]
    )
    faces: tuple[VerifiedFace, ...] = Field(description="One per concept, in their order")
    swaps: tuple[Swap, ...] = ()
    missing: tuple[int, ...] = Field((), description="Indexes of concepts whose region shows no face")

    @classmethod
    def of(cls, faces: Sequence[VerifiedFace], swaps: Sequence[Swap]) -> Self:
        """The verification of these faces, one per concept."""
        known = [face.identity for face in faces if face.identity is not None]
        missing = tuple(face.concept for face in faces if face.identity is None)
        least = None if missing else min(known, default=None)
        return cls(min_identity=least, faces=tuple(faces), swaps=tuple(swaps), missing=missing)


class Try(BaseModel):
    """A picture that a job drew, with its seed.

    outputs: digest of every stage's order; regions: everybody's place in its template; picture: key of the blob.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    verification: Verification
    outputs: dict[str, str]
    regions: tuple[ConceptRegion, ...] = ()
    picture: str


def seed_of_try(seed: int, number: int) -> int:
    """The seed of a job's try; the first has number 0 and the job's own seed."""
    return (seed + number) % _SEEDS


def shortfalls(found: Verification, min_identity: float | None) -> tuple[str, ...]:
    """The shortfalls of a picture as texts for people (concepts count from 1); empty if it is good enough."""
    words = [f"the face of concept {concept + 1} is missing" for concept in found.missing]
    words += [f"concept {one.concept + 1} looks more like concept {one.nearer_to + 1}" for one in found.swaps]
    if min_identity is not None:
        words += [
            f"the identity of concept {face.concept + 1} is {face.identity}, under {min_identity}"
            for face in found.faces
            if face.identity is not None and face.identity < min_identity
        ]
    return tuple(words)


def best_of(tries: Sequence[Try]) -> int:
    """Index of the best try: fewest missing faces, then fewest swaps, then the largest of the smallest identities.

    Of equal ones the first.
    """

    def rank(number: int) -> tuple[int, int, float]:
        found = tries[number].verification
        least = min((face.identity for face in found.faces if face.identity is not None), default=-1.0)
        return (-len(found.missing), -len(found.swaps), least)

    return max(range(len(tries)), key=rank)


FaceBoxPx = tuple[float, float, float, float]


class PhotoFaces(BaseModel):
    """The faces in one reference photo."""

    model_config = ConfigDict(frozen=True)

    found: int = Field(description="How many faces the photo shows", examples=[1])
    box_px: FaceBoxPx | None = Field(
        None,
        description="The face that is taken, the largest (x1, y1, x2, y2 in pixels of the photo as it is stored: "
        "upright); null without a face",
        examples=[[41.5, 30.2, 88.0, 95.1]],
    )


class ConceptRegion(BaseModel):
    """Where a concept's person is in the template, in pixels, and how sure the detector was (1 for an explicit box)."""

    model_config = ConfigDict(frozen=True)

    box_px: FaceBoxPx
    score: float


class StageFindings(BaseModel):
    """What a stage found out about a job.

    faces: what each concept's photos show; of identify. regions: where each concept is; of detect. verification: whose
    faces the picture shows; of verify. warnings: for the person who sent the job.
    """

    model_config = ConfigDict(frozen=True)

    warnings: tuple[str, ...] = ()
    faces: tuple[tuple[PhotoFaces, ...], ...] = ()
    regions: tuple[ConceptRegion, ...] = ()
    verification: Verification | None = None


NO_FINDINGS = StageFindings()


def rounded(box_px: FaceBoxPx) -> FaceBoxPx:
    """A box, rounded to a tenth of a pixel to keep records small."""
    x1, y1, x2, y2 = (round(float(side), 1) for side in box_px)
    return x1, y1, x2, y2
