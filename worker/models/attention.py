"""Cross-attention to the text and the faces of rows, whose keys and values are computed once a job.

The processors of diffusers compute keys and values in every step, and give every row a face: rows without one attend to
zeros. Here only rows with a face attend to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

_Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class Faces:
    """The faces of rows. rows: (k,), indexes of the rows; tokens: (k, n, d); scales: (k, 1, 1), their weights.

    valid: (k, 1, 1, n), False for padding; None when there is no padding.
    """

    rows: Tensor
    tokens: Tensor
    scales: Tensor
    valid: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """What the rows of a network attend to. states: (rows, tokens, d); pairs: computed keys and values by attention.

    valid: mask of the states, as `Faces.valid`.
    """

    states: Tensor
    faces: Faces | None = None
    valid: Tensor | None = None
    pairs: dict[nn.Module, tuple[_Pair, _Pair | None]] = field(default_factory=dict)


class ContextAttention(nn.Module):
    """Attention to a `Context`, with an adapter's keys and values for faces where the network has an adapter.

    Decoupled cross-attention of IP-Adapter (arXiv 2308.06721, equation 5) with one scale a row. The `Context` takes the
    place of `encoder_hidden_states`, which the networks of diffusers pass through unchanged.
    """

    def __init__(self, face_key: nn.Linear | None = None, face_value: nn.Linear | None = None) -> None:
        super().__init__()
        self.face_key = face_key
        self.face_value = face_value

    def __call__(self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Context, **_others: object) -> Tensor:
        """The output for all rows, (rows, length, width). attn: the `Attention` of diffusers with the other weights."""
        context = encoder_hidden_states
        text, face_pair = self._pairs(attn, context)
        query = _heads(attn.to_q(hidden_states), attn.heads)
        out = scaled_dot_product_attention(query, *text, attn_mask=context.valid)
        if context.faces is not None and face_pair is not None:
            faces = context.faces
            face = scaled_dot_product_attention(query[faces.rows], *face_pair, attn_mask=faces.valid)
            out = out.index_add(0, faces.rows, face * faces.scales[..., None].to(face.dtype))
        rows, _, length, _ = out.shape
        result: Tensor = attn.to_out[0](out.transpose(1, 2).reshape(rows, length, -1))
        return result

    def _pairs(self, attn: Any, context: Context) -> tuple[_Pair, _Pair | None]:
        """Keys and values of the text and of the faces, computed at the first call."""
        if self not in context.pairs:
            context.pairs[self] = self._compute_pairs(attn, context)
        return context.pairs[self]

    def _compute_pairs(self, attn: Any, context: Context) -> tuple[_Pair, _Pair | None]:
        text = (_heads(attn.to_k(context.states), attn.heads), _heads(attn.to_v(context.states), attn.heads))
        if context.faces is None or self.face_key is None or self.face_value is None:
            return text, None
        tokens = context.faces.tokens
        return text, (_heads(self.face_key(tokens), attn.heads), _heads(self.face_value(tokens), attn.heads))


def attend_to_faces(unet: UNet2DConditionModel) -> None:
    """Moves the adapter that diffusers loaded into a UNet to processors that read a `Context`."""
    processors = dict(unet.attn_processors)
    for name, processor in processors.items():
        if name.endswith("attn2.processor"):
            processors[name] = ContextAttention(processor.to_k_ip[0], processor.to_v_ip[0])
    unet.set_attn_processor(processors)
    # Face tokens come with the Context, not through the UNet's own projection.
    unet.register_to_config(encoder_hid_dim_type=None)
    unet.encoder_hid_proj = None


def attend_to_tokens(identitynet: ControlNetModel) -> None:
    """Lets IdentityNet read a `Context`; its states are the face tokens."""
    processors = dict(identitynet.attn_processors)
    for name in processors:
        if name.endswith("attn2.processor"):
            processors[name] = ContextAttention()
    identitynet.set_attn_processor(processors)


def _heads(x: Tensor, heads: int) -> Tensor:
    """(rows, length, heads * d) -> (rows, heads, length, d)."""
    rows, length, _ = x.shape
    return x.view(rows, length, heads, -1).transpose(1, 2)
