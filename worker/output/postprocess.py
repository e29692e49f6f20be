"""From drawn pixels to the file that is given out."""

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
    """What is done to a decoded picture before it is stored: safety check, watermark, metadata, signature.

    watermark: text in the colours; none when empty. safety: looks at it first; None where pictures are not checked.
    """

    notary: ManifestSigner | None
    watermark: str = ""
    safety: SafetyCheck | None = None

    def wish(self, caption: str = "") -> Postprocessing:
        """What becomes of a picture. caption: text that its file is to hold."""
        return Postprocessing(
            signed=self.notary is not None,
            caption=caption,
            watermark=self.watermark,
            checked="" if self.safety is None else self.safety.name,
        )

    def file(self, picture: NDArray[np.uint8], wish: Postprocessing) -> bytes:
        """A picture (H, W, 3) RGB as the PNG that is given out; the wish is one of this finisher's own.

        Raises UnsafeContent for a picture that must not be given out.
        """
        if self.safety is not None and self.safety.forbids(picture):
            raise UnsafeContent("the safety check forbids what was drawn; another scene or another seed may pass")
        data = png(embed_watermark(picture, wish.watermark) if wish.watermark else picture, wish.caption)
        # Last, so that the signature covers all the rest.
        return data if self.notary is None else self.notary.sign(data)

    def without_previews(self, on_step: OnStep) -> OnStep:
        """The same steps; without previews where pictures are checked, for a preview shows what may be forbidden."""
        if self.safety is None:
            return on_step

        def told(step: int, steps: int) -> None:
            on_step(step, steps)

        return told

    def warm_up(self, limits: BundleLimits) -> None:
        """One look at an empty picture, where pictures are checked."""
        if self.safety is not None:
            self.safety.forbids(np.zeros((limits.height_px, limits.width_px, 3), np.uint8))


def postprocessor_of(settings: Settings, bundle: str, device: torch.device) -> Postprocessor:
    """The finisher that the settings describe. bundle: name with fingerprint and how it is held. Raises BundleError."""
    return Postprocessor(
        notary=signer_of(settings, bundle), watermark=settings.watermark, safety=safety_of(settings, device)
    )
