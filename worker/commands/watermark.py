"""`./run watermark FILE...`: reads the invisible watermark of pictures. Exit status 1 if a picture has none.

A scaled picture must be scaled back to the size it was drawn at: use --size. A cropped picture cannot be read.
With --expect TEXT the command prints the fraction of the bits of TEXT that the picture holds: 100 % is an intact
watermark, about 50 % is none.
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
    """The pixels of a picture file, (H, W, 3) RGB, scaled to size_px (width, height) if given. Raises OSError."""
    with Image.open(path) as image:
        picture = image.convert("RGB")
    return np.asarray(picture if size_px is None else picture.resize(size_px, Image.Resampling.LANCZOS))


def size_of(text: str) -> tuple[int, int]:
    """Width and height of a text WIDTHxHEIGHT. Raises ValueError."""
    width, _, height = text.partition("x")
    return int(width), int(height)


def main() -> int:
    """Prints one line for each picture."""
    parser = argparse.ArgumentParser(prog="./run watermark", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="PNG, JPEG or WebP")
    parser.add_argument("--size", type=size_of, metavar="WIDTHxHEIGHT", help="size the picture was drawn at")
    parser.add_argument("--expect", metavar="TEXT", help="print how much of this text the picture holds")
    arguments = parser.parse_args()
    without = 0
    for path in arguments.files:
        try:
            picture = pixels_of(path, arguments.size)
        except OSError as error:
            print(f"watermark: {path} cannot be read: {error}", file=sys.stderr)
            without += 1
            continue
        found = read_watermark(picture)
        without += found is None
        share = (
            f"  ({agreement(picture, arguments.expect):.0%} of the bits of {arguments.expect!r})"
            if arguments.expect
            else ""
        )
        print(f"{path}: {'no watermark' if found is None else repr(found)}{share}")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
