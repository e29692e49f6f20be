"""The sizes of the small generator: every network is the class SDXL and InstantID use, only narrower."""

from __future__ import annotations

from diffusers import AutoencoderKL, ControlNetModel, EulerDiscreteScheduler, UNet2DConditionModel
from diffusers.models.embeddings import IPAdapterPlusImageProjection
from transformers import CLIPTextConfig

LATENT_CHANNELS = 16
TEXT_WIDTH = 64
"""Of each of the two text encoders; the UNet attends to both side by side."""
TEXT_TOKENS = 40
"""The longest caption in tokens; shorter than CLIP's 77 because every caption of the world is."""
CONTEXT_WIDTH = 2 * TEXT_WIDTH
TIME_IDS = 6
TIME_ID_WIDTH = 8
FACE_WIDTH = 512
FACE_TOKENS = 8


def new_vae() -> AutoencoderKL:
    """An untrained autoencoder, 8 times smaller in each direction. The full-size layers are narrow: they cost most."""
    return AutoencoderKL(
        block_out_channels=(16, 16, 48, 96),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        mid_block_add_attention=False,
        sample_size=128,
        force_upcast=False,
    )


def text_config(*, vocabulary: int, begin: int, end: int, layers: int) -> CLIPTextConfig:
    """The shape of a text encoder over `vocabulary` tokens, of which `begin` and `end` mark the caption."""
    return CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=TEXT_TOKENS,
        hidden_act="gelu",
        bos_token_id=begin,
        eos_token_id=end,
        pad_token_id=end,
    )


def new_unet() -> UNet2DConditionModel:
    """An untrained UNet with SDXL's conditioning (text_time) for latents of 16 x 16 and wider.

    As in SDXL the first block down has no attention; unlike there the last block up has, because a face is only about
    five latents wide and its features must be told apart at full latent size.
    """
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=CONTEXT_WIDTH,
        attention_head_dim=(2, 4),
        transformer_layers_per_block=1,
        use_linear_projection=True,
        norm_num_groups=16,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_ID_WIDTH,
        projection_class_embeddings_input_dim=TEXT_WIDTH + TIME_IDS * TIME_ID_WIDTH,
    )


def new_identitynet(unet: UNet2DConditionModel) -> ControlNetModel:
    """IdentityNet before training: the encoder of `unet` with silent (zero) outputs."""
    return ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 16, 32, 64))


def new_resampler() -> IPAdapterPlusImageProjection:
    """The map from one face embedding (1, FACE_WIDTH) to FACE_TOKENS context tokens, untrained.

    diffusers reads the width and the tokens from the file; it takes heads of 64 and a depth of 4 for granted.
    """
    return IPAdapterPlusImageProjection(
        embed_dims=FACE_WIDTH,
        output_dims=CONTEXT_WIDTH,
        hidden_dims=128,
        depth=4,
        dim_head=64,
        heads=2,
        num_queries=FACE_TOKENS,
    )


def new_scheduler() -> EulerDiscreteScheduler:
    """SDXL's noise schedule with v-prediction, which also teaches the first, noisiest steps (arXiv:2202.00512)."""
    return EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
