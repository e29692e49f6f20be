"""`./run inspect [BUNDLE]`: loads a bundle as a worker does, prints its networks, and runs one step.

BUNDLE is a value of TROUPE_BUNDLE; the other settings apply, too. If a file is missing or does not fit, the command
prints its name and the first wrong tensor, with exit status 1.
"""

from __future__ import annotations

import argparse
import sys
import time

from torch import nn

from shared.errors import BundleError, TransientError
from shared.limits import limits_of
from shared.orders import Drawing
from shared.settings import Settings
from worker.models.bundle import Bundle, Generation, load_bundle
from worker.models.safety import safety_of
from worker.stages.render import render


def lines_of(bundle: Bundle) -> list[str]:
    """One line for each network: parameters, memory, dtypes."""
    generation = bundle.generation
    if generation is None:
        return []
    pipeline, instantid = generation.generator.sdxl.pipeline, generation.generator.instantid
    networks: dict[str, nn.Module] = {
        name: getattr(pipeline, name) for name in ("unet", "vae", "text_encoder", "text_encoder_2")
    }
    networks["identitynet"] = nn.ModuleList([instantid.embedding, instantid.identitynet])
    networks["resampler"] = instantid.resampler
    return [_line(name, network) for name, network in networks.items()]


def _line(name: str, network: nn.Module) -> str:
    weights = list(network.parameters())
    count = sum(weight.numel() for weight in weights)
    size_mb = sum(weight.numel() * weight.element_size() for weight in weights) / 1e6
    dtypes = ", ".join(sorted({str(weight.dtype).removeprefix("torch.") for weight in weights}))
    return f"{name:16}{count:>16,} parameters {size_mb:>10,.1f} MB  {dtypes}"


def step_s(generation: Generation, bundle: str) -> float:
    """Seconds to draw and decode a template of one step at the default size of the bundle."""
    limits = limits_of(bundle)
    drawing = Drawing(
        prompt="two people",
        negative_prompt="",
        width_px=limits.width_px,
        height_px=limits.height_px,
        steps=1,
        seed=0,
        guidance_scale=limits.guidance_scale,
        scheduler="euler",
    )
    start = time.perf_counter()
    render(generation, drawing, lambda _i, _n: None)
    return time.perf_counter() - start


def main() -> int:
    """Prints the networks of the bundle. Gives 1 and prints one line if the bundle cannot be used."""
    parser = argparse.ArgumentParser(prog="./run inspect", description=__doc__)
    parser.add_argument("bundle", nargs="?", help="mini, sdxl or the folder of a bundle; default: TROUPE_BUNDLE")
    arguments = parser.parse_args()
    settings = Settings.read_or_exit()
    if arguments.bundle:
        settings = settings.model_copy(update={"bundle": arguments.bundle})
    try:
        bundle = load_bundle(settings, "all")
        safety = safety_of(settings, bundle.device)
    except (BundleError, TransientError) as error:
        print(f"inspect: {error.message}", file=sys.stderr)
        return 1
    print(bundle.generation.name if bundle.generation else bundle.name)
    print("\n".join(lines_of(bundle)))
    if safety is not None:
        print(_line("safety", safety.network))
    if bundle.generation is not None:
        device = bundle.generation.generator.sdxl.device
        print(f"one step and its picture on {device}: {step_s(bundle.generation, settings.bundle):.2f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
