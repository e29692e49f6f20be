"""Attention to words and faces against diffusers' own processors over the same weights."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.attention_processor import Attention, IPAdapterAttnProcessor2_0
from torch import Tensor, nn

from worker.models.attention import Context, ContextAttention, Faces

ROWS, LENGTH, WIDTH, READ = 5, 24, 32, 16
WITH_FACE = [1, 2, 4]


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(query_dim=WIDTH, cross_attention_dim=READ, heads=4, dim_head=8).requires_grad_(requires_grad=False)


@pytest.fixture
def own() -> ContextAttention:
    torch.manual_seed(1)
    return ContextAttention(nn.Linear(READ, WIDTH, bias=False), nn.Linear(READ, WIDTH, bias=False)).requires_grad_(
        requires_grad=False
    )


def context(scales: list[float]) -> Context:
    faces = Faces(
        rows=torch.tensor(WITH_FACE),
        tokens=drawn(len(WITH_FACE), 6, READ, seed=3),
        scales=torch.tensor(scales).view(-1, 1, 1),
    )
    return Context(states=drawn(ROWS, 7, READ, seed=2), faces=faces)


def as_shipped(attention: Attention, own: ContextAttention, x: Tensor, read: Context) -> Tensor:
    """What diffusers' processor of IP-Adapter gives, with faces of zeros and masks of zeros for rows without one."""
    assert own.face_key is not None
    assert own.face_value is not None
    assert read.faces is not None
    processor = IPAdapterAttnProcessor2_0(WIDTH, READ, (6,))
    processor.to_k_ip[0], processor.to_v_ip[0] = own.face_key, own.face_value
    attention.set_processor(processor)
    tokens, scales = torch.zeros(ROWS, 6, READ), torch.zeros(ROWS, 1, 1, 1)
    tokens[WITH_FACE], scales[WITH_FACE] = read.faces.tokens, read.faces.scales[..., None]
    # diffusers counts a mask's sides from its length and the picture's; 4 x 6 are the 24.
    masks = [scales.expand(-1, 1, 4, 6)]
    out: Tensor = attention(x, encoder_hidden_states=(read.states, [tokens[:, None]]), ip_adapter_masks=masks)
    return out


def test_every_row_sees_its_words_and_rows_that_wear_a_face_see_it_as_strongly_as_they_were_told(
    attention: Attention, own: ContextAttention
) -> None:
    x, read = drawn(ROWS, LENGTH, WIDTH, seed=4), context([0.8, 0.3, 1.0])
    expected = as_shipped(attention, own, x, read)
    attention.set_processor(own)
    assert torch.allclose(attention(x, encoder_hidden_states=read), expected, atol=1e-5)


def test_rows_without_a_face_are_plain_text_attention_to_the_last_bit(
    attention: Attention, own: ContextAttention
) -> None:
    x, read = drawn(ROWS, LENGTH, WIDTH, seed=4), context([0.8, 0.3, 1.0])
    attention.set_processor(own)
    found = attention(x, encoder_hidden_states=read)
    attention.set_processor(ContextAttention())
    plain = attention(x, encoder_hidden_states=Context(states=read.states))
    without = [row for row in range(ROWS) if row not in WITH_FACE]
    assert torch.equal(found[without], plain[without])
    assert not torch.allclose(found[WITH_FACE], plain[WITH_FACE], atol=1e-3)


def test_keys_and_values_are_worked_out_once_and_each_network_has_its_own(
    attention: Attention, own: ContextAttention
) -> None:
    asked = []
    for part in (attention.to_k, attention.to_v, own.face_key, own.face_value):
        assert part is not None
        part.register_forward_hook(lambda module, _given, _out: asked.append(module))
    attention.set_processor(own)
    read = context([1.0, 1.0, 1.0])
    for seed in range(3):
        attention(drawn(ROWS, LENGTH, WIDTH, seed=seed), encoder_hidden_states=read)
    assert len(asked) == 4
    attention(drawn(ROWS, LENGTH, WIDTH, seed=9), encoder_hidden_states=context([1.0, 1.0, 1.0]))
    assert len(asked) == 8
