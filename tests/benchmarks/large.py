"""A generator of SDXL's shape without files: its networks as given, two people to put in, and how much is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline
from diffusers.models.attention_processor import IPAdapterAttnProcessor2_0
from transformers import CLIPTokenizer

from shared.job import Concept, JobSpec, Preset, Sampling
from shared.limits import SDXL_LIMITS
from shared.orders import PersonalizeOrder, Region
from shared.presets import filled
from tests.support.tiny import TINY
from worker.models.attention import attend_to_faces
from worker.models.bundle import Generation
from worker.models.denoiser import Branch
from worker.models.instantid import InstantId
from worker.models.keypoints import KeypointStyle
from worker.models.pretrained import Generator
from worker.models.sdxl import Sdxl
from worker.runner.personalize import personalize_order_of
from worker.stages.personalize import Cast

_TOKENIZER = TINY / "sdxl" / "tokenizer"
# A person 0.36 x 0.58 of the picture is one whose window with 0.4 more a side is 512 x 832 px of 1024 x 1024.
APART = (0.36, 0.58)
# The median of drawn couples of the mini world, who share the whole width.
CLOSE = (0.51, 0.79)
_PHRASES = ("the man", "the woman", "the boy", "the girl")
_MIDDLES = {1: (0.5,), 2: (0.27, 0.73), 3: (0.2, 0.5, 0.8), 4: (0.15, 0.38, 0.62, 0.85)}


def generation_of(networks: Mapping[str, Any], *, batched: bool = True) -> Generation:
    """The networks, named as a bundle's folder has them, put together as they are after loading."""
    unet = networks["unet"]
    _give_adapter(unet)
    pipeline = StableDiffusionXLPipeline(
        vae=networks["vae"],
        text_encoder=networks["text_encoder"],
        text_encoder_2=networks["text_encoder_2"],
        tokenizer=CLIPTokenizer.from_pretrained(_TOKENIZER),
        tokenizer_2=CLIPTokenizer.from_pretrained(_TOKENIZER),
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1
        ),
        add_watermarker=False,
    )
    instantid = InstantId.of(networks["resampler"], networks["identitynet"])
    return Generation(
        generator=Generator(sdxl=Sdxl(pipeline=pipeline), instantid=instantid),
        keypoint_style=KeypointStyle(),
        batched=batched,
    )


def _give_adapter(unet: Any) -> None:
    """Empty keys and values of a face adapter, as diffusers' loader puts them in."""
    weight = next(unet.parameters())
    processors = dict(unet.attn_processors)
    for name in processors:
        if name.endswith("attn2.processor"):
            attention = unet.get_submodule(name.removesuffix(".processor"))
            processors[name] = IPAdapterAttnProcessor2_0(
                hidden_size=attention.inner_dim, cross_attention_dim=unet.config.cross_attention_dim, num_tokens=(16,)
            ).to(device=weight.device, dtype=weight.dtype)
    unet.set_attn_processor(processors)
    attend_to_faces(unet)


def kind_of(branches: Sequence[Branch], t: torch.Tensor) -> tuple[object, ...]:
    """What a step's forwards depend on: which branches, guided or not, in which windows."""
    return tuple((one.guided(t), one.face is None, one.window) for one in branches)


def order_of(preset: Preset, *, steps: int | None, side_px: int, people: int = 2, **asked: object) -> PersonalizeOrder:
    """A square picture of two people, or as many as named, with guidance as the preset has it."""
    told = {"preset": preset, "width_px": side_px, "height_px": side_px, "seed": 0, **asked}
    sampling = Sampling.model_validate(told if steps is None else {**told, "steps": steps})
    concepts = tuple(Concept(phrase=phrase, photos=("0" * 64,)) for phrase in _PHRASES[:people])
    spec = JobSpec(prompt="a man and a woman on the beach", concepts=concepts, sampling=filled(sampling, SDXL_LIMITS))
    return personalize_order_of(spec, bundle="large", identities="i", template="t", regions="r")


def cast_of(order: PersonalizeOrder, share: tuple[float, float], predictions: torch.Tensor) -> Cast:
    """The order's people side by side on the lower edge, each `share` of the picture's width and height."""
    width_px, height_px = order.drawing.width_px, order.drawing.height_px
    rng = np.random.default_rng(0)
    regions = []
    for concept, middle in enumerate(_MIDDLES[len(order.branches)]):
        x, wide, tall = middle * width_px, share[0] * width_px, share[1] * height_px
        left, top = max(0.0, x - wide / 2), height_px - tall
        reach = wide / 10
        face = [(-reach, -reach), (reach, -reach), (0.0, 0.0), (-reach, reach), (reach, reach)]
        regions.append(
            Region(
                concept=concept,
                phrase="somebody",
                box_px=(left, top, min(x + wide / 2, width_px), float(height_px)),
                score=0.9,
                explicit=False,
                face_box_px=(x - 2 * reach, top, x + 2 * reach, top + 4 * reach),
                keypoints_px=tuple((x + across, top + 2 * reach + down) for across, down in face),
            )
        )
    identities = [rng.standard_normal((1, 512), dtype=np.float32) for _ in regions]
    return Cast(identities=identities, regions=regions, predictions=predictions)
