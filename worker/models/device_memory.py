"""A device: what it is called, whether it answers, what is left of its memory, and how much a work takes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from shared.errors import OutOfMemory
from shared.host_memory import host_memory

_MB = 1_000_000


def name_of(device: torch.device) -> str:
    """The device in words."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def answers(device: torch.device) -> bool:
    """Whether the device computes. After an illegal access or a hardware fault CUDA refuses a process everything."""
    try:
        return bool(torch.ones(1, device=device).item())
    except RuntimeError:
        return False


def memory_mb(device: torch.device) -> tuple[int, int]:
    """(free, all) of the device in 10^6 bytes; what torch holds for reuse counts as free. Zeros where nobody says."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + idle) // _MB, total // _MB
    memory = host_memory() if device.type == "cpu" else None
    return (0, 0) if memory is None else (memory.free // _MB, memory.total // _MB)


def peak_mb(device: torch.device, work: Callable[[], object]) -> int:
    """What the work took at its highest beyond what was held before, in 10^6 bytes; 0 where nobody counts (the CPU)."""
    if device.type != "cuda":
        work()
        return 0
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    torch.cuda.synchronize(device)
    return (torch.cuda.max_memory_allocated(device) - before) // _MB


T = TypeVar("T")


def with_device_memory(work: Callable[[], T], what: str) -> T:
    """What the work gives. Raises OutOfMemory naming `what` when the device has no room, with the memory freed first.

    Branches have been split by then (`Denoiser.predict`); encoding, decoding and detection cannot be.
    """
    try:
        return work()
    except (torch.OutOfMemoryError, OutOfMemory) as error:
        reason = str(error).split(".", maxsplit=1)[0]
    # After the except clause: inside it the exception still holds every tensor of the frames that it came through.
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    raise OutOfMemory(f"the device has no room for {what} ({reason})")
