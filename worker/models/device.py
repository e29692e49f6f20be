"""Which device a worker's models are on."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import torch

from shared.errors import BundleError
from shared.settings import Settings


def device_of(settings: Settings) -> str:
    """The device that the settings name; where workers share a host's GPUs, one that no other worker has.

    Raises BundleError when every GPU is taken.
    """
    device = settings.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and settings.gpu_folder:
        return f"cuda:{claim(Path(settings.gpu_folder), torch.cuda.device_count())}"
    return device


def claim(folder: Path, count: int) -> int:
    """A GPU's number that is this process's as long as it lives.

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
    raise BundleError(message)
