"""How the picture of face landmarks is drawn, as a value: a bundle's recipe names it without any drawing library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pen:
    """Sizes of the drawing in pixels; the defaults are the ones InstantID was trained with."""

    stick_width_px: int = 4
    radius_px: int = 10
