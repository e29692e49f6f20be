"""A contact sheet: for some jobs the references, the template, and what every row made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from worker.mini.measure.cases import Case

_PAPER = (250, 248, 244)
_INK = (32, 32, 36)
_PALE_INK = (120, 118, 114)
_TILE_PX = 256
_GAP_PX = 16
_LABEL_PX = 30
_CAPTION_PX = 26


@dataclass(frozen=True, kw_only=True, eq=False)
class Strip:
    """One job of the sheet: its template, and by the name of each row that had it the picture, None when refused."""

    case: Case
    template: NDArray[np.uint8]
    pictures: Mapping[str, NDArray[np.uint8] | None]


def draw_sheet(strips: Sequence[Strip], rows: Sequence[str]) -> Image.Image:
    """One line a job, one column a row."""
    widest_px = max(_shown(strip.template).width for strip in strips)
    columns = ["references", "template", *rows]
    places_px = [_GAP_PX, 2 * _GAP_PX + _TILE_PX]
    places_px += [places_px[1] + (i + 1) * (widest_px + _GAP_PX) for i in range(len(rows))]
    line_px = _CAPTION_PX + _TILE_PX + _GAP_PX
    size = (places_px[-1] + widest_px + _GAP_PX, _GAP_PX + _LABEL_PX + len(strips) * line_px)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for x, label in zip(places_px, columns, strict=True):
        draw.text((x, _GAP_PX), label, font=ImageFont.load_default(20), fill=_INK)
    for number, strip in enumerate(strips):
        y = _GAP_PX + _LABEL_PX + number * line_px
        words = f"“{strip.case.scene.caption}”  {' · '.join(strip.case.phrases)}"
        draw.text((_GAP_PX, y), words, font=ImageFont.load_default(15), fill=_PALE_INK)
        top = y + _CAPTION_PX
        sheet.paste(_references(strip.case), (places_px[0], top))
        sheet.paste(_shown(strip.template), (places_px[1], top))
        for x, row in zip(places_px[2:], rows, strict=True):
            tile = strip.pictures.get(row)
            if tile is not None:
                sheet.paste(_shown(tile), (x, top))
            elif row in strip.pictures:
                draw.text((x, top), "refused", font=ImageFont.load_default(15), fill=_PALE_INK)
    return sheet


def _references(case: Case) -> Image.Image:
    """The portraits of a job's people, from left to right and in two lines."""
    tile = Image.new("RGB", (_TILE_PX, _TILE_PX), _PAPER)
    across = 1 if case.people == 1 else 2 if case.people <= 4 else 3
    side_px = _TILE_PX // across
    for number, portrait in enumerate(case.portraits):
        small = Image.fromarray(portrait).resize((side_px - 4, side_px - 4), Image.Resampling.LANCZOS)
        tile.paste(small, (number % across * side_px, number // across * side_px))
    return tile


def _shown(picture: NDArray[np.uint8]) -> Image.Image:
    height_px, width_px = picture.shape[:2]
    size = (width_px * _TILE_PX // height_px, _TILE_PX)
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
