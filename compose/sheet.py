"""Masks drawn over a template, and a contact sheet of all pictures of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

# One colour per concept, from Okabe and Ito's palette for all kinds of colour vision (https://jfly.uni-koeln.de/color/).
COLOURS = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (213, 94, 0), (204, 121, 167))
_PAPER = (250, 248, 244)
_INK = (32, 32, 36)
_PALE_INK = (120, 118, 114)
_SIDE_PX = 512
_GAP_PX = 28
_LABEL_PX = 44
_TITLE_PX = 96


@dataclass(frozen=True, kw_only=True)
class Cast:
    """One person of the sheet: the reference portrait and the phrase that finds them in the scene."""

    phrase: str
    portrait: Image.Image


def over_template(template: Image.Image, masks: Image.Image) -> Image.Image:
    """The template with every concept's mask tinted and outlined, enlarged. masks: grey value i + 1 is concept i."""
    scale = _scale(template)
    size = (template.width * scale, template.height * scale)
    picture = np.asarray(template.convert("RGB").resize(size, Image.Resampling.LANCZOS), dtype=np.float32)
    labels = np.asarray(masks.convert("L").resize(size, Image.Resampling.NEAREST))
    for concept, colour in enumerate(COLOURS, start=1):
        inside = labels == concept
        edge = inside & ~_eroded(inside, 3)
        picture[inside] = 0.6 * picture[inside] + 0.4 * np.array(colour, dtype=np.float32)
        picture[edge] = colour
    return Image.fromarray(picture.round().astype(np.uint8))


def contact_sheet(
    prompt: str, cast: Sequence[Cast], template: Image.Image, masked: Image.Image, picture: Image.Image
) -> Image.Image:
    """The portraits, the template, the regions and the picture, side by side with labels."""
    tiles = [("template", template), ("who is where", masked), ("the picture", picture)]
    shown = [(label, _enlarged(tile)) for label, tile in tiles]
    height = max(tile.height for _, tile in shown)
    # The portraits share one column as high as the others; with many people it has two.
    columns = 1 if len(cast) <= 2 else 2
    rows = -(-len(cast) // columns)
    side = min((height - (rows - 1) * (_GAP_PX + _LABEL_PX)) // rows, _SIDE_PX // columns)
    portraits_px = columns * side + (columns - 1) * _GAP_PX
    width = _GAP_PX + portraits_px + sum(_GAP_PX + tile.width for _, tile in shown) + _GAP_PX
    sheet = Image.new("RGB", (width, _TITLE_PX + _LABEL_PX + height + 2 * _GAP_PX), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP_PX, _GAP_PX), "Troupe", font=ImageFont.load_default(44), fill=_INK)
    draw.text((_GAP_PX + 190, _GAP_PX + 18), f"“{prompt}”", font=ImageFont.load_default(24), fill=_PALE_INK)
    top = _TITLE_PX + _GAP_PX
    for place, person in enumerate(cast):
        x = _GAP_PX + place % columns * (side + _GAP_PX)
        y = top + place // columns * (side + _GAP_PX + _LABEL_PX)
        _tile(sheet, (x, y), person.phrase, person.portrait.resize((side, side)), COLOURS[place % len(COLOURS)])
    x = _GAP_PX + portraits_px + _GAP_PX
    for label, tile in shown:
        _tile(sheet, (x, top), label, tile, _INK)
        x += tile.width + _GAP_PX
    return sheet


def _tile(
    sheet: Image.Image, place: tuple[int, int], label: str, tile: Image.Image, colour: tuple[int, int, int]
) -> None:
    draw = ImageDraw.Draw(sheet)
    x, y = place
    draw.rectangle((x, y + 6, x + 8, y + 28), fill=colour)
    size = 22.0
    while size > 8 and draw.textlength(label, font=ImageFont.load_default(size)) > tile.width - 18:
        size -= 1
    draw.text((x + 18, y + 16), label, font=ImageFont.load_default(size), fill=_INK, anchor="lm")
    sheet.paste(tile, (x, y + _LABEL_PX))


def _enlarged(picture: Image.Image) -> Image.Image:
    scale = _scale(picture)
    return picture.convert("RGB").resize((picture.width * scale, picture.height * scale), Image.Resampling.LANCZOS)


def _scale(picture: Image.Image) -> int:
    """The factor that makes a picture about as high as a tile; 1 for large pictures."""
    return max(1, _SIDE_PX // picture.height)


def _eroded(inside: np.ndarray, by_px: int) -> np.ndarray:
    """The region without a border of this width; pixels beyond the picture count as outside."""
    padded = np.pad(inside, by_px)
    left = np.ones_like(inside)
    for dy in (0, by_px, 2 * by_px):
        for dx in (0, by_px, 2 * by_px):
            left &= padded[dy : dy + inside.shape[0], dx : dx + inside.shape[1]]
    return left
