"""What a request gets for the sampling it leaves out: the preset's values, then the bundle's."""

from __future__ import annotations

from collections.abc import Mapping

from shared.job import Preset, Sampling
from shared.limits import BundleLimits

# What each value costs in quality: `./run eval --rows speed`.
PRESETS: Mapping[Preset, Mapping[str, object]] = {
    "best": {"keep": 0.0, "crop_margin": 1.0, "guidance_stop": 1.0},
    "balanced": {"keep": 1.0, "crop_margin": 0.1, "guidance_stop": 1.0},
    "fast": {"steps": 8, "guidance_scale": 1.0, "keep": 1.0, "crop_margin": 0.1, "guidance_stop": 1.0},
}


def filled(asked: Sampling, limits: BundleLimits) -> Sampling:
    """The sampling with everything filled in but the seed. What was asked for stays, also where it is a default."""
    preset: Preset = asked.preset or limits.preset
    own: dict[str, object] = {
        "width_px": limits.width_px,
        "height_px": limits.height_px,
        "steps": limits.steps,
        "guidance_scale": limits.guidance_scale,
        "identity_scale": limits.identity_scale,
        "adapter_scale": limits.adapter_scale,
    }
    values = {**own, **PRESETS[preset], "preset": preset}
    said = {name for name in asked.model_fields_set if getattr(asked, name) is not None}
    return asked.model_copy(update={name: value for name, value in values.items() if name not in said})
