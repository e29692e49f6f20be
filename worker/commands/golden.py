"""`./run golden [FOLDER]`: compares this program with stored results of the published InstantID pipeline.

FOLDER holds an SDXL folder, IdentityNet, the adapter, the inputs and the results of the reference pipeline; its layout
is in tests/golden/README.md. The exit status is 1 if a relative maximum error exceeds 1e-5.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from worker.blend.loop import Composition, Layer, Plan, denoise
from worker.models.denoiser import Branch, Denoiser
from worker.models.instantid import Face
from worker.models.keypoints import draw_keypoints
from worker.models.pretrained import load_generator
from worker.models.schedulers import make_solver

DEFAULT_FOLDER = Path("tests/golden/instantid-tiny")
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The stored request, `inputs.json`."""

    prompt: str
    negative_prompt: str
    steps: int
    guidance_scale: float
    ip_adapter_scale: float
    identitynet_scale: float
    size_px: int

    @classmethod
    def read(cls, path: Path) -> Inputs:
        """The inputs of a golden folder, without the fields that only describe it."""
        recorded = json.loads(path.read_text())
        return cls(**{name: recorded[name] for name in cls.__dataclass_fields__})


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Largest difference as a fraction of the largest expected value. Raises ValueError if the shapes differ."""
    if found.shape != expected.shape:
        message = f"shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
        raise ValueError(message)
    return float((found.double() - expected.double()).abs().max() / expected.double().abs().max())


def measure(folder: Path) -> Mapping[str, float]:
    """The relative maximum error of every stored quantity, computed in float32 on the CPU."""
    inputs = Inputs.read(folder / "inputs.json")
    expected = load_file(folder / "expected.safetensors")
    generator = load_generator(
        sdxl=folder / "sdxl",
        identitynet=folder / "identitynet",
        adapter=folder / "ip-adapter.bin",
        device="cpu",
        dtype=torch.float32,
    )
    sdxl, instantid = generator.sdxl, generator.instantid
    keypoints = [(float(x), float(y)) for x, y in expected["keypoints_px"]]
    drawing = draw_keypoints([keypoints], width_px=inputs.size_px, height_px=inputs.size_px)
    tokens = instantid.face_tokens(expected["face_embedding"].numpy()[None])
    denoiser = Denoiser(sdxl.unet, instantid.identitynet, width_px=inputs.size_px, height_px=inputs.size_px)
    text = sdxl.encode(inputs.prompt, inputs.negative_prompt)
    background = Branch(denoiser=denoiser, text=text, guidance_scale=inputs.guidance_scale)
    face = Face(
        tokens=tokens,
        hint=instantid.hint(drawing),
        identity_scale=inputs.identitynet_scale,
        adapter_scale=inputs.ip_adapter_scale,
    )
    person = Branch(denoiser=denoiser, text=text, guidance_scale=inputs.guidance_scale, face=face)
    everywhere = Layer(mask=torch.ones(1, 1, *expected["initial_latents"].shape[2:]), predictor=person)

    def run(layers: tuple[Layer[Branch], ...]) -> Tensor:
        solver = make_solver(sdxl.pipeline.scheduler.config, "euler", steps=inputs.steps, seed=0)
        composition = Composition(background=background, layers=layers, batch_predictor=denoiser.predict)
        return denoise(solver.noisy(expected["initial_latents"]), solver, composition, Plan(mode="literal")).latents

    return {
        "face_tokens": relative_error(tokens, expected["face_tokens"]),
        "keypoint_image": relative_error(torch.from_numpy(drawing), expected["keypoint_image"]),
        "instantid_latents": relative_error(run((everywhere,)), expected["instantid_latents"]),
        "sdxl_latents": relative_error(run(()), expected["sdxl_latents"]),
    }


def main() -> int:
    """Prints one line for each quantity. Gives 0 if all errors are within the tolerance."""
    parser = argparse.ArgumentParser(
        prog="golden", description="Compare this program with stored results of the reference."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER, help=f"default: {DEFAULT_FOLDER}")
    folder = parser.parse_args().folder
    if not (folder / "inputs.json").is_file():
        parser.error(f"{folder} does not contain inputs.json")
    errors = measure(folder)
    for name, error in errors.items():
        verdict = "ok" if error <= TOLERANCE else "TOO LARGE"
        print(f"{name:20s} {error:9.2e}  {verdict}")
    return 0 if all(np.isfinite(error) and error <= TOLERANCE for error in errors.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
