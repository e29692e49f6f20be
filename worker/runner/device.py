"""The state of a worker's device, for the worker registry."""

from __future__ import annotations

from shared.limits import limits_of
from shared.settings import Settings
from shared.store.queue.values import DeviceStatus
from worker.models.bundle import Bundle
from worker.models.device_memory import (
    answers,
    memory_mb,
    name_of,
    peak_mb,
    with_device_memory,
)
from worker.stages.warm import warm_up_detection, warm_up_generation


class DeviceMonitor:
    """Measures what a bundle leaves free on its device. The largest picture is known after `warm_up`."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self._bundle = bundle
        self._limits = limits_of(settings.bundle)
        self._device = bundle.device
        self._configured_pixels = settings.max_pixels
        self._max_pixels = 0 if bundle.generation is None else self._allowed(None)

    def warm_up(self) -> None:
        """Runs every network once and measures how large a picture fits into device memory. Raises OutOfMemory."""
        limits, detection, generation = self._limits, self._bundle.detection, self._bundle.generation
        if detection is not None:
            with_device_memory(lambda: warm_up_detection(detection, limits), "one detection in an empty picture")
        if generation is None:
            return
        size = f"one step of {limits.width_px} x {limits.height_px} pixels"
        took_mb = with_device_memory(
            lambda: peak_mb(self._device, lambda: warm_up_generation(generation, limits)), size
        )
        free_mb, _ = memory_mb(self._device)
        # Memory of a step and of decoding grows linearly with the pixels: attention is computed in slices.
        fitting = int(limits.width_px * limits.height_px * free_mb / took_mb) if took_mb else None
        self._max_pixels = self._allowed(fitting)

    def status(self) -> DeviceStatus:
        """Name, memory and largest picture of the device now."""
        free_mb, all_mb = memory_mb(self._device)
        return DeviceStatus(
            device=name_of(self._device), memory_mb=all_mb, free_mb=free_mb, max_pixels=self._max_pixels
        )

    def works(self) -> bool:
        """Whether the device still computes."""
        return answers(self._device)

    def _allowed(self, fitting: int | None) -> int:
        """Pixels of the largest picture: the setting, else what fits into memory; within the limits of the bundle."""
        most = self._limits.max_px**2
        if self._configured_pixels:
            return min(most, self._configured_pixels)
        return most if fitting is None else min(most, max(fitting, self._limits.width_px * self._limits.height_px))
