"""Reads tensors of checkpoint files by memory mapping and loads them into networks if every name and shape fits."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shared.errors import BundleError

Tensors = Mapping[str, Tensor]

# Parts of tensor names in checkpoints of older versions of transformers and diffusers, and their names now.
_OLD_NAMES = (
    (".query.", ".to_q."),
    (".key.", ".to_k."),
    (".value.", ".to_v."),
    (".proj_attn.", ".to_out.0."),
)
# Older versions of transformers saved this buffer; it is computed, not learned.
_UNUSED = "position_ids"
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, EOFError, SafetensorError, pickle.UnpicklingError)


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Differences between found tensors and those of a network, in its order. shapes: name, expected, found."""

    missing: tuple[str, ...]
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    unexpected: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.shapes or self.unexpected)

    def __str__(self) -> str:
        """Describes the first difference and counts the others."""
        words = [
            *(f"{name} is missing" for name in self.missing),
            *(f"{name} has shape {found}, expected {wanted}" for name, wanted, found in self.shapes),
            *(f"{name} belongs to another network" for name in self.unexpected),
        ]
        more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
        return f"{words[0]}{more}" if words else "it fits"


def mismatch(wanted: Tensors, found: Tensors) -> Mismatch:
    """Differences in names and shapes; dtypes may differ."""
    return Mismatch(
        missing=tuple(name for name in wanted if name not in found),
        shapes=tuple(
            (name, tuple(tensor.shape), tuple(found[name].shape))
            for name, tensor in wanted.items()
            if name in found and found[name].shape != tensor.shape
        ),
        unexpected=tuple(name for name in found if name not in wanted),
    )


def fill(network: nn.Module, tensors: Tensors, *, dtype: torch.dtype, source: Path) -> None:
    """Loads weights into a network on the meta device. Raises BundleError with the file and the first difference."""
    fitted = renamed(tensors, network.state_dict())
    check_fit(network.state_dict(), fitted, source=source)
    cast = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in fitted.items()}
    network.load_state_dict(cast, assign=True)
    network.eval().requires_grad_(requires_grad=False)


def check_fit(wanted: Tensors, found: Tensors, *, source: Path) -> None:
    """Raises BundleError with the file and the first difference, if there is one."""
    wrong = mismatch(wanted, found)
    if wrong:
        raise BundleError(f"checkpoint {source} does not fit its configuration: {wrong}")


def renamed(tensors: Tensors, wanted: Tensors) -> Tensors:
    """The tensors under their current names; older versions of the libraries saved them under other names."""
    # transformers 5.6 removed one level of names from CLIPTextModel; files exist in both forms.
    flat = not any(name.startswith("text_model.") for name in wanted)
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(_UNUSED):
            continue
        new = name.removeprefix("text_model.") if flat else name
        if new not in wanted:
            for old, now in _OLD_NAMES:
                new = new.replace(old, now)
        found[new] = tensor
    return found


def folder_tensors(folder: Path, stem: str) -> tuple[Path, Tensors]:
    """The weights in a folder of diffusers or transformers, and their file (the index, if there are several).

    stem: "diffusion_pytorch_model" or "model". Full precision is preferred to `.fp16`. Raises BundleError.
    """
    whole, index, half = (
        folder / f"{stem}{end}" for end in (".safetensors", ".safetensors.index.json", ".fp16.safetensors")
    )
    if index.is_file() and not whole.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        return index, {name: tensor for shard in names for name, tensor in file_tensors(folder / shard).items()}
    path = half if half.is_file() and not whole.is_file() else whole
    return path, file_tensors(path)


@contextmanager
def checkpoint(path: Path) -> Iterator[None]:
    """Turns errors of the loaders into BundleError, which names the path. Raises it for a missing path, too."""
    if not path.exists():
        raise BundleError(f"checkpoint {path} is missing")
    try:
        yield
    except torch.OutOfMemoryError:
        # A RuntimeError, but an error of the device and not of the file.
        raise
    except _UNREADABLE as error:
        raise BundleError(f"checkpoint {path} cannot be used: {error}") from error


def file_tensors(path: Path) -> Tensors:
    """All tensors of a safetensors file, memory-mapped. Raises BundleError, which names the file."""
    with checkpoint(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def pickled(path: Path) -> Any:
    """The content of a `.bin` or `.pth` file, if it consists of tensors and containers. Raises BundleError."""
    with checkpoint(path):
        try:
            # Files of torch before 1.6 are not zip files and cannot be memory-mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except pickle.UnpicklingError as error:
            # The message of torch advises to turn this protection off, so it is not passed on.
            raise BundleError(
                f"checkpoint {path} is damaged, or contains other objects than tensors, which are never loaded"
            ) from error
