"""`python -m tests.benchmarks.gpu [--json FILE]`: pictures of full size on a CUDA device, with random weights.

Seconds from prompt to picture, of a first job (template and people) and of a further one on the same template; the
memory they take at most; and what they compute, as a share of the rate at which this device multiplies large matrices.
Beside it the first row with recorded steps, OMG's and the paper's schedules, and a quantized generator.

Networks of another width than SDXL's show that the measuring works where no such device is:
`--device cpu --width 64 --side-px 256 --rows fast_2 --dtype bfloat16`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights

from shared.job import Preset
from shared.orders import PersonalizeOrder
from tests.benchmarks.flops import cost_of
from tests.benchmarks.large import APART, cast_of, generation_of, order_of
from tests.benchmarks.peers import Peer
from tests.benchmarks.wall import networks
from tests.support.published import published_networks
from worker.models.bundle import Generation
from worker.models.pretrained import quantize_generator
from worker.stages.personalize import personalize, prepare
from worker.stages.render import render

TARGET = 2.2
_GB = 1e9
_WIDTH = 320
_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Row:
    """One job of the table. steps: None for the preset's own; width: channels of the networks' first block."""

    preset: Preset
    steps: int | None
    people: int
    side_px: int = 1024
    width: int = _WIDTH

    @property
    def name(self) -> str:
        """The row in words and figures."""
        steps = "" if self.steps is None else f"_{self.steps}"
        return f"{self.preset}{steps}_{self.people}"

    @property
    def share(self) -> tuple[float, float]:
        """Width and height of one person, of the picture's: people become narrower where there are more."""
        return min(APART[0], 0.72 / self.people), APART[1]

    def order(self) -> PersonalizeOrder:
        """What is asked for."""
        return order_of(self.preset, steps=self.steps, side_px=self.side_px, people=self.people)


ROWS = (
    Row("balanced", 50, 2),
    Row("balanced", 30, 1),
    Row("balanced", 30, 2),
    Row("balanced", 30, 3),
    Row("balanced", 30, 4),
    Row("best", 50, 2),
    Row("fast", None, 2),
)


def tflop_of(row: Row) -> float:
    """TFLOP of a first job."""
    return cost_of(generation_of(_networks(row.width, init_empty_weights)), row.order(), row.share).first


def _networks(width: int, surroundings: Callable[[], AbstractContextManager[Any]]) -> dict[str, Any]:
    """Made in these surroundings, which say where and in which dtype."""
    if width == _WIDTH:
        return {name: network.eval() for name, network in published_networks(surroundings).items()}
    with surroundings():
        return networks(torch.get_default_dtype(), width)


@dataclass(frozen=True)
class Device:
    """What is measured on."""

    kind: str
    dtype: torch.dtype

    def generation(self, width: int) -> Generation:
        """Random weights, as the networks' classes draw them, on the device."""
        torch.manual_seed(0)
        return generation_of(_networks(width, self._surroundings))

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        try:
            with torch.device(self.kind):
                yield
        finally:
            torch.set_default_dtype(before)

    def wait(self) -> None:
        """Until everything that was asked of it is done."""
        if self.kind == "cuda":
            torch.cuda.synchronize()

    def timed_s(self, work: Callable[[], object]) -> float:
        """Seconds until the work is done."""
        self.wait()
        start = time.perf_counter()
        work()
        self.wait()
        return time.perf_counter() - start

    def matrix_tflops(self) -> float:
        """TFLOP a second of products of large matrices of random numbers."""
        side = 8192 if self.kind == "cuda" else 1024
        left, right = (torch.randn(side, side, device=self.kind, dtype=self.dtype) for _ in range(2))
        took_s = [self.timed_s(lambda: left @ right) for _ in range(13)]
        return 2 * side**3 / statistics.median(took_s[3:]) / 1e12

    def forget_peak(self) -> None:
        """The most memory counts from here."""
        if self.kind == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_gb(self) -> float:
        """The most memory that tensors had, in 10^9 bytes; 0 on a CPU."""
        return torch.cuda.max_memory_allocated() / _GB if self.kind == "cuda" else 0.0

    def __str__(self) -> str:
        if self.kind != "cuda":
            return f"{self.kind}, {torch.get_num_threads()} threads"
        return f"{torch.cuda.get_device_name()}, {torch.cuda.get_device_properties(0).total_memory / _GB:.0f} GB"


@dataclass(frozen=True)
class Taken:
    """Seconds of a first job and of a further one, and the most memory."""

    first_s: float
    further_s: float
    peak_gb: float


def draw(device: Device, generation: Generation, row: Row) -> Taken:
    """The job once with few steps, to warm up, and once in earnest. Raises ValueError for what is no picture."""
    _draw(device, generation, row if row.steps is None else replace(row, steps=3))
    device.forget_peak()
    return _draw(device, generation, row)


def _draw(device: Device, generation: Generation, row: Row) -> Taken:
    order = row.order()
    template = []
    template_s = device.timed_s(lambda: template.append(render(generation, order.drawing, lambda _i, _n: None)))
    predictions = template[0].predictions
    if not predictions.isfinite().all():
        raise ValueError(f"{row.name}: predictions that are not finite")
    cast = cast_of(order, row.share, predictions)
    pictures = []
    further_s = device.timed_s(lambda: pictures.append(personalize(generation, order, cast, lambda _i, _n: None)))
    if pictures[0].std() == 0:
        raise ValueError(f"{row.name}: a picture of one colour")
    return Taken(template_s + further_s, further_s, device.peak_gb())


def schedules(device: Device, generation: Generation, row: Row) -> dict[str, float]:
    """Seconds of denoising after OMG's schedule and after the paper's, once each."""
    order = row.order().model_copy(update={"crop_margin": 1.0})
    none = torch.zeros(order.drawing.steps, 4, row.side_px // 8, row.side_px // 8)
    ready = prepare(generation, order, cast_of(order, row.share, none))
    generator = generation.generator
    peer = Peer(unet=generator.sdxl.unet, identitynet=generator.instantid.identitynet, side_px=row.side_px)
    with peer.stock():
        peer.predict(ready.x, torch.tensor(500.0), ready.composition.layers[0].predictor)
    return {
        "omg_s": device.timed_s(lambda: peer.omg(replace(ready))),
        "paper_s": device.timed_s(lambda: peer.paper(replace(ready))),
    }


def rows_of(options: argparse.Namespace) -> tuple[Row, ...]:
    """The rows that were asked for, as large as was asked for."""
    named = [row for row in ROWS if not options.rows or row.name in options.rows]
    return tuple(replace(row, side_px=options.side_px, width=options.width) for row in named)


def counted(rows: Sequence[Row]) -> dict[Row, float]:
    """TFLOP of each, counted beside each other in processes of their own."""
    with ProcessPoolExecutor(len(rows), mp_context=get_context("spawn")) as pool:
        return dict(zip(rows, pool.map(tflop_of, rows), strict=True))


class Table:
    """Prints rows and keeps their figures."""

    def __init__(self, tflop: dict[Row, float], matrix_tflops: float) -> None:
        self.figures: dict[str, float] = {"matrix_tflops": matrix_tflops}
        self._tflop = tflop
        print(f"{'':24}{'first job':>10}{'further':>10}{'memory':>10}{'TFLOP':>8}   of the matrix rate")

    def add(self, name: str, row: Row, taken: Taken) -> None:
        """One row."""
        tflop = self._tflop[row]
        share = tflop / taken.first_s / self.figures["matrix_tflops"]
        self.figures |= {
            f"{name}_s": taken.first_s,
            f"{name}_further_s": taken.further_s,
            f"{name}_peak_gb": taken.peak_gb,
            f"{name}_tflop": tflop,
            f"{name}_share": share,
        }
        seconds = f"{taken.first_s:9.2f}s{taken.further_s:9.2f}s"
        print(f"{name:24}{seconds}{taken.peak_gb:8.1f}GB{tflop:8.1f}{share:12.0%}", flush=True)


def main() -> int:
    """Measures, prints the table, writes flat JSON if asked to. 1 where the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here, as one flat object")
    parser.add_argument("--side-px", type=int, default=1024)
    parser.add_argument("--dtype", choices=_DTYPES, default="float16")
    parser.add_argument("--width", type=int, default=_WIDTH, help="channels of the first block; SDXL has 320")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="all of them when left out")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no CUDA device here")
    rows = rows_of(options)
    main_row, most = rows[0], max(rows, key=lambda row: row.people)
    tflop = counted(rows)
    device = Device(options.device, _DTYPES[options.dtype])
    rate = device.matrix_tflops()
    print(f"{device}, torch {torch.__version__}, {options.dtype}, {options.side_px} x {options.side_px} px; "
          f"matrices {rate:.3g} TFLOP/s")  # fmt: skip
    table = Table(tflop, rate)
    generation = device.generation(options.width)
    for row in rows:
        table.add(row.name, row, draw(device, generation, row))
    table.add(f"{main_row.name}_replayed", main_row, draw(device, replace(generation, cuda_graphs=True), main_row))
    figures = table.figures
    figures |= schedules(device, generation, main_row)
    figures |= {f"ratio_to_{way}": figures[f"{way}_s"] / figures[f"{main_row.name}_s"] for way in ("omg", "paper")}
    print(f"OMG's schedule {figures['omg_s']:.2f} s, {figures['ratio_to_omg']:.2f} times as long; "
          f"the paper's {figures['paper_s']:.2f} s, {figures['ratio_to_paper']:.2f} times")  # fmt: skip
    quantized = replace(generation, generator=quantize_generator(generation.generator, options.device))
    for row in dict.fromkeys((main_row, most)):
        table.add(f"{row.name}_quantized", row, draw(device, quantized, row))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return int(figures["ratio_to_omg"] < TARGET)


if __name__ == "__main__":
    sys.exit(main())
