"""MVAR: a token sees its neighbourhood in its own scale and the one before, in training and in sampling."""

import pytest
import torch
from tiny import tiny_model
from tiny_transformer import FULL, REGISTRY, attend, batch, build, inputs_of_step, stepwise, tiny
from torch.nn import functional as F

from vartk.config import Slot
from vartk.engine.attention import build_attention
from vartk_registry import MaskSpec, Unsupported, VartkError
from vartk_registry.interfaces import AttentionRequest, Schedule

SCHEDULE = Schedule.of((1, 2, (3, 4), 5))
MVAR = {"context": 1, "neighbourhood": 3}


@pytest.mark.parametrize("positions", ["learned", "rope2d"])
@pytest.mark.parametrize(
    "params", [MVAR, {"context": 0, "neighbourhood": 1}, {"context": 2, "neighbourhood": 3}]
)
def test_steps_equal_the_teacher_forced_pass(params, positions):
    model = tiny(SCHEDULE, positions=positions, **params)
    inputs, condition = batch(SCHEDULE)
    with torch.no_grad():
        expected = model(inputs, condition, SCHEDULE, attend)
    torch.testing.assert_close(torch.cat(stepwise(model, inputs, condition, SCHEDULE), dim=1), expected)
    whole = tiny(SCHEDULE, positions=positions, context=params["context"])
    with torch.no_grad():
        assert not torch.allclose(whole(inputs, condition, SCHEDULE, attend), expected, atol=1e-3)


def test_a_token_sees_no_further_than_its_neighbours():
    """In one block, an input moves the logits of the tokens that see it, and of no others."""
    model = tiny(SCHEDULE, depth=1, **MVAR)
    inputs, condition = batch(SCHEDULE)
    seen = MaskSpec.scale_causal(SCHEDULE, 1, 3).dense()
    with torch.no_grad():
        before = model(inputs, condition, SCHEDULE, attend)
        for token in (1, 7, 16, 20, 41):
            moved = inputs.clone()
            moved[:, token - 1] += 1
            changed = (model(moved, condition, SCHEDULE, attend) != before).any(dim=-1)[0]
            assert torch.equal(changed.nonzero(), seen[:, token].nonzero())


def test_training_learns_through_the_mask_and_sampling_agrees():
    torch.manual_seed(0)
    model = build(SCHEDULE, depth=2, width=32, heads=2, drop_path=0.0, **MVAR).train()
    inputs, condition = batch(SCHEDULE, size=8)
    codes = torch.randint(16, (8, SCHEDULE.total))
    sdpa = build_attention(Slot(name="sdpa"), REGISTRY)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = F.cross_entropy(model(inputs, condition, SCHEDULE, sdpa).flatten(0, 1), codes.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    model.eval()
    with torch.no_grad():
        expected = model(inputs, condition, SCHEDULE, sdpa)
    found = torch.cat(stepwise(model, inputs, condition, SCHEDULE), dim=1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_cache_holds_one_scale():
    model = tiny(SCHEDULE, **MVAR)
    inputs, condition = batch(SCHEDULE)
    session = model.begin(condition, SCHEDULE, FULL, attend)
    held = []
    for step in range(4):
        session.step(inputs_of_step(inputs, SCHEDULE, step))
        held.append(session.cache.nbytes())
    token = 2 * 2 * 3 * 32 * 4  # k and v, layers, samples, width, fp32
    assert held == [1 * token, 4 * token, 12 * token, 0]


@pytest.mark.parametrize("attention", ["eager", "sdpa", "flex"])
def test_backends_serve_it(attention):
    model = tiny_model(
        **{"transformer.context": 1, "transformer.neighbourhood": 3, "schedule.grids": [1, 3, 4]}
    )
    found = model.sample([0, 1], attention=attention, precision="plain")
    expected = model.sample([0, 1], attention="eager", precision="plain")
    assert all(torch.equal(a, b) for a, b in zip(found.codes, expected.codes, strict=True))


def test_a_backend_that_takes_no_such_mask_says_so():
    flash = pytest.importorskip("vartk_plugins.flash_attention.generations")
    request = AttentionRequest(MaskSpec.scale_causal(SCHEDULE, 1, 3), 2, 16, "float16", "cuda")
    assert flash.refusals(request) == ["it takes no mask of neighbourhoods"]


def test_what_does_not_go_together():
    with pytest.raises(VartkError, match=r"needs transformer\.context=1; give that"):
        build(SCHEDULE, neighbourhood=3)
    with pytest.raises(VartkError, match="no token at its centre; take 5"):
        build(SCHEDULE, context=1, neighbourhood=4)
    with pytest.raises(VartkError, match="needs whole scales as steps"):
        build(Schedule(((2, 2),), raster=True), context=1, neighbourhood=3)
    model = tiny_model(**{"transformer.context": 1, "transformer.neighbourhood": 3})
    for cache in ("fastvar", "fastervar"):
        with pytest.raises(Unsupported, match="all must be computed; take cache=full, or skip_last"):
            model.sample([0], cache={"name": cache, "scales": 1} if cache == "fastervar" else cache)
    assert len(model.sample([0], cache="skip_last").codes) == 2
