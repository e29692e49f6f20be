"""The tiny generator with random weights whose reference run is stored (tests/golden/README.md)."""

from __future__ import annotations

from pathlib import Path

import torch

from worker.models.base import Base
from worker.models.pretrained import Generator, load_generator

TINY = Path(__file__).parents[1] / "golden" / "instantid-tiny"


def tiny_generator(
    folder: Path = TINY,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    base: Base | None = None,
    quantized: bool = False,
) -> Generator:
    """It, or a changed copy of its folder. Raises BundleError."""
    return load_generator(
        sdxl=folder / "sdxl",
        identitynet=folder / "identitynet",
        adapter=folder / "ip-adapter.bin",
        device=device,
        dtype=dtype,
        base=base,
        quantized=quantized,
    )
