"""Draw a grid of scenes with the stock SDXL pipeline, to look at.

python -m worker.mini.train.generator_samples --sdxl worker/mini/checkpoints/sdxl --out var/train/samples.png
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image, ImageDraw

CAPTIONS = (
    "a man and a woman on the beach",
    "a woman and a man in the forest",
    "two women in a kitchen at night",
    "a man with glasses and a child with red hair in the snow",
    "a child in a park",
    "a woman on the left and a man on the right in the desert",
    "a man with a beard on the moon",
    "nobody on the beach",
    "a woman with pink hair in a library",
    "two men in a city at night",
    "a woman with glasses in the mountains",
    "a man and a child on the beach at night",
)
_LABEL_PX = 14


def draw(
    pipeline: StableDiffusionXLPipeline, caption: str, *, seed: int, steps: int, guidance: float, width_px: int = 128
) -> Image.Image:
    """One scene of this height (128 px) and width."""
    picture: Image.Image = pipeline(
        caption,
        width=width_px,
        height=128,
        num_inference_steps=steps,
        guidance_scale=guidance,
        generator=torch.Generator().manual_seed(seed),
    ).images[0]
    return picture


def sheet(pictures: Sequence[Image.Image], labels: Sequence[str], *, columns: int) -> Image.Image:
    """The pictures in rows, each twice as large and over its label."""
    width_px, height_px = (2 * side for side in pictures[0].size)
    rows = math.ceil(len(pictures) / columns)
    canvas = Image.new("RGB", (columns * width_px, rows * (height_px + _LABEL_PX)), "white")
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = i % columns * width_px, i // columns * (height_px + _LABEL_PX)
        canvas.paste(picture.resize((width_px, height_px), Image.Resampling.NEAREST), (x, y))
        ImageDraw.Draw(canvas).text((x + 2, y + height_px + 1), label[:44], fill="black")
    return canvas


def main() -> None:
    """Draw what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdxl", type=Path, default=Path("worker/mini/checkpoints/sdxl"))
    parser.add_argument("--out", type=Path, default=Path("var/train/samples.png"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    pipeline = StableDiffusionXLPipeline.from_pretrained(asked.sdxl, dtype=torch.float32, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    pictures = [
        draw(pipeline, caption, seed=asked.seed + i, steps=asked.steps, guidance=asked.guidance)
        for i, caption in enumerate(CAPTIONS)
    ]
    sheet(pictures, CAPTIONS, columns=4).save(asked.out)


if __name__ == "__main__":
    main()
