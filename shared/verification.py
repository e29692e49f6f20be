"""How good a finished picture is, as a number a concept: what the stage verify finds out (Verification)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class VerifiedFace(BaseModel):
    """The face that a concept got in the picture, in pixels, and how much it is the concept's."""

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
    """A concept whose face in the picture is more like another concept's photos than like its own."""

    model_config = ConfigDict(frozen=True)

    concept: int
    nearer_to: int


class Verification(BaseModel):
    """Whether everybody is in the picture. min_identity is the number to sort pictures by."""

    model_config = ConfigDict(frozen=True)

    min_identity: float | None = Field(
        description="The smallest identity of all concepts; null when somebody's face is missing", examples=[0.71]
    )
    faces: tuple[VerifiedFace, ...] = Field(description="One a concept, in their order")
    swaps: tuple[Swap, ...] = ()
    missing: tuple[int, ...] = Field((), description="Indexes of concepts whose region shows no face")

    @classmethod
    def of(cls, faces: Sequence[VerifiedFace], swaps: Sequence[Swap]) -> Self:
        """What these faces come to, one a concept."""
        known = [face.identity for face in faces if face.identity is not None]
        missing = tuple(face.concept for face in faces if face.identity is None)
        least = None if missing else min(known, default=None)
        return cls(min_identity=least, faces=tuple(faces), swaps=tuple(swaps), missing=missing)
