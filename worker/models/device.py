"""Chooses the device of a worker's models."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import torch

from shared.errors import BundleError, TransientError
from shared.settings import Settings


def device_of(settings: Settings, gpus: int) -> torch.device:
    """The device of the settings; when workers share the GPUs of a host, one that no other worker uses.

    gpus: number of GPUs of this host. Raises BundleError when the named one does not exist, and TransientError while
    all are in use.
    """
    device = torch.device(settings.device if settings.device != "auto" else "cuda" if gpus else "cpu")
    if device.type == "cpu":
        return device
    # A device may have no index; the types of torch do not say so.
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
    """Number of GPUs that torch can use on this host; 0 without a driver."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def claim(folder: Path, count: int) -> int:
    """The number of a GPU that this process reserves until it ends. Raises TransientError while all are in use.

    A kernel lock on a file in a folder that all workers of the host share, also across containers; it ends with the
    process. Docker alone would give the same first GPU to every container that requests one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        # Never closed: the lock lasts as long as the process.
        lock = os.open(folder / f"gpu{number}.lock", os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return number
    message = f"all {count} GPUs of this host are taken by other workers ({folder}): start fewer of them"
    raise TransientError(message)
