"""`python -m tests.benchmarks.marks [--json FILE]`: what an invisible watermark survives, against the library's own.

Scenes of the mini world, scaled to each size. Told: how many of the pictures still give the whole text after each ill
treatment, the mean of the bits that are right, and what the mark costs in time and in PSNR. The peer is
invisible-watermark's dwtDctSvd at its own step of 36, for the same bits; there "whole" is without a checksum.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from imwatermark.dwtDctSvd import EmbedDwtDctSvd
from numpy.typing import NDArray
from PIL import Image

from worker.mini.world import draw_scene
from worker.output.watermark import (
    BITS,
    agreement,
    embed_watermark,
    read_watermark,
)

Picture = NDArray[np.uint8]
TEXT = "example.org"
SIZES_PX = (128, 256, 512, 1024)


def stored(picture: Picture, kind: str, quality: int) -> Picture:
    """Through a file of this kind and back."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, kind, quality=quality)
    return np.asarray(Image.open(out).convert("RGB"))


def scaled(picture: Picture, factor: float) -> Picture:
    """To another size and back."""
    image = Image.fromarray(picture)
    other = image.resize((int(image.width * factor), int(image.height * factor)), Image.Resampling.LANCZOS)
    return np.asarray(other.resize(image.size, Image.Resampling.LANCZOS))


TREATMENTS: Mapping[str, Callable[[Picture], Picture]] = {
    "png": lambda picture: picture,
    "jpeg_90": lambda picture: stored(picture, "JPEG", 90),
    "jpeg_75": lambda picture: stored(picture, "JPEG", 75),
    "jpeg_50": lambda picture: stored(picture, "JPEG", 50),
    "webp_80": lambda picture: stored(picture, "WEBP", 80),
    "third": lambda picture: scaled(picture, 1 / 3),
    "half": lambda picture: scaled(picture, 1 / 2),
    "double": lambda picture: scaled(picture, 2),
}


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to mark. right: share of the text's bits in a picture; whole: whether the text can be read in it."""

    write: Callable[[Picture], Picture]
    right: Callable[[Picture], float]
    whole: Callable[[Picture], bool]


def ours() -> Way:
    """Troupe's."""
    return Way(
        write=lambda picture: embed_watermark(picture, TEXT),
        right=lambda picture: agreement(picture, TEXT),
        whole=lambda picture: read_watermark(picture) == TEXT,
    )


def library() -> Way:
    """invisible-watermark's, with as many bits."""
    bits = np.unpackbits(np.frombuffer(TEXT.encode().ljust(BITS // 8, b"\0"), np.uint8))

    def right(picture: Picture) -> float:
        found = EmbedDwtDctSvd(wmLen=BITS).decode(np.ascontiguousarray(picture[..., ::-1]))
        return float(np.mean(found == bits))

    def write(picture: Picture) -> Picture:
        marked = EmbedDwtDctSvd(watermarks=list(bits), wmLen=BITS).encode(np.ascontiguousarray(picture[..., ::-1]))
        return np.ascontiguousarray(marked[..., ::-1])

    return Way(write=write, right=right, whole=lambda picture: right(picture) == 1)


def measure(way: Way, pictures: list[Picture]) -> dict[str, float]:
    """Share of whole texts and of right bits for every treatment, seconds a picture (median), PSNR (mean)."""
    took_s, psnr_db, marked = [], [], []
    for picture in pictures:
        start_s = time.perf_counter()
        marked.append(way.write(picture))
        took_s.append(time.perf_counter() - start_s)
        psnr_db.append(10 * np.log10(255**2 / np.mean((picture.astype(float) - marked[-1]) ** 2)))
    found = {"s": float(np.median(took_s)), "psnr_db": float(np.mean(psnr_db))}
    for name, treat in TREATMENTS.items():
        treated = [treat(picture) for picture in marked]
        found[f"{name}_whole"] = float(np.mean([way.whole(picture) for picture in treated]))
        found[f"{name}_bits"] = float(np.mean([way.right(picture) for picture in treated]))
    return found


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--pictures", type=int, default=20)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    print(f"{'':16}{'ms':>7}{'dB':>7}" + "".join(f"{name:>13}" for name in TREATMENTS))
    for size_px in SIZES_PX:
        scenes = (
            draw_scene(seed, width_px=min(size_px, 256), height_px=min(size_px, 256)).picture
            for seed in range(options.pictures)
        )
        pictures = [
            np.asarray(Image.fromarray(scene).resize((size_px, size_px), Image.Resampling.LANCZOS)) for scene in scenes
        ]
        for name, way in (("troupe", ours()), ("library", library())):
            found = measure(way, pictures)
            figures |= {f"marks_{name}_{size_px}_{key}": value for key, value in found.items()}
            cells = (f"{found[f'{one}_whole']:5.0%} ({found[f'{one}_bits']:.3f})" for one in TREATMENTS)
            row = "".join(f"{cell:>13}" for cell in cells)
            print(f"{name:8}{size_px:5} px{found['s'] * 1e3:7.1f}{found['psnr_db']:7.1f}{row}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
