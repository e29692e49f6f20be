"""Attention to what stays the same in every step: the words of a row and, where one is applied, a face.

diffusers' own processors work out keys and values of both in every step, and give every row a face: rows without one
get zeros, multiplied over the whole picture. Here they are worked out once, and only rows that wear a face look at one.
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
    """The faces that rows wear. rows: (k,), their numbers; tokens: (k, n, d); scales: (k, 1, 1), how strongly.

    seen: (k, 1, 1, n), which tokens are a face's own and not there to fill the row up; None where all are.
    """

    rows: Tensor
    tokens: Tensor
    scales: Tensor
    seen: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Context:
    """What the rows of a network attend to. states: (rows, tokens, d); known: keys and values by attention.

    seen: which of the states, as a face's `seen`.
    """

    states: Tensor
    faces: Faces | None = None
    seen: Tensor | None = None
    known: dict[nn.Module, tuple[_Pair, _Pair | None]] = field(default_factory=dict)


class ContextAttention(nn.Module):
    """Attention to a `Context`, with an adapter's keys and values for faces where the network has an adapter.

    Decoupled cross-attention of IP-Adapter (arXiv 2308.06721, equation 5) with a scale a row. It takes the `Context` in
    the place of `encoder_hidden_states`, which diffusers' networks hand through as it is.
    """

    def __init__(self, face_key: nn.Linear | None = None, face_value: nn.Linear | None = None) -> None:
        super().__init__()
        self.face_key = face_key
        self.face_value = face_value

    def __call__(self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Context, **_others: object) -> Tensor:
        """What the rows saw, (rows, length, width). attn: diffusers' `Attention` whose other weights these are."""
        context = encoder_hidden_states
        words, applied = self._pairs(attn, context)
        query = _heads(attn.to_q(hidden_states), attn.heads)
        seen = scaled_dot_product_attention(query, *words, attn_mask=context.seen)
        if context.faces is not None and applied is not None:
            faces = context.faces
            face = scaled_dot_product_attention(query[faces.rows], *applied, attn_mask=faces.seen)
            seen = seen.index_add(0, faces.rows, face * faces.scales[..., None].to(face.dtype))
        rows, _, length, _ = seen.shape
        out: Tensor = attn.to_out[0](seen.transpose(1, 2).reshape(rows, length, -1))
        return out

    def _pairs(self, attn: Any, context: Context) -> tuple[_Pair, _Pair | None]:
        """Keys and values of the words and of the faces."""
        if self not in context.known:
            context.known[self] = self._worked_out(attn, context)
        return context.known[self]

    def _worked_out(self, attn: Any, context: Context) -> tuple[_Pair, _Pair | None]:
        words = (_heads(attn.to_k(context.states), attn.heads), _heads(attn.to_v(context.states), attn.heads))
        if context.faces is None or self.face_key is None or self.face_value is None:
            return words, None
        tokens = context.faces.tokens
        return words, (_heads(self.face_key(tokens), attn.heads), _heads(self.face_value(tokens), attn.heads))


def attend_to_faces(unet: UNet2DConditionModel) -> None:
    """Puts the adapter that diffusers loaded into a UNet into processors that read a `Context`."""
    processors = dict(unet.attn_processors)
    for name, processor in processors.items():
        if name.endswith("attn2.processor"):
            processors[name] = ContextAttention(processor.to_k_ip[0], processor.to_v_ip[0])
    unet.set_attn_processor(processors)
    # What the rows wear comes with the Context, not through the UNet's own projection.
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
