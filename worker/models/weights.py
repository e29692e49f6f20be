"""Tensors of checkpoint files by name: mapped rather than read, and put into a network only where every name fits."""

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

# How transformers and diffusers named things when older checkpoints were saved; the left is a part of the name.
_OLD_NAMES = (
    (".query.", ".to_q."),
    (".key.", ".to_k."),
    (".value.", ".to_v."),
    (".proj_attn.", ".to_out.0."),
)
# Saved by older versions of transformers; it is counted out, not learned.
_FORGOTTEN = "position_ids"
_UNREADABLE = (OSError, RuntimeError, ValueError, KeyError, EOFError, SafetensorError, pickle.UnpicklingError)


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """How tensors differ from what a network holds, each in the network's order. shapes: name, wanted, found."""

    missing: tuple[str, ...]
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    unexpected: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.shapes or self.unexpected)

    def __str__(self) -> str:
        """The first difference in words, and how many more there are."""
        words = [
            *(f"{name} is missing" for name in self.missing),
            *(f"{name} is {found}, not {wanted}" for name, wanted, found in self.shapes),
            *(f"{name} belongs to another network" for name in self.unexpected),
        ]
        more = f" (and {len(words) - 1} more)" if len(words) > 1 else ""
        return f"{words[0]}{more}" if words else "it fits"


def misfit(wanted: Tensors, found: Tensors) -> Misfit:
    """What keeps the found tensors from being the wanted ones; their dtypes may differ."""
    return Misfit(
        missing=tuple(name for name in wanted if name not in found),
        shapes=tuple(
            (name, tuple(tensor.shape), tuple(found[name].shape))
            for name, tensor in wanted.items()
            if name in found and found[name].shape != tensor.shape
        ),
        unexpected=tuple(name for name in found if name not in wanted),
    )


def fill(network: nn.Module, tensors: Tensors, *, dtype: torch.dtype, source: Path) -> None:
    """Gives a network made without memory its weights. Raises BundleError naming the file and the first misfit."""
    fitted = renamed(tensors, network.state_dict())
    check_fit(network.state_dict(), fitted, source=source)
    cast = {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in fitted.items()}
    network.load_state_dict(cast, assign=True)
    network.eval().requires_grad_(requires_grad=False)


def check_fit(wanted: Tensors, found: Tensors, *, source: Path) -> None:
    """Raises BundleError naming the file and the first misfit."""
    wrong = misfit(wanted, found)
    if wrong:
        raise BundleError(f"checkpoint {source} does not fit its configuration: {wrong}")


def renamed(tensors: Tensors, wanted: Tensors) -> Tensors:
    """The tensors under the names of today, where older versions of the libraries saved them under others."""
    # transformers 5.6 took one level out of CLIPTextModel, and files were saved before and after.
    flat = not any(name.startswith("text_model.") for name in wanted)
    found = {}
    for name, tensor in tensors.items():
        if name.endswith(_FORGOTTEN):
            continue
        new = name.removeprefix("text_model.") if flat else name
        if new not in wanted:
            for old, now in _OLD_NAMES:
                new = new.replace(old, now)
        found[new] = tensor
    return found


def folder_tensors(folder: Path, stem: str) -> tuple[Path, Tensors]:
    """The weights of a folder of diffusers or transformers, and the file that stands for them.

    stem: "diffusion_pytorch_model" or "model". Whole weights go before half ones; they may be split over several files.
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
    """Turns what the loaders raise for bad files into BundleError naming the path; a missing path raises it, too."""
    if not path.exists():
        raise BundleError(f"checkpoint {path} is missing")
    try:
        yield
    except torch.OutOfMemoryError:
        # The device's fault and not the file's, though it is a RuntimeError.
        raise
    except _UNREADABLE as error:
        raise BundleError(f"checkpoint {path} cannot be used: {error}") from error


def file_tensors(path: Path) -> Tensors:
    """All tensors of a safetensors file, mapped into memory. Raises BundleError naming the file."""
    with checkpoint(path), safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping


def pickled(path: Path) -> Any:
    """What a `.bin` or `.pth` file holds; nothing but tensors and containers is ever built. Raises BundleError."""
    with checkpoint(path):
        try:
            # Files from before torch 1.6 are not zip files and cannot be mapped.
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        except pickle.UnpicklingError as error:
            # torch's own words advise to load it without this protection.
            raise BundleError(f"checkpoint {path} is damaged, or holds more than tensors and is not opened") from error
