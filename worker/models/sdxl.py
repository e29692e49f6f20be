"""The parts of SDXL: prompt to conditioning, latents to picture. The denoising loop is in worker/blend/loop.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from worker.blend.windows import Window

_PREVIEW = 32


@dataclass(frozen=True, kw_only=True)
class Text:
    """An encoded prompt. states: (2, tokens, d); pooled: (2, p). Row 0 is the unconditional one."""

    states: Tensor
    pooled: Tensor


@dataclass(frozen=True, kw_only=True)
class Sdxl:
    """The parts of a loaded SDXL pipeline. text_encoders_on_host: they are on the device only while they encode."""

    pipeline: StableDiffusionXLPipeline
    text_encoders_on_host: bool = False

    @property
    def unet(self) -> UNet2DConditionModel:
        """The denoising network."""
        return self.pipeline.unet

    @property
    def device(self) -> torch.device:
        """The device of the networks."""
        device: torch.device = self.unet.device
        return device

    @property
    def latent_px(self) -> int:
        """Side length of a latent in pixels."""
        side: int = self.pipeline.vae_scale_factor
        return side

    def latent_shape(self, *, width_px: int, height_px: int) -> tuple[int, int, int, int]:
        """Shape (1, c, h, w) of the latents of a picture. Raises ValueError for a size that the VAE cannot draw."""
        factor = self.latent_px
        if width_px % factor or height_px % factor:
            message = f"a picture of {width_px} x {height_px} px: both sides must be multiples of {factor}"
            raise ValueError(message)
        return 1, self.unet.config.in_channels, height_px // factor, width_px // factor

    @torch.inference_mode()
    def encode(self, prompt: str, negative_prompt: str = "") -> Text:
        """The encoded prompt and negative prompt. An empty negative prompt gives zeros, as in SDXL's training."""
        with self._text_encoders():
            states, negative_states, pooled, negative_pooled = self.pipeline.encode_prompt(
                prompt=prompt,
                negative_prompt=negative_prompt or None,
                device=self.device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=True,
            )
        return Text(states=torch.cat([negative_states, states]), pooled=torch.cat([negative_pooled, pooled]))

    @contextmanager
    def _text_encoders(self) -> Iterator[None]:
        """Moves the text encoders to the device for the duration of the block, if they are kept on the host."""
        encoders = (self.pipeline.text_encoder, self.pipeline.text_encoder_2) if self.text_encoders_on_host else ()
        try:
            for encoder in encoders:
                encoder.to(self.device)
            yield
        finally:
            for encoder in encoders:
                encoder.to("cpu")

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> NDArray[np.uint8]:
        """The picture of latents (1, c, h, w): (height, width, 3) RGB."""
        vae: AutoencoderKL = self.pipeline.vae
        latents = latents / vae.config.scaling_factor
        # Activations of SDXL's published VAE exceed the range of float16; its configuration has force_upcast.
        if vae.dtype == torch.float16 and vae.config.force_upcast:
            vae.to(dtype=torch.float32)
        picture = vae.decode(latents.to(device=vae.device, dtype=vae.dtype), return_dict=False)[0]
        pixels = VaeImageProcessor.pt_to_numpy(VaeImageProcessor.denormalize(picture.float()))
        drawn: NDArray[np.uint8] = np.rint(pixels[0] * 255).astype(np.uint8)
        return drawn

    def preview(self, latents: Tensor) -> NDArray[np.uint8]:
        """A small preview of latents, (h, w, 3) RGB: they are scaled to a longer side of 32 before decoding.

        A linear map of the channels would be cheaper, but must be fitted to each VAE and fails for 16 channels.
        """
        shrink = max(latents.shape[2:]) / _PREVIEW
        if shrink > 1:
            latents = interpolate(latents.float(), scale_factor=1 / shrink, mode="area")
        return self.decode(latents)


def time_ids(*, width_px: int, height_px: int, window_px: Window | None = None) -> Tensor:
    """SDXL's size conditioning, (1, 6): size of the whole picture, then corner and size of the drawn part, each (h, w).

    window_px: the drawn part in pixels; None is the whole picture. Source: arXiv 2307.01952, section 2.2.
    """
    part = window_px or Window(top=0, left=0, height=height_px, width=width_px)
    return torch.tensor([[height_px, width_px, part.top, part.left, part.height, part.width]], dtype=torch.float32)
