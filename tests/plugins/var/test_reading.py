"""Cross-attention of `var` to a text: a start at zero, padding, cached steps, a second implementation."""

import pytest
import torch
from tiny_transformer import FULL, attend, batch, build, tiny
from torch import nn

from vartk_plugins.var.reading import CrossAttention, heads_of, mask_of
from vartk_plugins.var.transformer import VarTransformer
from vartk_registry import Unsupported
from vartk_registry.interfaces import CodeSpace, Condition, Schedule
from vartk_registry.testing import check_transformer

SCHEDULE = Schedule.of([1, 2, 4])
SIZES = {"depth": 2, "width": 32, "heads": 2}


def text(condition, lengths=(5, 2, 3)):
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randn(len(condition), 5, 32, generator=generator)
    return Condition(condition.vector, tokens, torch.tensor(lengths))


@pytest.mark.parametrize("shared", [False, True])
def test_a_model_of_classes_goes_on_with_unchanged_logits(shared):
    before = tiny(SCHEDULE, shared_adaln=shared)
    after = build(SCHEDULE, cross_attention=True, shared_adaln=shared, **SIZES).eval()
    left = after.load_state_dict(before.state_dict(), strict=False)
    assert not left.unexpected_keys
    assert {name.split(".")[2] for name in left.missing_keys} == {"cross", "cross_norm"}
    inputs, condition = batch(SCHEDULE)
    expected = before(inputs, condition, SCHEDULE, attend)
    logits = after(inputs, text(condition), SCHEDULE, attend)
    assert torch.equal(logits, expected)
    logits.square().mean().backward()  # and the output layers are where learning begins
    assert all(block.cross.proj.weight.grad.abs().min() > 0 for block in after.blocks)


@torch.no_grad()
def test_the_tokens_are_read_up_to_their_lengths():
    model = tiny(SCHEDULE, cross_attention=True)
    inputs, condition = batch(SCHEDULE)
    full = text(condition)
    logits = model(inputs, full, SCHEDULE, attend)
    padded = full.tokens.clone()
    padded[1, 2:] = 100.0
    same = model(inputs, Condition(full.vector, padded, full.lengths), SCHEDULE, attend)
    assert torch.equal(same, logits)
    padded[1, 1] += 1
    other = model(inputs, Condition(full.vector, padded, full.lengths), SCHEDULE, attend)
    changed = (other - logits).abs().amax((1, 2))
    assert changed[1] > 0.01
    assert changed[[0, 2]].max() == 0


@pytest.mark.parametrize("params", [{}, {"shared_adaln": True, "patch": 2}, {"positions": "rope2d"}])
def test_cached_steps_are_those_of_one_pass(params):
    model = tiny(SCHEDULE, cross_attention=True, **params)
    parts = {"space": CodeSpace(16), "channels": 4, "cache": FULL, "attend": attend}
    check_transformer(model, text(batch(SCHEDULE)[1]), schedule=SCHEDULE, **parts)


def test_a_transformer_that_ignores_weights_breaks_a_rule():
    class Ignoring(VarTransformer):
        def conditioned(self, condition):
            return super().conditioned(Condition(condition.vector, condition.tokens))

    model = tiny(SCHEDULE, cross_attention=True)
    model.__class__ = Ignoring
    parts = {"space": CodeSpace(16), "channels": 4, "cache": FULL, "attend": attend}
    with pytest.raises(AssertionError, match="tokens twice, with weights"):
        check_transformer(model, text(batch(SCHEDULE)[1]), schedule=SCHEDULE, **parts)


@torch.no_grad()
def test_attention_is_shared_by_weight():
    cross = CrossAttention(32, 4)
    nn.init.zeros_(cross.q.weight)  # all tokens are as relevant
    nn.init.zeros_(cross.q.bias)
    words, weights = torch.randn(1, 3, 32), torch.tensor([[0.5, 0.0, 1.5]])
    mask = mask_of(Condition(words[:, 0], words, weights=weights))
    shared = cross(torch.randn(1, 2, 32), *heads_of(cross.kv(words), 4), mask)
    values = cross.kv(words)[..., 32:]
    expected = cross.proj(0.25 * values[:, :1] + 0.75 * values[:, 2:])
    torch.testing.assert_close(shared, expected.expand(-1, 2, -1))


@torch.no_grad()
def test_cross_attention_is_that_of_torch():
    torch.manual_seed(0)
    ours, theirs = CrossAttention(32, 4), nn.MultiheadAttention(32, 4, batch_first=True)
    theirs.in_proj_weight.copy_(torch.cat((ours.q.weight, ours.kv.weight)))
    theirs.in_proj_bias.copy_(torch.cat((ours.q.bias, ours.kv.bias)))
    theirs.out_proj.load_state_dict(ours.proj.state_dict())
    image, words, lengths = torch.randn(2, 6, 32), torch.randn(2, 5, 32), torch.tensor([5, 3])
    mask = mask_of(Condition(words.mean(1), words, lengths))
    expected, _ = theirs(image, words, words, key_padding_mask=~mask[:, 0, 0])
    found = ours(image, *heads_of(ours.kv(words), 4), mask)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_condition_of_the_other_sort_is_refused():
    inputs, condition = batch(SCHEDULE)
    with pytest.raises(Unsupported, match=r"take transformer\.cross_attention=true"):
        tiny(SCHEDULE)(inputs, text(condition), SCHEDULE, attend)
    with pytest.raises(Unsupported, match="the condition has none; take conditioner=text"):
        tiny(SCHEDULE, cross_attention=True)(inputs, condition, SCHEDULE, attend)
