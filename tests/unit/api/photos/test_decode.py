"""What becomes of bytes that somebody sends as a photo."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from api.photos.decode import LONGEST_SIDE_PX, read_photo
from shared.errors import AnimatedPicture, NotAPicture, PictureTooLarge, RequestError, TruncatedPicture

_PIXELS = 50_000_000
_FORMATS = ("PNG", "JPEG", "WEBP")


def encoded(picture: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, format_, **options)
    return out.getvalue()


def pixel(picture: Image.Image, x: int, y: int) -> tuple[int, int, int]:
    value = picture.getpixel((x, y))
    assert isinstance(value, tuple)
    red, green, blue = value
    return red, green, blue


def noise(width_px: int = 60, height_px: int = 40) -> Image.Image:
    return Image.effect_noise((width_px, height_px), 80).convert("RGB")


def kept(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(read_photo(data, max_pixels=_PIXELS).png))


@pytest.mark.parametrize("format_", _FORMATS)
def test_a_photo_is_kept_as_rgb_png_under_the_hash_of_what_was_sent(format_: str) -> None:
    data = encoded(noise(), format_)
    photo = read_photo(data, max_pixels=_PIXELS)
    assert photo.id == hashlib.sha256(data).hexdigest()
    picture = Image.open(io.BytesIO(photo.png))
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", (60, 40))


@pytest.mark.parametrize("format_", _FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(format_: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    upright = Image.new("RGB", (40, 20), "blue")
    upright.paste("red", (0, 0, 20, 10))
    # How a camera would have stored it: the inverse of what a viewer does.
    stored = {
        1: upright,
        2: upright.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: upright.transpose(Image.Transpose.ROTATE_180),
        4: upright.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: upright.transpose(Image.Transpose.TRANSPOSE),
        6: upright.transpose(Image.Transpose.ROTATE_90),
        7: upright.transpose(Image.Transpose.TRANSVERSE),
        8: upright.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    picture = kept(encoded(stored, format_, exif=exif))
    assert picture.size == (40, 20)
    red, _, blue = pixel(picture, 4, 3)
    assert (red > 200, blue < 60) == (True, True)
    red, _, blue = pixel(picture, 35, 16)
    assert (blue > 200, red < 60) == (True, True)


def test_metadata_is_stripped() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "secret camera"
    photo = read_photo(encoded(noise(), "JPEG", exif=exif, comment=b"secret words"), max_pixels=_PIXELS)
    assert b"secret" not in photo.png
    assert {photo.png[at - 4 : at] for at in _chunk_data_starts(photo.png)} == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_is_no_reason_to_refuse_a_photo() -> None:
    assert kept(encoded(noise(), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")).size == (60, 40)


def test_a_large_photo_is_scaled_down() -> None:
    assert kept(encoded(noise(3000, 1500), "JPEG")).size == (LONGEST_SIDE_PX, LONGEST_SIDE_PX // 2)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_other_modes_become_rgb(mode: str) -> None:
    picture = Image.new(mode, (20, 20), 0)
    assert kept(encoded(picture)).mode == "RGB"


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    red, _, _ = pixel(kept(encoded(Image.new("I;16", (20, 20), 32_768))), 3, 3)
    assert red == 128


def test_what_is_transparent_becomes_white() -> None:
    picture = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert pixel(kept(encoded(picture)), 5, 5) == (255, 255, 255)


def test_cmyk_becomes_rgb() -> None:
    assert kept(encoded(Image.new("CMYK", (20, 20)), "JPEG")).mode == "RGB"


@pytest.mark.parametrize("format_", _FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_picture_says_so(format_: str, share: float) -> None:
    data = encoded(noise(200, 200), format_)
    with pytest.raises(TruncatedPicture):
        read_photo(data[: max(int(len(data) * share), 8)], max_pixels=_PIXELS)


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", b"%PDF-1.7", b"<svg/>", b"\x00" * 100, b"BM" + b"\0" * 60, b"\0\0\0\x18ftypheic" + b"\0" * 40],
)
def test_what_is_not_a_picture_says_so(data: bytes) -> None:
    with pytest.raises(NotAPicture):
        read_photo(data, max_pixels=_PIXELS)


def test_heic_is_named_in_the_answer() -> None:
    with pytest.raises(NotAPicture, match="HEIC"):
        read_photo(b"\0\0\0\x18ftypheic" + b"\0" * 40, max_pixels=_PIXELS)


def test_a_still_gif_is_not_accepted() -> None:
    with pytest.raises(NotAPicture, match="GIF"):
        read_photo(encoded(noise(), "GIF"), max_pixels=_PIXELS)


@pytest.mark.parametrize("format_", ["PNG", "WEBP", "GIF"])
def test_an_animated_picture_says_so(format_: str) -> None:
    frames = [noise(), noise()]
    data = encoded(frames[0], format_, save_all=True, append_images=frames[1:])
    with pytest.raises(AnimatedPicture):
        read_photo(data, max_pixels=_PIXELS)


def test_a_portrait_with_depth_from_a_phone_is_one_photo() -> None:
    data = encoded(noise(), "MPO", save_all=True, append_images=[noise()])
    assert kept(data).size == (60, 40)


@pytest.mark.parametrize(("width_px", "height_px"), [(10_000, 5_001), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_decompression_bomb_is_refused_from_its_header(width_px: int, height_px: int) -> None:
    with pytest.raises(PictureTooLarge):
        read_photo(_png_header(width_px, height_px), max_pixels=_PIXELS)


def test_fifty_megapixels_and_no_more() -> None:
    data = encoded(Image.new("L", (100, 50)))
    read_photo(data, max_pixels=5_000)
    with pytest.raises(PictureTooLarge):
        read_photo(data, max_pixels=4_999)


def test_the_error_points_at_the_field_that_held_the_bytes() -> None:
    with pytest.raises(NotAPicture) as caught:
        read_photo(b"?", max_pixels=_PIXELS, pointer="/photo/1")
    assert caught.value.pointer == "/photo/1"


@pytest.mark.filterwarnings("ignore")  # Pillow warns of much in damaged files; the property is about errors
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    format_=st.sampled_from([*_FORMATS, "GIF"]),
    cut=st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=8),
)
def test_damaged_bytes_are_a_photo_or_an_error_of_the_request(
    format_: str, cut: float, changes: list[tuple[float, int]]
) -> None:
    data = bytearray(encoded(noise(), format_))
    for place, value in changes:
        data[int(place * len(data))] = value
    data = data[: int(cut * len(data)) + 1] if cut < 0.5 else data
    try:
        photo = read_photo(bytes(data), max_pixels=100_000)
    except RequestError:
        return
    assert Image.open(io.BytesIO(photo.png)).mode == "RGB"


def _chunk_data_starts(png: bytes) -> list[int]:
    starts, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        starts.append(at + 8)
        at += 12 + length
    return starts


def _png_header(width_px: int, height_px: int) -> bytes:
    """A few bytes that claim to be a huge picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
