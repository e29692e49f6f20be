"""`python -m tests.benchmarks.memory [--json FILE]`: what a GPU must hold for a picture of 1024 x 1024, counted.

The product's own stages over the published networks in float16, without numbers, as if on a card
(tests/support/fake_cuda.py). Every tensor counts from the operation that makes it until nobody holds it any more;
attention runs in one kernel. What CUDA itself, its libraries' workspaces and gaps between tensors take is not counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from shared.job import Preset
from tests.benchmarks.large import APART, cast_of, generation_of, kind_of, order_of
from tests.support.fake_cuda import CUDA, FakeCuda
from tests.support.published import published_networks
from worker.blend.loop import Composition, denoise
from worker.models.bundle import Generation
from worker.models.denoiser import Branch, Denoiser
from worker.models.quantize import store_in_8_bits
from worker.stages.personalize import prepare
from worker.stages.render import background_of, start_of

SIDE_PX = 1024
_GB = 1e9
ROWS: tuple[tuple[Preset, int], ...] = (("balanced", 2), ("best", 2), ("best", 4))


class Held(TorchDispatchMode):
    """Counts the bytes of what is on the card while it is entered."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it without types
        self.now = self.most = 0
        self._sizes: dict[weakref.ref[torch.UntypedStorage], int] = {}

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """What the operation gives."""
        out = func(*args, **(kwargs or {}))
        for value in tree_leaves(out):
            if isinstance(value, Tensor) and value.device == CUDA:
                self._see(value.untyped_storage())
        return out

    def _see(self, storage: torch.UntypedStorage) -> None:
        # A reference equals another to the same storage, so views count once.
        known = weakref.ref(storage, self._gone)
        if known not in self._sizes:
            self._sizes[known] = storage.nbytes()
            self.now += storage.nbytes()
            self.most = max(self.most, self.now)

    def _gone(self, known: weakref.ref[torch.UntypedStorage]) -> None:
        self.now -= self._sizes.pop(known)

    def most_during(self, work: Callable[[], object]) -> int:
        """The most bytes at any time of the work."""
        self.most = self.now
        work()
        return self.most


@dataclass(frozen=True)
class TwoOfEachKind:
    """A `BatchPredictor` that runs two steps of each kind: the second reuses what the first computed."""

    denoiser: Denoiser
    steps: Counter[tuple[object, ...]] = field(default_factory=Counter)

    def __call__(self, x: Tensor, t: Tensor, branches: Sequence[Branch], /) -> Tensor:
        """Predictions without numbers."""
        kind = kind_of(branches, t)
        self.steps[kind] += 1
        return self.denoiser.predict(x, t, branches) if self.steps[kind] <= 2 else torch.empty_like(x)


@dataclass(frozen=True, kw_only=True)
class Need:
    """Bytes of a job. weights: those that stay; words, steps, picture: the most beside them in these parts of it."""

    weights: int
    words: int
    steps: int
    picture: int

    @property
    def most(self) -> int:
        """The most at any time."""
        return self.weights + max(self.words, self.steps, self.picture)


def size_of(networks: Iterable[nn.Module]) -> int:
    """Bytes of their weights."""
    return sum(weight.nbytes for network in networks for weight in (*network.parameters(), *network.buffers()))


def need_of(generation: Generation, preset: Preset, people: int, *, quantized: bool) -> Need:
    """What a first job needs with networks that are on the card."""
    order = order_of(preset, steps=20, side_px=SIDE_PX, people=people)
    sdxl, instantid = generation.generator.sdxl, generation.generator.instantid
    pipeline = sdxl.pipeline
    encoders = size_of([pipeline.text_encoder, pipeline.text_encoder_2])
    others = size_of([pipeline.unet, pipeline.vae, instantid.resampler, instantid.embedding, instantid.identitynet])
    share = min(APART[0], 0.72 / people), APART[1]
    with Held() as held:
        prepared: list[Branch] = []
        words = held.most_during(lambda: prepared.append(background_of(generation, order.drawing)))
        solver, x = start_of(generation, order.drawing)
        drawing = TwoOfEachKind(prepared[0].denoiser)
        templates = []
        scene = Composition(background=prepared[0], batch_predictor=drawing)
        steps = held.most_during(lambda: templates.append(denoise(x, solver, scene)))
        prepared[0].denoiser.release()
        latents = templates[0].latents.float()
        picture = held.most_during(lambda: pipeline.vae.decode(latents))
        ready = prepare(generation, order, cast_of(order, share, templates[0].predictions))
        people_in = replace(ready.composition, batch_predictor=TwoOfEachKind(ready.composition.background.denoiser))
        steps = max(steps, held.most_during(lambda: denoise(ready.x, ready.solver, people_in, ready.plan)))
    # A quantized generator's text encoders are there for the words only.
    return Need(
        weights=others + (0 if quantized else encoders),
        words=words + (encoders if quantized else 0),
        steps=steps,
        picture=picture,
    )


def main() -> int:
    """Counts, prints the table, writes flat JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    print(f"{'GB, counted':24}{'weights':>9}{'words':>9}{'steps':>9}{'picture':>9}{'at most':>9}")
    for quantized in (False, True):
        generation = generation_of(published_networks())
        if quantized:
            for network in (generation.generator.sdxl.unet, generation.generator.instantid.identitynet):
                store_in_8_bits(network, "meta")
        with FakeCuda() as cuda, torch.inference_mode():
            cuda.move_generator(generation.generator)
            for preset, people in ROWS:
                need = need_of(generation, preset, people, quantized=quantized)
                name = f"{'quantized' if quantized else 'full'}_{preset}_{people}"
                figures[f"{name}_gb"] = need.most / _GB
                parts = (need.weights, need.words, need.steps, need.picture, need.most)
                print(f"{name:24}" + "".join(f"{part / _GB:9.2f}" for part in parts), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
