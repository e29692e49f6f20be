"""A device: its name, whether it works, its free memory, and how much memory a call takes."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from shared.errors import OutOfMemory
from shared.host_memory import host_memory

_MB = 1_000_000


def name_of(device: torch.device) -> str:
    """The device's name for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"


def answers(device: torch.device) -> bool:
    """Whether the device computes. After an illegal access or a hardware fault, CUDA fails every call of a process."""
    try:
        return bool(torch.ones(1, device=device).item())
    except RuntimeError:
        return False


def memory_mb(device: torch.device) -> tuple[int, int]:
    """(free, total) memory in 10^6 bytes; memory that torch keeps for reuse counts as free. Zeros when unknown."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return (free + idle) // _MB, total // _MB
    memory = host_memory() if device.type == "cpu" else None
    return (0, 0) if memory is None else (memory.free // _MB, memory.total // _MB)


def peak_mb(device: torch.device, work: Callable[[], object]) -> int:
    """Peak memory of the work beyond what was in use before, in 10^6 bytes; 0 on the CPU, which is not measured."""
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
    """The result of the work. Frees memory and raises OutOfMemory, naming `what`, when device memory does not suffice.

    By then `Denoiser.predict` has already split the branches; encoding, decoding and detection cannot be split.
    """
    try:
        return work()
    except (torch.OutOfMemoryError, OutOfMemory) as error:
        reason = str(error).split(".", maxsplit=1)[0]
    # After the except clause: inside it, the exception still references all tensors of its frames.
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    raise OutOfMemory(f"device memory does not suffice for {what} ({reason})")
