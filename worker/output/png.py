"""Pictures as PNG, as the stages leave them."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

# Keyword of the text in a PNG that says how the picture was drawn.
CAPTION = "troupe"


def png(picture: NDArray[np.uint8], caption: str = "") -> bytes:
    """A picture (H, W, 3) RGB or (H, W) grey as PNG. caption: text in the file, by the keyword `troupe`."""
    out = io.BytesIO()
    texts = PngInfo()
    if caption:
        # International text: the other kind holds Latin-1 alone.
        texts.add_itxt(CAPTION, caption)
    Image.fromarray(picture).save(out, "PNG", pnginfo=texts)
    return out.getvalue()


def pixels(data: bytes) -> NDArray[np.uint8]:
    """A stored picture as (H, W, 3) RGB."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
