"""What the detection stages found on their way: faces in the photos, people in the template."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

FaceBoxPx = tuple[float, float, float, float]


class PhotoFaces(BaseModel):
    """What one reference photo shows."""

    model_config = ConfigDict(frozen=True)

    found: int = Field(description="How many faces the photo shows", examples=[1])
    box_px: FaceBoxPx | None = Field(
        None,
        description="The face that is taken, the largest (x1, y1, x2, y2 in pixels of the photo as it is stored: "
        "upright); null without a face",
        examples=[[41.5, 30.2, 88.0, 95.1]],
    )


class Whereabout(BaseModel):
    """Where a concept's person is in the template, in pixels, and how sure the detector was (1 for an explicit box)."""

    model_config = ConfigDict(frozen=True)

    box_px: FaceBoxPx
    score: float


def rounded(box_px: FaceBoxPx) -> FaceBoxPx:
    """A box to a tenth of a pixel: more digits say nothing, and a record has many boxes."""
    x1, y1, x2, y2 = (round(float(side), 1) for side in box_px)
    return x1, y1, x2, y2
