"""Defaults of the sampling: the values of the preset, then those of the bundle."""

from __future__ import annotations

from collections.abc import Mapping

from shared.errors import InvalidField
from shared.job import Lora, Preset, Sampling
from shared.limits import BundleLimits

# What each value costs in quality: `./run eval --rows speed`.
PRESETS: Mapping[Preset, Mapping[str, object]] = {
    "best": {"keep": 0.0, "crop_margin": 1.0, "guidance_stop": 1.0},
    "balanced": {"keep": 1.0, "crop_margin": 0.1, "guidance_stop": 1.0},
    "fast": {"steps": 8, "guidance_scale": 1.0, "keep": 1.0, "crop_margin": 0.1, "guidance_stop": 1.0},
}


def filled(asked: Sampling, limits: BundleLimits) -> Sampling:
    """The sampling with all values except the seed. Values of the request stay, even if they equal a default.

    Raises InvalidField for a LoRA that is not allowed or is named twice.
    """
    preset: Preset = asked.preset or limits.preset
    own: dict[str, object] = {
        "width_px": limits.width_px,
        "height_px": limits.height_px,
        "steps": limits.steps,
        "guidance_scale": limits.guidance_scale,
        "identity_scale": limits.identity_scale,
        "adapter_scale": limits.adapter_scale,
    }
    loras = _loras(asked, limits)
    values = {**own, **PRESETS[preset], "preset": preset}
    if preset == "fast":
        loras, few_step = _few_step(loras, limits)
        values |= few_step
    said = {name for name in asked.model_fields_set if getattr(asked, name) is not None}
    left_out = {name: value for name, value in values.items() if name not in said}
    return asked.model_copy(update={**left_out, "loras": loras})


def _loras(asked: Sampling, limits: BundleLimits) -> tuple[Lora, ...]:
    """The LoRAs of the request with their scales. Raises InvalidField."""
    found: dict[str, Lora] = {}
    for number, one in enumerate(asked.loras):
        pointer = f"/sampling/loras/{number}/name"
        if one.name not in limits.loras:
            known = ", ".join(limits.loras) or "none"
            raise InvalidField(f"there is no LoRA {one.name!r}; there are {known}", pointer=pointer)
        if one.name in found:
            raise InvalidField(f"the LoRA {one.name!r} is named twice", pointer=pointer)
        scale = limits.loras[one.name].scale if one.scale is None else one.scale
        found[one.name] = one.model_copy(update={"scale": scale})
    return tuple(found.values())


def _few_step(loras: tuple[Lora, ...], limits: BundleLimits) -> tuple[tuple[Lora, ...], Mapping[str, object]]:
    """The LoRAs with a few-step one, if there is one, and its sampling."""
    named = [one.name for one in loras]
    for name in (*named, *limits.loras):
        few_step = limits.loras[name].few_step
        if few_step is not None:
            own = () if name in named else (Lora(name=name, scale=limits.loras[name].scale),)
            return (*loras, *own), few_step.model_dump()
    return loras, {}
