"""From drawn pixels to the file that is given out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from shared.errors import UnsafeContent
from shared.limits import BundleLimits
from shared.orders import Finish
from shared.settings import Settings
from worker.models.safety import SafetyCheck, safety_of
from worker.output.png import png
from worker.output.provenance import Notary, notary_of
from worker.output.watermark import engrave
from worker.stages.personalize import OnStep


@dataclass(frozen=True, kw_only=True)
class Finisher:
    """What this worker does to a drawn picture. Everything that it may do is in the picture's order, as a `Finish`.

    watermark: text in the colours; none when empty. safety: looks at it first; None where pictures are not checked.
    """

    notary: Notary | None
    watermark: str = ""
    safety: SafetyCheck | None = None

    def wish(self, caption: str = "") -> Finish:
        """What becomes of a picture. caption: text that its file is to hold."""
        return Finish(
            signed=self.notary is not None,
            caption=caption,
            watermark=self.watermark,
            checked="" if self.safety is None else self.safety.name,
        )

    def file(self, picture: NDArray[np.uint8], wish: Finish) -> bytes:
        """A picture (H, W, 3) RGB as the PNG that is given out; the wish is one of this finisher's own.

        Raises UnsafeContent for a picture that must not be given out.
        """
        if self.safety is not None and self.safety.forbids(picture):
            raise UnsafeContent("the safety check forbids what was drawn; another scene or another seed may pass")
        data = png(engrave(picture, wish.watermark) if wish.watermark else picture, wish.caption)
        # Last, so that the signature covers all the rest.
        return data if self.notary is None else self.notary.sign(data)

    def discreet(self, on_step: OnStep) -> OnStep:
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


def finisher_of(settings: Settings, bundle: str, device: torch.device) -> Finisher:
    """The finisher that the settings describe. bundle: name with fingerprint and how it is held. Raises BundleError."""
    return Finisher(
        notary=notary_of(settings, bundle), watermark=settings.watermark, safety=safety_of(settings, device)
    )
