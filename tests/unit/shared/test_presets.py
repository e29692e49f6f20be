from __future__ import annotations

from typing import get_args

import pytest

from shared.job import Preset, Sampling
from shared.limits import MINI_LIMITS, SDXL_LIMITS
from shared.presets import PRESETS, filled


@pytest.mark.parametrize("preset", get_args(Preset))
def test_a_preset_fills_what_was_left_out_and_nothing_is_left_empty(preset: Preset) -> None:
    full = filled(Sampling(preset=preset), SDXL_LIMITS)
    assert {name: getattr(full, name) for name in PRESETS[preset]} == PRESETS[preset]
    assert [name for name, value in full if value is None] == ["seed"]
    assert Sampling.model_validate(full.model_dump()) == full


def test_what_was_asked_for_stays() -> None:
    asked = Sampling(preset="fast", steps=50, guidance_scale=4.0, keep=0.0, crop_margin=0.3)
    full = filled(asked, SDXL_LIMITS)
    assert (full.steps, full.guidance_scale, full.keep, full.crop_margin) == (50, 4.0, 0.0, 0.3)


def test_without_a_preset_the_bundle_names_one_and_filling_twice_changes_nothing() -> None:
    assert filled(Sampling(), SDXL_LIMITS).preset == "balanced"
    full = filled(Sampling(), MINI_LIMITS)
    assert (full.preset, full.keep, full.crop_margin) == ("best", 0.0, 1.0)
    assert filled(full, MINI_LIMITS) == full
