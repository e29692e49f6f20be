"""`python -m tests.benchmarks.wall [--json FILE]`: a job's denoising against OMG's schedule and the paper's listing.

The same weights (random, SDXL's shape, narrower), the same steps, size, people and precision, in the same run and in
turns, of which the shortest counts: template and people from noise to latents. Ours is the preset `balanced`. Text and
decoding, which all have alike, are not timed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from shared.orders import PersonalizeOrder
from tests.benchmarks.large import APART, cast_of, generation_of, order_of
from tests.benchmarks.peers import Peer
from tests.support.published import (
    IDENTITYNET,
    RESAMPLER,
    UNET,
    parameters,
)
from worker.blend.loop import Composition, denoise
from worker.models.bundle import Generation
from worker.stages.personalize import prepare
from worker.stages.render import background_of, start_of

TARGET = 2.2


def networks(dtype: torch.dtype, width: int) -> dict[str, Any]:
    """SDXL's networks with random weights; 320 channels are its own width. Text and pictures go through tiny ones."""
    torch.manual_seed(0)
    narrow = {
        "block_out_channels": (width, 2 * width, 4 * width),
        "attention_head_dim": (width // 64, width // 32, width // 16),
        "cross_attention_dim": 1024,
        "projection_class_embeddings_input_dim": 512 + 6 * 256,
    }
    text = CLIPTextConfig(hidden_size=512, intermediate_size=512, num_hidden_layers=1, num_attention_heads=8)
    made = {
        "unet": UNet2DConditionModel(**{**UNET, **narrow}),
        "identitynet": ControlNetModel(**{**IDENTITYNET, **narrow}),
        "vae": AutoencoderKL(block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
                             up_block_types=("UpDecoderBlock2D",) * 4),
        "text_encoder": CLIPTextModel(text),
        "text_encoder_2": CLIPTextModelWithProjection(text),
        "resampler": IPAdapterPlusImageProjection(**{**RESAMPLER, "output_dims": 1024, "hidden_dims": 512, "heads": 8}),
    }  # fmt: skip
    return {name: network.to(dtype).eval() for name, network in made.items()}


def ours(generation: Generation, order: PersonalizeOrder) -> torch.Tensor:
    """Latents of a first job, its template included."""
    background = background_of(generation, order.drawing)
    solver, x = start_of(generation, order.drawing)
    template = denoise(x, solver, Composition(background=background, batch_predictor=background.denoiser.predict))
    ready = prepare(generation, order, cast_of(order, APART, template.predictions))
    return denoise(ready.x, ready.solver, ready.composition, ready.plan).latents


def timed(work: Callable[[], torch.Tensor]) -> float:
    """Seconds that it takes. Raises ValueError for latents that are not numbers."""
    start = time.perf_counter()
    latents = work()
    if not latents.isfinite().all():
        raise ValueError("the latents are not finite")
    return time.perf_counter() - start


def main() -> int:
    """Measures in turns, prints the shortest times, writes flat JSON if asked to. 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--side-px", type=int, default=512)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--width", type=int, default=128, help="channels of the first block, a multiple of 64")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    # Where the processor multiplies matrices of bfloat16 itself everybody gets them.
    half = torch.cpu._is_amx_tile_supported()
    generation = generation_of(networks(torch.bfloat16 if half else torch.float32, options.width))
    unet, identitynet = generation.generator.sdxl.unet, generation.generator.instantid.identitynet
    order = order_of("balanced", steps=options.steps, side_px=options.side_px)
    whole = order.model_copy(update={"crop_margin": 1.0})
    none = torch.zeros(options.steps, 4, options.side_px // 8, options.side_px // 8)
    ready = prepare(generation, whole, cast_of(whole, APART, none))
    peer = Peer(unet=unet, identitynet=identitynet, side_px=options.side_px)
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "ours": lambda: ours(generation, order),
        "omg": lambda: peer.omg(replace(ready)),
        "paper": lambda: peer.paper(replace(ready)),
    }
    peer.predict(ready.x, torch.tensor(500.0), ready.composition.background)
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(options.turns):
        for way in list(ways) if turn % 2 else list(reversed(ways)):
            times[way].append(timed(ways[way]))
            print(f"turn {turn + 1}: {way} {times[way][-1]:.1f} s", flush=True)
    # What else the machine does makes a turn longer, never shorter.
    figures = {f"{way}_s": min(own) for way, own in times.items()}
    figures |= {f"ratio_to_{way}": figures[f"{way}_s"] / figures["ours_s"] for way in ("omg", "paper")}
    figures |= {
        "wall_steps": options.steps,
        "wall_side_px": options.side_px,
        "wall_unet_parameters": parameters(unet),
        "wall_identitynet_parameters": parameters(identitynet),
    }
    print(
        f"UNet {parameters(unet) / 1e6:.0f} M, IdentityNet {parameters(identitynet) / 1e6:.0f} M parameters, "
        f"{'bfloat16' if half else 'float32'}, {options.side_px} x {options.side_px} px, {options.steps} steps, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"ours {figures['ours_s']:.1f} s; OMG's schedule {figures['omg_s']:.1f} s, {figures['ratio_to_omg']:.2f} "
          f"times as long; the paper's {figures['paper_s']:.1f} s, {figures['ratio_to_paper']:.2f} times")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(figures["ratio_to_omg"] < TARGET)


if __name__ == "__main__":
    sys.exit(main())
