from __future__ import annotations

import io

import numpy as np
import pytest
from imwatermark.dwtDctSvd import EmbedDwtDctSvd
from numpy.typing import NDArray
from PIL import Image

from worker.mini.world import draw_scene
from worker.output.watermark import (
    BITS,
    STEP,
    agreement,
    embed_watermark,
    read_watermark,
)

TEXT = "example.org"


def drawn(seed: int, width_px: int = 256, height_px: int = 256) -> NDArray[np.uint8]:
    """A scene of the mini world, scaled to this size."""
    scene = Image.fromarray(draw_scene(seed).picture)
    return np.asarray(scene.resize((width_px, height_px), Image.Resampling.LANCZOS))


def through_jpeg(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out).convert("RGB"))


def scaled(picture: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """There and back."""
    image = Image.fromarray(picture)
    small = image.resize((int(image.width * factor), int(image.height * factor)), Image.Resampling.LANCZOS)
    return np.asarray(small.resize(image.size, Image.Resampling.LANCZOS))


def psnr_db(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.parametrize("text", ["x", TEXT, "exactly 16 bytes", "Köchin"])
@pytest.mark.parametrize("size_px", [(128, 128), (256, 192), (300, 129), (512, 512)])
def test_what_is_written_is_read_and_nobody_sees_it(text: str, size_px: tuple[int, int]) -> None:
    picture = drawn(3, *size_px)
    marked = embed_watermark(picture, text)
    assert (read_watermark(marked), agreement(marked, text)) == (text, 1.0)
    assert psnr_db(picture, marked) > 38


@pytest.mark.parametrize("seed", range(6))
def test_it_survives_jpeg_and_scaling_from_256_pixels_on(seed: int) -> None:
    marked = embed_watermark(drawn(seed), TEXT)
    for spoiled in (through_jpeg(marked, 90), through_jpeg(marked, 75), scaled(marked, 0.5), scaled(marked, 2)):
        assert read_watermark(spoiled) == TEXT


def test_what_is_no_longer_whole_is_not_told_but_can_be_recognized() -> None:
    spoiled = through_jpeg(embed_watermark(drawn(4), TEXT), 40)
    assert read_watermark(spoiled) is None
    assert agreement(spoiled, TEXT) > 0.75
    assert agreement(drawn(4), TEXT) < 0.65


def test_a_picture_without_one_has_none() -> None:
    assert {read_watermark(drawn(seed, 128, 128)) for seed in range(60)} == {None}
    assert read_watermark(np.zeros((64, 64, 3), np.uint8)) is None


def test_colours_at_the_end_of_their_range_hold_it_too() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    for column, colour in enumerate([(0, 0, 0), (255, 255, 255), (255, 255, 0), (0, 0, 255), (255, 0, 0), (0, 255, 0)]):
        stripes[:, column * 43 :] = colour
    assert read_watermark(embed_watermark(stripes, TEXT)) == TEXT


def test_the_library_that_the_method_comes_from_reads_it() -> None:
    marked = embed_watermark(drawn(5), TEXT)
    theirs = EmbedDwtDctSvd(watermarks=[], wmLen=BITS, scales=[0, int(STEP), 0])
    found = np.packbits(theirs.decode(np.ascontiguousarray(marked[..., ::-1]))).tobytes()
    assert found.startswith(TEXT.encode() + b"\0")


def test_a_text_too_long_and_a_picture_too_small_are_named() -> None:
    with pytest.raises(ValueError, match="has 17"):
        embed_watermark(drawn(1), "seventeen letters")
    with pytest.raises(ValueError, match="64 x 96 has 96 blocks; a watermark needs 144"):
        embed_watermark(drawn(1, 64, 96), TEXT)
