"""What happens when a device has no room: everything of the attempt is let go of, and the error names the size."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from shared.errors import OutOfMemory

T = TypeVar("T")


def with_room(work: Callable[[], T], what: str) -> T:
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
