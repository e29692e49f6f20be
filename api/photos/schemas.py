"""Schemas of photos."""

from __future__ import annotations

from pydantic import BaseModel, Field


class PhotoView(BaseModel):
    """A stored photo. Concepts use its id."""

    id: str = Field(description="SHA-256 of the uploaded bytes")


class PhotoRecordView(BaseModel):
    """The record of a photo."""

    id: str = Field(description="SHA-256 of the uploaded bytes")
    consent: str | None = Field(
        description="The consent that was sent with the photo, if any", examples=["written release 2026-11-03"]
    )
