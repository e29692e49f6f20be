"""Units of work as Redis counts them: millionths, which are whole numbers, so that sums are exact and end at zero.

A unit is one million pixels times steps times branches (`shared.store.jobs.record.units`), so its millionths are whole.
"""

from __future__ import annotations

_MICRO = 1_000_000


def encode_units(units: float) -> int:
    """Units as the scripts take them."""
    return round(units * _MICRO)


def decode_units(micro_units: str | float) -> float:
    """Units, or units a second, that a script returned."""
    return float(micro_units) / _MICRO
