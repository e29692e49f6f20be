"""What a worker's device is, and how much of it is left: part of every sign of life."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Gauge(BaseModel):
    """A device as it is now. Empty and 0 where it is not known.

    device: its name. memory_mb, free_mb: 10^6 bytes. max_pixels: the largest picture that it can draw, width times
    height; 0 for a worker that draws none. steps_per_s: denoising steps of its last stages.
    """

    model_config = ConfigDict(frozen=True)

    device: str = ""
    memory_mb: int = 0
    free_mb: int = 0
    max_pixels: int = 0
    steps_per_s: float = 0.0
