"""The ten places of the drawn world: few flat colours, one layout each, a little jitter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from worker.mini.paint import Colour, Frame, Points, Sheet, blob, oval, shade


def paint_place(sheet: Sheet, place: str, rng: np.random.Generator, *, night: bool) -> None:
    """Paint one of PLACES over the whole sheet, by day or tinted to night."""
    _PAINTERS[place](sheet, rng)
    if not night:
        if place in _SUNS:
            _paint_sun(sheet, *_SUNS[place])
        return
    sheet.tint(*_NIGHTS.get(place, ((70, 66, 130), 0.76)))
    _LAMPS.get(place, _paint_moon)(sheet)


def _at(sheet: Sheet) -> Frame:
    """Places are drawn 1 high and as wide as the picture is."""
    return Frame(scale_px=sheet.height_px)


def _wide(sheet: Sheet) -> float:
    return sheet.width_px / sheet.height_px


def _box(x1: float, y1: float, x2: float, y2: float) -> Points:
    return np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)])


def _sky(sheet: Sheet, top: Colour, bottom: Colour, horizon: float, ground: Colour) -> None:
    horizon_px = horizon * sheet.height_px
    sheet.ramp(top, bottom, 0, horizon_px)
    sheet.ramp(ground, shade(ground, 0.9), horizon_px)


def _steps(sheet: Sheet, rng: np.random.Generator, every: float) -> list[float]:
    """Places along the width at about equal steps, jittered a little."""
    count = max(1, round(_wide(sheet) / every))
    return [float((i + 0.5) * _wide(sheet) / count + rng.uniform(-0.06, 0.06) * every) for i in range(count)]


def _cloud(sheet: Sheet, x: float, y: float, size: float) -> None:
    for dx, dy, radius in ((-0.1, 0.02, 0.06), (0, -0.01, 0.09), (0.1, 0.02, 0.07)):
        sheet.fill(oval(x + dx * size, y + dy * size, radius * size * 1.2, radius * size), (255, 255, 255), _at(sheet))


def _beach(sheet: Sheet, rng: np.random.Generator) -> None:
    frame, wide = _at(sheet), _wide(sheet)
    _sky(sheet, (112, 196, 240), (206, 236, 248), 0.42, (246, 220, 160))
    sheet.ramp((40, 140, 196), (84, 192, 214), 0.42 * sheet.height_px, 0.6 * sheet.height_px)
    sheet.fill(_box(0, 0.6, wide, 0.625), (250, 250, 246), frame)
    _cloud(sheet, 0.24 + float(rng.uniform(-0.05, 0.05)), 0.12, 1.0)


def _forest(sheet: Sheet, rng: np.random.Generator) -> None:
    frame = _at(sheet)
    _sky(sheet, (178, 222, 190), (142, 200, 150), 0.62, (72, 120, 62))
    for i, x in enumerate(_steps(sheet, rng, 0.25)):
        sheet.fill(_box(x - 0.022, 0.45, x + 0.022, 0.72), (100, 70, 48), frame)
        green: Colour = (38, 104, 64) if i % 2 else (54, 128, 74)
        for y, half in ((0.02, 0.09), (0.16, 0.12), (0.3, 0.15)):
            sheet.fill(np.array([(x, y), (x + half, y + 0.24), (x - half, y + 0.24)]), green, frame)


def _kitchen(sheet: Sheet, rng: np.random.Generator) -> None:
    frame, wide = _at(sheet), _wide(sheet)
    sheet.ramp((252, 232, 190), (246, 220, 172))
    for x in np.arange(0.0, wide, 0.125):
        sheet.fill(_box(x + 0.005, 0.4, x + 0.12, 0.51), (240, 250, 250), frame)
    sheet.fill(_box(0, 0, wide * 0.28, 0.26), (188, 118, 74), frame)
    sheet.fill(_box(wide * 0.72, 0, wide, 0.26), (188, 118, 74), frame)
    for x in (wide * 0.05, wide * 0.77):
        sheet.fill(_box(x, 0.04, x + wide * 0.18, 0.22), (208, 140, 92), frame)
    sheet.fill(_box(wide * 0.36, 0.04, wide * 0.64, 0.32), (250, 250, 246), frame)
    sheet.fill(_box(wide * 0.38, 0.07, wide * 0.62, 0.29), (150, 214, 244), frame)
    sheet.fill(_box(0, 0.62, wide, 0.68), (232, 232, 228), frame)
    sheet.fill(_box(0, 0.68, wide, 1), (150, 90, 60), frame)
    pot = wide * float(rng.uniform(0.47, 0.53))
    sheet.fill(_box(pot - 0.08, 0.53, pot + 0.08, 0.62), (206, 60, 56), frame)


def _park(sheet: Sheet, rng: np.random.Generator) -> None:
    frame = _at(sheet)
    _sky(sheet, (140, 208, 246), (222, 242, 250), 0.55, (126, 196, 92))
    for x in _steps(sheet, rng, 0.5):
        sheet.fill(_box(x - 0.025, 0.32, x + 0.025, 0.6), (126, 84, 54), frame)
        sheet.fill(oval(x, 0.2, 0.17, 0.16), (88, 170, 78), frame)
        sheet.fill(oval(x - 0.05, 0.15, 0.07, 0.06), (120, 196, 96), frame)
    for x in _steps(sheet, rng, 0.2):
        sheet.fill(oval(x, 0.66, 0.018, 0.018), (255, 232, 110), frame)
    sheet.fill(
        blob((0.1, 1.02), (_wide(sheet) / 2 - 0.04, 0.56), (_wide(sheet) / 2 + 0.04, 0.56), (_wide(sheet) - 0.1, 1.02)),
        (236, 214, 166),
        frame,
    )


def _city(sheet: Sheet, rng: np.random.Generator) -> None:
    frame = _at(sheet)
    _sky(sheet, (246, 190, 160), (252, 228, 200), 0.7, (128, 128, 140))
    colours: tuple[Colour, ...] = ((120, 126, 168), (164, 112, 126), (96, 138, 160))
    for i, x in enumerate(_steps(sheet, rng, 0.25)):
        top = (0.1, 0.26, 0.16, 0.32)[i % 4]
        sheet.fill(_box(x - 0.105, top, x + 0.105, 0.72), colours[i % 3], frame)
        for dx in (-0.06, 0.0, 0.06):
            for y in np.arange(top + 0.05, 0.66, 0.1):
                sheet.fill(_box(x + dx - 0.016, y, x + dx + 0.016, y + 0.05), (250, 232, 160), frame)
    sheet.fill(_box(0, 0.74, _wide(sheet), 0.76), (246, 246, 240), frame)


def _mountains(sheet: Sheet, rng: np.random.Generator) -> None:
    frame = _at(sheet)
    _sky(sheet, (122, 184, 236), (220, 236, 248), 0.66, (122, 178, 100))
    for i, x in enumerate(_steps(sheet, rng, 0.5)):
        top = 0.1 if i % 2 else 0.18
        sheet.fill(np.array([(x, top), (x + 0.36, 0.68), (x - 0.36, 0.68)]), (122, 122, 146), frame)
        sheet.fill(np.array([(x, top), (x + 0.36, 0.68), (x + 0.06, 0.68)]), (98, 98, 126), frame)
        sheet.fill(
            np.array(
                [(x, top), (x + 0.1, top + 0.16), (x + 0.03, top + 0.12), (x - 0.04, top + 0.17), (x - 0.1, top + 0.16)]
            ),
            (252, 252, 255),
            frame,
        )
    sheet.fill(_box(0, 0.66, _wide(sheet), 0.7), (92, 152, 88), frame)


def _library(sheet: Sheet, _rng: np.random.Generator) -> None:
    frame, wide = _at(sheet), _wide(sheet)
    sheet.ramp((110, 68, 46), (92, 56, 40))
    books: tuple[Colour, ...] = ((186, 58, 54), (62, 104, 146), (222, 176, 82), (76, 128, 92), (228, 214, 190))
    for row, y in enumerate((0.03, 0.24, 0.45, 0.66)):
        sheet.fill(_box(0, y, wide, y + 0.17), (62, 38, 32), frame)
        for i, x in enumerate(np.arange(0.012, wide - 0.03, 0.0625)):
            height = (0.14, 0.12, 0.15, 0.13)[(i + row) % 4]
            sheet.fill(_box(x, y + 0.17 - height, x + 0.05, y + 0.17), books[(i * 2 + row) % 5], frame)
    sheet.fill(_box(0, 0.87, wide, 1), (160, 60, 60), frame)


def _snow(sheet: Sheet, rng: np.random.Generator) -> None:
    frame, wide = _at(sheet), _wide(sheet)
    _sky(sheet, (176, 204, 232), (224, 234, 246), 0.56, (248, 250, 255))
    sheet.fill(
        blob((-0.3, 0.75), (wide * 0.25, 0.5), (wide * 0.6, 0.62), (wide + 0.3, 0.52), (wide + 0.3, 0.9), (-0.3, 0.9)),
        (232, 240, 250),
        frame,
    )
    for x in (0.12 + float(rng.uniform(-0.02, 0.02)), wide - 0.12):
        for y, half in ((0.24, 0.07), (0.34, 0.1)):
            sheet.fill(np.array([(x, y), (x + half, y + 0.2), (x - half, y + 0.2)]), (70, 120, 112), frame)
        sheet.fill(np.array([(x, 0.24), (x + 0.03, 0.33), (x - 0.03, 0.33)]), (255, 255, 255), frame)
    for x, y in _scattered(int(26 * wide)):
        sheet.fill(oval(x * wide, y * 0.9, 0.012, 0.012), (255, 255, 255), frame)


def _desert(sheet: Sheet, rng: np.random.Generator) -> None:
    frame, wide = _at(sheet), _wide(sheet)
    _sky(sheet, (250, 178, 96), (254, 226, 160), 0.58, (232, 166, 92))
    sheet.fill(
        blob((-0.3, 0.7), (wide * 0.3, 0.54), (wide * 0.7, 0.66), (wide + 0.3, 0.5), (wide + 0.3, 0.9), (-0.3, 0.9)),
        (218, 146, 76),
        frame,
    )
    for x in (0.1 + float(rng.uniform(-0.02, 0.02)), wide - 0.1):
        sheet.fill(_box(x - 0.03, 0.3, x + 0.03, 0.66), (84, 140, 76), frame)
        sheet.fill(_box(x - 0.085, 0.38, x - 0.05, 0.5), (84, 140, 76), frame)
        sheet.fill(_box(x - 0.085, 0.47, x, 0.51), (84, 140, 76), frame)
        sheet.fill(_box(x + 0.05, 0.34, x + 0.085, 0.46), (84, 140, 76), frame)
        sheet.fill(_box(x, 0.43, x + 0.085, 0.47), (84, 140, 76), frame)


def _moon(sheet: Sheet, rng: np.random.Generator) -> None:
    frame = _at(sheet)
    _sky(sheet, (18, 16, 40), (44, 38, 84), 0.6, (196, 196, 206))
    _paint_stars(sheet)
    earth = 0.16 + float(rng.uniform(-0.02, 0.02))
    sheet.fill(oval(earth, 0.16, 0.11, 0.11), (70, 130, 214), frame)
    sheet.fill(
        blob((earth - 0.05, 0.1), (earth + 0.02, 0.12), (earth - 0.01, 0.2), (earth - 0.06, 0.17)),
        (112, 190, 120),
        frame,
    )
    for x in _steps(sheet, rng, 0.34):
        sheet.fill(oval(x, 0.7, 0.08, 0.03), (156, 156, 170), frame)


def _paint_sun(sheet: Sheet, from_right: float, y: float, radius: float) -> None:
    """The sun, `from_right` of the width from the right edge."""
    sheet.fill(oval(_wide(sheet) * (1 - from_right), y, radius, radius), (255, 240, 160), _at(sheet))


def _paint_moon(sheet: Sheet) -> None:
    frame, wide = _at(sheet), _wide(sheet)
    sheet.fill(oval(wide - 0.13, 0.12, 0.07, 0.07), (250, 246, 214), frame)
    for x, y in _scattered(int(9 * wide)):
        sheet.fill(oval(x * (wide - 0.3), 0.02 + y * 0.16, 0.009, 0.009), (250, 246, 214), frame)


def _paint_stars(sheet: Sheet) -> None:
    """The sky over the moon, where there is no air to hide the stars."""
    wide = _wide(sheet)
    for x, y in _scattered(int(34 * wide)):
        sheet.fill(oval(x * wide, y * 0.58, 0.009, 0.009), (255, 255, 240), _at(sheet))


def _paint_lamp(sheet: Sheet) -> None:
    frame, x = _at(sheet), _wide(sheet) / 2
    sheet.fill(np.array([(x - 0.05, 0), (x + 0.05, 0), (x + 0.1, 0.09), (x - 0.1, 0.09)]), (255, 214, 110), frame)
    sheet.fill(oval(x, 0.1, 0.04, 0.03), (255, 250, 214), frame)


def _scattered(count: int) -> list[tuple[float, float]]:
    """Points spread evenly over the unit square: Roberts' R2 sequence (2018), on the powers of the plastic number."""
    return [((i * 0.569840) % 1, (i * 0.754878) % 1) for i in range(count)]


_PAINTERS: dict[str, Callable[[Sheet, np.random.Generator], None]] = {
    "on the beach": _beach,
    "in the forest": _forest,
    "in a kitchen": _kitchen,
    "in a park": _park,
    "in the city": _city,
    "in the mountains": _mountains,
    "in a library": _library,
    "in the snow": _snow,
    "in the desert": _desert,
    "on the moon": _moon,
}
# Indoors the lamps are on, so a room darkens less than the open air; the moon has no air to turn its light blue.
_NIGHTS: dict[str, tuple[Colour, float]] = {
    "in a kitchen": ((120, 92, 130), 0.76),
    "in a library": ((120, 92, 130), 0.76),
    "on the moon": ((140, 140, 140), 1.0),
}
_LAMPS: dict[str, Callable[[Sheet], None]] = {
    "in a kitchen": _paint_lamp,
    "in a library": _paint_lamp,
    "on the moon": _paint_stars,
}
# Share of the width from the right edge, height and radius.
_SUNS: dict[str, tuple[float, float, float]] = {"on the beach": (0.14, 0.14, 0.085), "in the desert": (0.5, 0.2, 0.12)}
PLACES: tuple[str, ...] = tuple(_PAINTERS)
