"""`python -m tests.benchmarks.denoise [--json FILE]`: milliseconds a step for 0 to 4 concepts, batched and one by one.

The default bundle on this machine's device (TROUPE_BUNDLE and TROUPE_DEVICE choose others). Both ways run in turns on
the same latents, so that whatever else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from shared.limits import limits_of
from shared.orders import Drawing
from shared.settings import Settings
from worker.models.bundle import Generation, load_bundle
from worker.models.denoiser import Branch, Denoiser
from worker.models.instantid import Face
from worker.models.keypoints import draw_keypoints
from worker.models.schedulers import draw_noise
from worker.stages.render import background_of

_MOST_CONCEPTS = 4
_TURNS = 12


def branches_of(generation: Generation, drawing: Drawing, concepts: int) -> list[Branch]:
    """The background and this many people, side by side."""
    background = background_of(generation, drawing)
    instantid = generation.generator.instantid
    rng = np.random.default_rng(0)
    people = []
    for index in range(concepts):
        x = drawing.width_px * (index + 0.5) / concepts
        y = drawing.height_px / 2
        face = [(x - 8, y - 6), (x + 8, y - 6), (x, y), (x - 6, y + 8), (x + 6, y + 8)]
        landmarks = draw_keypoints(
            [face], width_px=drawing.width_px, height_px=drawing.height_px, style=generation.keypoint_style
        )
        people.append(
            Branch(
                denoiser=background.denoiser,
                text=background.text,
                guidance_scale=drawing.guidance_scale,
                face=Face(
                    tokens=instantid.face_tokens(rng.standard_normal((1, 512), dtype=np.float32)),
                    hint=instantid.hint(landmarks),
                    identity_scale=0.8,
                    adapter_scale=0.8,
                ),
            )
        )
    return [background, *people]


def step_ms(denoiser: Denoiser, x: torch.Tensor, branches: Sequence[Branch]) -> float:
    """One step of all branches, in milliseconds."""
    if x.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    denoiser.predict(x, torch.tensor(500.0, device=x.device), branches)
    if x.is_cuda:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1000


def measure(generation: Generation, drawing: Drawing, turns: int) -> dict[str, float]:
    """The median step of both ways for every number of concepts, and the median ratio of a pair."""
    sdxl = generation.generator.sdxl
    networks = sdxl.unet, generation.generator.instantid.identitynet
    width_px, height_px = drawing.width_px, drawing.height_px
    noise = draw_noise(sdxl.latent_shape(width_px=width_px, height_px=height_px), 0).to(sdxl.device)
    ways = {
        way: Denoiser(*networks, width_px=width_px, height_px=height_px, batched=way == "batched")
        for way in ("batched", "single")
    }
    figures: dict[str, float] = {}
    for concepts in range(_MOST_CONCEPTS + 1):
        branches = branches_of(generation, drawing, concepts)
        x = noise.expand(len(branches), -1, -1, -1).contiguous()
        times: dict[str, list[float]] = {way: [] for way in ways}
        for turn in range(turns + 2):
            order = list(ways) if turn % 2 else list(reversed(ways))
            for way in order:
                took = step_ms(ways[way], x, branches)
                # The first two turns warm up.
                if turn > 1:
                    times[way].append(took)
        for way, own in times.items():
            figures[f"denoise_{concepts}_{way}_ms"] = statistics.median(own)
        pairs = zip(times["batched"], times["single"], strict=True)
        figures[f"denoise_{concepts}_ratio"] = statistics.median(one / other for one, other in pairs)
    return figures


def main() -> int:
    """Measures, prints a table, writes flat JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--turns", type=int, default=_TURNS)
    options = parser.parse_args()
    settings = Settings()
    limits = limits_of(settings.bundle)
    generation = load_bundle(settings, "generation").generation
    if generation is None:
        message = "the generation role has no generation models"
        raise RuntimeError(message)
    drawing = Drawing(
        prompt="a man and a woman on the beach",
        negative_prompt="",
        width_px=limits.width_px,
        height_px=limits.height_px,
        steps=limits.steps,
        seed=0,
        guidance_scale=limits.guidance_scale,
        scheduler="euler",
    )
    figures = measure(generation, drawing, options.turns)
    device = generation.generator.sdxl.device
    print(f"bundle {settings.bundle}, {drawing.width_px} x {drawing.height_px} px, {device}")
    print(f"{'concepts':10}{'batched ms':>12}{'one by one ms':>15}{'ratio':>8}")
    for concepts in range(_MOST_CONCEPTS + 1):
        batched, single, ratio = (
            figures[f"denoise_{concepts}_{what}"] for what in ("batched_ms", "single_ms", "ratio")
        )
        print(f"{concepts:<10}{batched:12.1f}{single:15.1f}{ratio:8.2f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
