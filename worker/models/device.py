"""Which device a worker's models are on."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import torch

from shared.errors import BundleError, TransientError
from shared.settings import Settings


def device_of(settings: Settings, gpus: int) -> torch.device:
    """The device that the settings name; where workers share a host's GPUs, one that no other worker has.

    gpus: how many this host has. Raises BundleError when it lacks the one that is named, and TransientError while every
    one is taken.
    """
    device = torch.device(settings.device if settings.device != "auto" else "cuda" if gpus else "cpu")
    if device.type == "cpu":
        return device
    # torch's own types forget that a device may have no number.
    named: int | None = device.index
    number = named or 0
    if number >= gpus:
        message = (
            f"TROUPE_DEVICE is {settings.device}, and torch finds {gpus or 'no'} GPU{'s' * (gpus != 1)} on this host"
        )
        raise BundleError(message)
    if named is None and settings.gpu_folder:
        number = claim(Path(settings.gpu_folder), gpus)
    return torch.device("cuda", number)


def count_gpus() -> int:
    """How many GPUs torch can use on this host; 0 where it has no driver for them."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def claim(folder: Path, count: int) -> int:
    """A GPU's number that is this process's as long as it lives. Raises TransientError while every one is taken.

    A lock of the kernel's on a file in a folder that all workers of the host see: it goes with the process, however
    that ends, and containers share it. Docker itself gives the same first GPU to everybody who asks for one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        # Never closed: the lock lives as long as the process.
        lock = os.open(folder / f"gpu{number}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number
    message = f"all {count} GPUs of this host are taken by other workers ({folder}): start fewer of them"
    raise TransientError(message)
