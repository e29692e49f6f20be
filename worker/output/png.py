"""Pictures as PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

# Keyword of the text in a PNG that tells how the picture was drawn.
METADATA_KEYWORD = "troupe"


def png(picture: NDArray[np.uint8], metadata: str = "") -> bytes:
    """A picture (H, W, 3) RGB or (H, W) grey as PNG. metadata: text in the file, under the keyword `troupe`."""
    out = io.BytesIO()
    texts = PngInfo()
    if metadata:
        # International text: the other text chunks hold Latin-1 only.
        texts.add_itxt(METADATA_KEYWORD, metadata)
    Image.fromarray(picture).save(out, "PNG", pnginfo=texts)
    return out.getvalue()


def pixels(data: bytes) -> NDArray[np.uint8]:
    """A stored picture as (H, W, 3) RGB."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
