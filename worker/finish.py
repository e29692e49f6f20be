"""From drawn pixels to the file that is given out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.orders import Finish
from shared.settings import Settings
from worker.mark import engrave
from worker.pngs import png
from worker.provenance import Notary, notary_of


@dataclass(frozen=True, kw_only=True)
class Finisher:
    """What this worker does to a drawn picture. Everything that it may do is in the picture's order, as a `Finish`.

    watermark: text in the colours; none when empty.
    """

    notary: Notary | None
    watermark: str = ""

    def wish(self, caption: str = "") -> Finish:
        """What becomes of a picture. caption: text that its file is to hold."""
        return Finish(signed=self.notary is not None, caption=caption, watermark=self.watermark)

    def file(self, picture: NDArray[np.uint8], wish: Finish) -> bytes:
        """A picture (H, W, 3) RGB as the PNG that is given out; the wish is one of this finisher's own."""
        data = png(engrave(picture, wish.watermark) if wish.watermark else picture, wish.caption)
        # Last, so that the signature covers all the rest.
        return data if self.notary is None else self.notary.sign(data)


def finisher_of(settings: Settings, bundle: str) -> Finisher:
    """The finisher that the settings describe. bundle: name with fingerprint. Raises BundleError."""
    return Finisher(notary=notary_of(settings, bundle), watermark=settings.watermark)
