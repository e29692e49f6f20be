"""A worker's models and their device, as the fleet hears of them."""

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
    """What a child has loaded. Warm it up before the first gauge that counts."""

    def __init__(self, bundle: Bundle, settings: Settings) -> None:
        self._bundle = bundle
        self._limits = limits_of(settings.bundle)
        self._device = bundle.device
        self._asked_pixels = settings.max_pixels
        self._max_pixels = 0 if bundle.generation is None else self._allowed(None)

    def warm_up(self) -> None:
        """Runs every network once; learns from it how large a picture the device has room for. Raises OutOfMemory."""
        limits, detection, generation = self._limits, self._bundle.detection, self._bundle.generation
        if detection is not None:
            with_device_memory(lambda: warm_up_detection(detection, limits), "one look at an empty picture")
        if generation is None:
            return
        size = f"one step of {limits.width_px} x {limits.height_px} pixels"
        took_mb = with_device_memory(
            lambda: peak_mb(self._device, lambda: warm_up_generation(generation, limits)), size
        )
        free_mb, _ = memory_mb(self._device)
        # All that a step and a decoding hold grows with the pixels; attention is never held as a whole.
        room = int(limits.width_px * limits.height_px * free_mb / took_mb) if took_mb else None
        self._max_pixels = self._allowed(room)

    def gauge(self) -> DeviceStatus:
        """The device as it is now."""
        free_mb, all_mb = memory_mb(self._device)
        return DeviceStatus(
            device=name_of(self._device), memory_mb=all_mb, free_mb=free_mb, max_pixels=self._max_pixels
        )

    def answers(self) -> bool:
        """Whether the device still does."""
        return answers(self._device)

    def _allowed(self, room: int | None) -> int:
        """Pixels of the largest picture: as the setting says, or as there is room for, within the bundle's own."""
        most = self._limits.max_px**2
        if self._asked_pixels:
            return min(most, self._asked_pixels)
        return most if room is None else min(most, max(room, self._limits.width_px * self._limits.height_px))
