from __future__ import annotations

from typing import get_args

import pytest

from shared.errors import InvalidField
from shared.job import Lora, Preset, Sampling
from shared.limits import MINI_LIMITS, SDXL_LIMITS, limits_of
from shared.loras import AllowedLora, FewStep, read_loras
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


LORAS = {
    "ink": AllowedLora(file="ink.safetensors", scale=0.6),
    "lightning": AllowedLora(file="l.safetensors", few_step=FewStep(scheduler="euler_trailing", steps=4)),
}


def asked(preset: Preset, **values: object) -> Sampling:
    return filled(Sampling.model_validate({"preset": preset, **values}), limits_of("sdxl", LORAS))


def test_fast_draws_with_a_few_step_lora_where_there_is_one() -> None:
    full = asked("fast")
    assert (full.steps, full.scheduler, full.guidance_scale) == (4, "euler_trailing", 1.0)
    assert full.loras == (Lora(name="lightning", scale=1.0),)
    assert filled(full, limits_of("sdxl", LORAS)) == full
    assert asked("balanced").loras == ()
    assert asked("balanced").scheduler == "euler"


def test_what_was_asked_for_goes_before_what_a_few_step_lora_wants() -> None:
    full = asked("fast", steps=6, loras=[{"name": "ink"}, {"name": "lightning", "scale": 0.9}])
    assert (full.steps, full.scheduler) == (6, "euler_trailing")
    assert full.loras == (Lora(name="ink", scale=0.6), Lora(name="lightning", scale=0.9))
    assert [one.name for one in asked("fast", loras=[{"name": "ink"}]).loras] == ["ink", "lightning"]


@pytest.mark.parametrize(("names", "words"), [(["oil"], "there are ink, lightning"), (["ink", "ink"], "twice")])
def test_a_lora_that_is_not_allowed_is_refused_with_those_that_are(names: list[str], words: str) -> None:
    with pytest.raises(InvalidField, match=words) as caught:
        asked("best", loras=[{"name": name} for name in names])
    assert caught.value.pointer == f"/sampling/loras/{len(names) - 1}/name"


@pytest.mark.parametrize("text", ["[]", '{"a.b": {"file": "x"}}', '{"a": {}}', '{"a": {"file": "x", "rank": 4}}'])
def test_an_allow_list_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        read_loras(text)
