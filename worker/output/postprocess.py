"""From drawn pixels to the file that clients get."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from shared.errors import UnsafeContent
from shared.limits import BundleLimits
from shared.orders import Postprocessing
from shared.settings import Settings
from worker.models.safety import SafetyCheck, safety_of
from worker.output.png import png
from worker.output.provenance import ManifestSigner, signer_of
from worker.output.watermark import embed_watermark
from worker.stages.personalize import OnStep


@dataclass(frozen=True, kw_only=True)
class Postprocessor:
    """Turns decoded pictures into files: safety check, watermark, metadata, signature.

    watermark: text in the colours; empty for none. safety: None when pictures are not checked.
    """

    signer: ManifestSigner | None
    watermark: str = ""
    safety: SafetyCheck | None = None

    def plan(self, metadata: str = "") -> Postprocessing:
        """What happens to a picture. metadata: text for its file."""
        return Postprocessing(
            signed=self.signer is not None,
            metadata=metadata,
            watermark=self.watermark,
            safety_checker="" if self.safety is None else self.safety.name,
        )

    def encode(self, picture: NDArray[np.uint8], plan: Postprocessing) -> bytes:
        """A picture (H, W, 3) RGB as the PNG for clients. plan: one that this postprocessor gave.

        Raises UnsafeContent for a picture that the safety checker does not allow.
        """
        if self.safety is not None and self.safety.forbids(picture):
            raise UnsafeContent("the safety check forbids what was drawn; another scene or another seed may pass")
        data = png(embed_watermark(picture, plan.watermark) if plan.watermark else picture, plan.metadata)
        # Last, so that the signature covers all the rest.
        return data if self.signer is None else self.signer.sign(data)

    def without_previews(self, on_step: OnStep) -> OnStep:
        """The same steps, without previews when pictures are checked: a preview might show unsafe content."""
        if self.safety is None:
            return on_step

        def told(step: int, steps: int) -> None:
            on_step(step, steps)

        return told

    def warm_up(self, limits: BundleLimits) -> None:
        """Checks an empty picture, when pictures are checked."""
        if self.safety is not None:
            self.safety.forbids(np.zeros((limits.height_px, limits.width_px, 3), np.uint8))


def postprocessor_of(settings: Settings, bundle: str, device: torch.device) -> Postprocessor:
    """The postprocessor of the settings. bundle: its name, fingerprint and precision. Raises BundleError."""
    return Postprocessor(
        signer=signer_of(settings, bundle), watermark=settings.watermark, safety=safety_of(settings, device)
    )
