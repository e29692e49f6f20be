"""Draw the curves of the trainings for the model card.

python -m worker.mini.train.generator_curves var/train/unet.jsonl:loss --out worker/mini/curves/unet.png
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

_WIDTH_PX, _HEIGHT_PX, _MARGIN_PX = 480, 260, 40
_COLOURS = ("#1f6fb4", "#d1642a", "#3a8f4d")
Points = Sequence[tuple[float, float]]


def read_curve(path: Path, key: str) -> Points:
    """(step, value) of every line of a JSONL curve that has the key and a positive value for it."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [(line["step"], line[key]) for line in lines if line.get(key, 0) > 0]


def plot(curves: dict[str, Points]) -> Image.Image:
    """The curves over the steps on a logarithmic scale, each with its ends. Raises ValueError for none."""
    steps = [step for points in curves.values() for step, _ in points]
    values = [math.log(value) for points in curves.values() for _, value in points]
    if not values:
        message = "no curve has a value to draw"
        raise ValueError(message)
    low, high, last = min(values), max(values), max(*steps, 1)
    canvas = Image.new("RGB", (_WIDTH_PX, _HEIGHT_PX), "white")
    draw = ImageDraw.Draw(canvas)
    bottom, right = _HEIGHT_PX - _MARGIN_PX, _WIDTH_PX - _MARGIN_PX
    draw.rectangle((_MARGIN_PX, _MARGIN_PX, right, bottom), outline="#999999")
    draw.text((right - 60, bottom + 6), f"step {last:.0f}", fill="black")
    draw.text((2, _MARGIN_PX), f"{math.exp(high):.3g}", fill="black")
    draw.text((2, bottom - 10), f"{math.exp(low):.3g}", fill="black")
    for i, (name, points) in enumerate(curves.items()):
        line = [
            (
                _MARGIN_PX + (right - _MARGIN_PX) * step / last,
                bottom - (bottom - _MARGIN_PX) * (math.log(value) - low) / max(high - low, 1e-9),
            )
            for step, value in points
        ]
        draw.line(line, fill=_COLOURS[i % len(_COLOURS)], width=2)
        label = f"{name}: {points[0][1]:.3g} to {points[-1][1]:.3g}"
        draw.text((_MARGIN_PX, 2 + 12 * i), label, fill=_COLOURS[i % len(_COLOURS)])
    return canvas


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", nargs="+", help="FILE.jsonl:KEY")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    curves = {}
    for curve in asked.curves:
        path, _, key = curve.rpartition(":")
        curves[f"{Path(path).stem} {key}"] = read_curve(Path(path), key)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    plot(curves).save(asked.out)


if __name__ == "__main__":
    main()
