"""`./run watermark FILE...`: reads the invisible watermark of pictures. Exit status 1 where one has none.

A picture that was scaled must be brought back to the size that it was drawn in: --size. A cropped one cannot be read.
With --expect the share of the bits of a text that are still there is told: 1 is all of it, about 0.5 none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.output.watermark import agreement, read_watermark


def pixels_of(path: Path, size_px: tuple[int, int] | None) -> NDArray[np.uint8]:
    """A picture file as (H, W, 3) RGB, in this width and height or its own. Raises OSError."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    return np.asarray(picture if size_px is None else picture.resize(size_px, Image.Resampling.LANCZOS))


def size_of(text: str) -> tuple[int, int]:
    """WIDTHxHEIGHT as two numbers. Raises ValueError."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> int:
    """Prints a line a picture."""
    parser = argparse.ArgumentParser(prog="./run watermark", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="PNG, JPEG or WebP")
    parser.add_argument("--size", type=size_of, metavar="WIDTHxHEIGHT", help="size that the picture was drawn in")
    parser.add_argument("--expect", metavar="TEXT", help="tells how much of this text is there")
    asked = parser.parse_args()
    without = 0
    for path in asked.files:
        try:
            picture = pixels_of(path, asked.size)
        except OSError as error:
            print(f"watermark: {path} cannot be read: {error}", file=sys.stderr)
            without += 1
            continue
        found = read_watermark(picture)
        without += found is None
        share = f"  ({agreement(picture, asked.expect):.0%} of the bits of {asked.expect!r})" if asked.expect else ""
        print(f"{path}: {'no watermark' if found is None else repr(found)}{share}")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
