"""A photo as people see it. The types also describe it in the OpenAPI document."""

from __future__ import annotations

from pydantic import BaseModel, Field


class PhotoView(BaseModel):
    """A photo that is stored: concepts name it by this id."""

    id: str = Field(description="sha256 of the bytes that were sent")


class PhotoRecordView(BaseModel):
    """What is known of a photo besides itself."""

    id: str = Field(description="sha256 of the bytes that were sent")
    consent: str | None = Field(
        description="What was said of consent where it was sent, if anything", examples=["written release 2026-11-03"]
    )
