"""The sizes that a bundle draws, and its default sampling. The API needs no more of a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.errors import SizeNotAllowed
from shared.loras import AllowedLora


class BundleLimits(BaseModel):
    """Sizes a bundle draws, its default sampling, and the LoRA files that jobs may name.

    Sizes in pixels, both sides a multiple of `multiple_px`.
    """

    model_config = ConfigDict(frozen=True)

    min_px: int
    max_px: int
    multiple_px: int
    width_px: int
    height_px: int
    steps: int
    guidance_scale: float
    identity_scale: float = 0.8
    adapter_scale: float = 0.8
    preset: Literal["fast", "balanced", "best"] = "balanced"
    loras: Mapping[str, AllowedLora] = {}

    def check(self, width_px: int, height_px: int) -> None:
        """Raises SizeNotAllowed if the bundle does not draw this size."""
        for name, side_px in (("width_px", width_px), ("height_px", height_px)):
            if not self.min_px <= side_px <= self.max_px or side_px % self.multiple_px:
                message = (
                    f"{name} is {side_px}: this bundle draws multiples of {self.multiple_px} "
                    f"from {self.min_px} to {self.max_px}"
                )
                raise SizeNotAllowed(message, pointer=f"/sampling/{name}")


# SDXL was trained on areas around 1024 x 1024 (arXiv 2307.01952, table of aspect buckets); InstantID's authors advise
# 30-50 steps, guidance 3-5 and both scales at 0.8.
SDXL_LIMITS = BundleLimits(
    min_px=512, max_px=1536, multiple_px=64, width_px=1024, height_px=1024, steps=30, guidance_scale=5.0
)
MINI_LIMITS = BundleLimits(
    min_px=128,
    max_px=256,
    multiple_px=64,
    width_px=128,
    height_px=128,
    steps=20,
    guidance_scale=3.0,
    # It was never trained on crops, and it is fast anyway.
    preset="best",
)


def limits_of(bundle: str, loras: Mapping[str, AllowedLora] | None = None) -> BundleLimits:
    """The limits of a bundle by its name; every bundle but `mini` has SDXL's."""
    own = MINI_LIMITS if bundle == "mini" else SDXL_LIMITS
    return own.model_copy(update={"loras": loras}) if loras else own
