"""`python -m tests.benchmarks.flops [--json FILE]`: TFLOP of a job at SDXL's true shapes, counted, not computed.

The product's own loop, denoiser and stages over the published networks on torch's meta device: shapes without numbers.
Each distinct kind of step (which branches, guided or not, in which windows) goes through the networks under torch's
FlopCounterMode once and counts as often as the loop asks for it. Two operations a multiplication and addition. Two
people, 1024 x 1024 px; the preset's own guidance. Detection and face reading, under 1 TFLOP, are left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from shared.orders import PersonalizeOrder
from tests.benchmarks.large import APART, CLOSE, cast_of, generation_of, kind_of, order_of
from tests.support.published import published_networks
from worker.blend.loop import Composition, denoise
from worker.models.bundle import Generation
from worker.models.denoiser import Branch, Denoiser
from worker.stages.personalize import prepare
from worker.stages.render import background_of, start_of

SIDE_PX = 1024
STEPS = 50
TARGETS = {"first_job_tflop": 1650, "shared_template_tflop": 970, "fast_tflop": 200}


@dataclass(frozen=True)
class Counted:
    """A `BatchPredictor` that sends two steps of each kind through the networks and adds a count for the others."""

    denoiser: Denoiser
    once: dict[tuple[object, ...], float] = field(default_factory=dict)
    tflop: dict[tuple[object, ...], float] = field(default_factory=dict)
    steps: Counter[tuple[object, ...]] = field(default_factory=Counter)

    def __call__(self, x: Tensor, t: Tensor, branches: Sequence[Branch], /) -> Tensor:
        """Predictions without numbers."""
        kind = kind_of(branches, t)
        self.steps[kind] += 1
        if kind not in self.tflop:
            # The first also works out what stays the same in all of its kind.
            first, further = (count(lambda: self.denoiser.predict(x, t, branches)) for _ in range(2))
            self.once[kind], self.tflop[kind] = first - further, further
        return torch.empty_like(x)

    def total(self) -> float:
        """TFLOP of all steps so far."""
        return sum(self.once[kind] + self.tflop[kind] * steps for kind, steps in self.steps.items())


def count(work: Callable[[], object]) -> float:
    """TFLOP of what is done."""
    with FlopCounterMode(display=False) as counter:
        work()
    return float(counter.get_total_flops()) / 1e12


@dataclass(frozen=True, kw_only=True)
class Cost:
    """TFLOP of a job's parts. around: text encoders, Resampler and both decodings."""

    template: float
    redrawing: float
    around_template: float
    around_redrawing: float

    @property
    def first(self) -> float:
        """Of a job on a template that nobody had drawn."""
        return self.template + self.around_template + self.further

    @property
    def further(self) -> float:
        """Of a job on a template that is stored."""
        return self.redrawing + self.around_redrawing


def cost_of(generation: Generation, order: PersonalizeOrder, share: tuple[float, float]) -> Cost:
    """What both generating stages cost for this order and two people of this size."""
    sdxl = generation.generator.sdxl
    prepared: list[Branch] = []
    text = count(lambda: prepared.append(background_of(generation, order.drawing)))
    solver, x = start_of(generation, order.drawing)
    decoding = count(lambda: sdxl.pipeline.vae.decode(x))
    drawing = Counted(prepared[0].denoiser)
    template = denoise(x, solver, Composition(background=prepared[0], batch_predictor=drawing))
    cast = cast_of(order, share, template.predictions)
    before = count(lambda: prepare(generation, order, cast))
    ready = prepare(generation, order, cast)
    redrawing = Counted(ready.composition.background.denoiser)
    denoise(ready.x, ready.solver, replace(ready.composition, batch_predictor=redrawing), ready.plan)
    return Cost(
        template=drawing.total(),
        redrawing=redrawing.total(),
        around_template=text + decoding,
        around_redrawing=before + decoding,
    )


def peers(generation: Generation) -> dict[str, float]:
    """The schemes of others from the counted rows: what their networks see in 50 steps."""
    order = order_of("best", steps=STEPS, side_px=SIDE_PX, guidance_scale=1.0)
    ready = prepare(generation, order, cast_of(order, APART, torch.empty(0, device="meta")))
    background, person = ready.composition.background, ready.composition.layers[0].predictor
    t = torch.tensor(500.0)
    plain = count(lambda: background(ready.x, t))
    with_face = count(lambda: person(ready.x, t))
    concepts, blended = 2, STEPS - 16
    return {
        # Both of its stages draw the template beside the picture: four rows of SDXL a step.
        "omg": 2 * STEPS * 4 * plain + blended * concepts * 2 * with_face,
        "paper": 2 * STEPS * 2 * plain + STEPS * concepts * 2 * with_face,
        "unet_row": plain,
        "identity_row": with_face - plain,
    }


def main() -> int:
    """Counts, prints the table, writes flat JSON if asked to. 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    options = parser.parse_args()
    generation = generation_of(published_networks())
    others = peers(generation)
    balanced = order_of("balanced", steps=STEPS, side_px=SIDE_PX)
    rows = {
        "best": cost_of(generation, order_of("best", steps=STEPS, side_px=SIDE_PX), APART),
        "keep": cost_of(generation, order_of("best", steps=STEPS, side_px=SIDE_PX, keep=1.0), APART),
        "balanced": cost_of(generation, balanced, APART),
        "balanced, people close": cost_of(generation, balanced, CLOSE),
        "fast": cost_of(generation, order_of("fast", steps=None, side_px=SIDE_PX), APART),
    }
    print(f"a row of SDXL's UNet {others['unet_row']:.2f} TFLOP, of IdentityNet {others['identity_row']:.2f}")
    print(f"{'':28}{'template':>10}{'people':>10}{'first job':>11}{'further job':>13}   TFLOP, with text and decoding")
    for name, scheme in (("OMG as shipped", "omg"), ("the paper, SDXL once a step", "paper")):
        print(f"{name:28}{'':20}{others[scheme]:11.0f}{others[scheme]:13.0f}   (denoising alone)")
    for name, cost in rows.items():
        print(f"{name:28}{cost.template:10.0f}{cost.redrawing:10.0f}{cost.first:11.0f}{cost.further:13.0f}")
    figures = {
        "first_job_tflop": rows["balanced"].first,
        "shared_template_tflop": rows["balanced"].further,
        "fast_tflop": rows["fast"].first,
        "close_first_job_tflop": rows["balanced, people close"].first,
        "close_shared_template_tflop": rows["balanced, people close"].further,
        "best_tflop": rows["best"].first,
        "omg_tflop": others["omg"],
        "paper_tflop": others["paper"],
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    missed = {name: most for name, most in TARGETS.items() if figures[name] > most}
    for name, most in missed.items():
        print(f"{name} is {figures[name]:.0f}, more than {most}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
