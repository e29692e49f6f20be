"""Untrusted bytes -> a safe reference photo: upright, RGB, without metadata.

Accepts PNG, JPEG and WebP, and decodes pixels only if the header shows an acceptable size. Photos are scaled down
to 2048 pixels a side: face detection works at 640, and no later stage needs more.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass

from PIL import ExifTags, Image

from shared.errors import AnimatedPicture, NotAPicture, PictureTooLarge, TruncatedPicture

LONGEST_SIDE_PX = 2048
_SMALL_PX = 256

# Exceptions of decoders for malicious bytes. Pillow documents only OSError, which is not always true.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RuntimeError,
    EOFError,
    MemoryError,
    struct.error,
    zlib.error,
)
_BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)

_UPRIGHT: dict[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A reference photo.

    Attributes:
        id: SHA-256 (hexadecimal) of the uploaded bytes.
        png: the bytes to store.
        consent: as sent with the photo, or "".
    """

    id: str
    png: bytes
    consent: str = ""


def small(data: bytes) -> bytes:
    """A stored picture as a JPEG of at most 256 pixels a side."""
    with Image.open(io.BytesIO(data)) as picture:
        drawn = picture.convert("RGB")
    drawn.thumbnail((_SMALL_PX, _SMALL_PX))
    out = io.BytesIO()
    drawn.save(out, "JPEG", quality=85)
    return out.getvalue()


def photo_id(data: bytes) -> str:
    """The id of a photo: SHA-256 (hexadecimal) of the uploaded bytes."""
    return hashlib.sha256(data).hexdigest()


def read_photo(data: bytes, *, max_pixels: int, pointer: str | None = None) -> Photo:
    """Decodes, checks and re-encodes one photo. Takes up to about a second: do not call it on the event loop.

    Raises NotAPicture, TruncatedPicture, PictureTooLarge or AnimatedPicture; pointer: to the field with the bytes.
    """
    format_ = _format_of(data, pointer)
    try:
        with Image.open(io.BytesIO(data), formats=(format_,)) as picture:
            if picture.width * picture.height > max_pixels:
                message = f"the picture has {picture.width} x {picture.height} pixels, more than {max_pixels}"
                raise PictureTooLarge(message, pointer=pointer)
            # Phones store a portrait with its depth as a JPEG of several pictures (MPO): the first one is the photo.
            if getattr(picture, "is_animated", False) and picture.format != "MPO":
                message = "the picture has several frames; send one still picture"
                raise AnimatedPicture(message, pointer=pointer)
            if format_ == "GIF":
                message = "GIF is not accepted; send PNG, JPEG or WebP"
                raise NotAPicture(message, pointer=pointer)
            png = _as_png(picture)
    except _BOMBS as error:
        message = f"the picture has more than {max_pixels} pixels"
        raise PictureTooLarge(message, pointer=pointer) from error
    except _DECODER_ERRORS as error:
        message = f"the picture starts as {format_} but ends too early or is damaged"
        raise TruncatedPicture(message, pointer=pointer) from error
    if format_ == "PNG" and b"IEND" not in data:
        # Pillow stops after the last pixel; without the end mark the file may be incomplete.
        message = "the picture starts as PNG but ends too early"
        raise TruncatedPicture(message, pointer=pointer)
    return Photo(id=photo_id(data), png=png)


def _format_of(data: bytes, pointer: str | None) -> str:
    """The format from the first bytes, whatever type was declared. Raises NotAPicture."""
    if data.startswith(b"\x89PNG"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"RIFF") and data[8:12] in (b"WEBP", b""):
        return "WEBP"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[4:8] == b"ftyp":
        message = "HEIC and AVIF are not accepted; send PNG, JPEG or WebP"
    elif not data:
        message = "the picture is empty"
    else:
        message = "these bytes are not a PNG, JPEG or WebP picture"
    raise NotAPicture(message, pointer=pointer)


def _as_png(picture: Image.Image) -> bytes:
    """The first frame: scaled down where large, turned upright, flattened to RGB, with nothing else of the file."""
    orientation = _orientation(picture)
    # JPEG decodes at a half, a quarter, ... of its size when that is enough; other formats ignore it.
    picture.draft("RGB", (LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    still = _rgb(picture)
    still.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX), Image.Resampling.LANCZOS)
    if orientation in _UPRIGHT:
        still = still.transpose(_UPRIGHT[orientation])
    out = io.BytesIO()
    # A new image from the pixels alone: the encoder also writes ICC, EXIF and text that it finds in `info`.
    Image.frombytes("RGB", still.size, still.tobytes()).save(out, "PNG", compress_level=3)
    return out.getvalue()


def _orientation(picture: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 if the EXIF data is not readable."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except _DECODER_ERRORS:
        return 1


def _rgb(picture: Image.Image) -> Image.Image:
    """Any mode as RGB: transparency becomes white, and 16 bits become 8 (Pillow would clip them to white)."""
    if picture.mode.startswith("I"):
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba.getchannel("A"))
        return white
    return picture.convert("RGB")
