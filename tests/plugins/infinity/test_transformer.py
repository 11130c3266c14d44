"""Infinity's transformer: the original's logits, losses, gradients, guidance and greedy images."""

from functools import partial

import golden
import infinities
import pytest
import torch
from tiny_transformer import EAGER, FULL, attend, stepwise

from vartk.components import plugins
from vartk.engine.codes import teacher_inputs
from vartk.engine.generate import Recipe, generate
from vartk.engine.randomness import randomness
from vartk_plugins.original_var.infinity.keys import transformer_state
from vartk_registry import Unsupported, VartkError
from vartk_registry.interfaces import CodeSpace, Condition, Schedule
from vartk_registry.testing import check_transformer


@pytest.fixture(params=infinities.NAMES)
def original(request):
    return infinities.Original(request.param)


@torch.no_grad()
def test_a_latent_has_the_originals_bits_and_inputs(original):
    tokenizer, latent, schedule = original.tokenizer(), original.arrays["latent"], original.schedule
    f_hat, bits = None, []
    for step in range(len(schedule)):
        rest = latent if f_hat is None else latent - f_hat
        bits.append(tokenizer.code(rest, step, schedule))
        f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(bits[-1]), step, schedule)
    assert torch.equal(torch.cat(bits, dim=1), original.codes(original.arrays["bits"]).long())
    inputs = teacher_inputs(tokenizer, bits, schedule)
    golden.assert_close(inputs, original.codes(original.arrays["transformer_input"], first=1), 1e-5)


@torch.no_grad()
def test_logits_are_the_original_ones_in_one_pass_and_step_by_step(original):
    model = original.transformer()
    inputs = original.codes(original.arrays["transformer_input"], first=1)
    expected = original.codes(original.arrays["logits"]).unflatten(-1, (original.bits, 2))
    logits = model(inputs, original.condition, original.schedule, attend)
    golden.assert_close(logits, expected, 1e-5)
    steps = stepwise(model, inputs, original.condition, original.schedule)
    golden.assert_close(torch.cat(steps, dim=1), expected, 1e-5)


def test_loss_and_gradients_are_the_original_ones(original):
    model = original.transformer()
    inputs = original.codes(original.arrays["transformer_input"], first=1)
    logits = model(inputs, original.condition, original.schedule, attend)
    bits = original.codes(original.arrays["bits"]).long()
    losses = CodeSpace(2, (original.bits,)).loss(logits, bits)
    golden.assert_close(losses.mean(), original.arrays["loss_mean"], 1e-5)
    sizes = torch.tensor([float(size) for size in original.schedule.sizes])
    weights = (1 / sizes.sqrt()).repeat_interleave(sizes.long())
    loss = (losses.mean(0) * weights / weights.sum()).sum()
    golden.assert_close(loss, original.arrays["loss_reweighted"], 1e-5)
    loss.backward()
    gradients = {f"transformer.{name}": weight.grad for name, weight in model.named_parameters()}
    for name, norm in original.facts["grad_norms"].items():
        for ours in transformer_state({name: torch.zeros(1)}) if name != "cfg_uncond" else ():
            gradient = gradients[ours]
            if ours.endswith("kv.bias"):  # keys have none in the original, and a constant changes nothing
                assert gradient.chunk(2)[0].norm() < 1e-6
            assert gradient.norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-6), name


class Watched:
    """A sampler that keeps the logits it draws from."""

    def __init__(self, sampler):
        self.sampler, self.logits = sampler, []

    def __call__(self, logits, step, steps, random):
        drawn = self.sampler
        self.logits.append(drawn.filtered(logits, step, steps) if hasattr(drawn, "filtered") else logits)
        return drawn(logits, step, steps, random)


@torch.no_grad()
@pytest.mark.parametrize("run", range(4))
def test_guided_generation_is_the_original_one(original, run):
    facts, arrays, schedule = original.facts["infer"][run], original.arrays, original.schedule
    registry = plugins().registry
    guidance = {"scales": [cfg - 1 for cfg in facts["cfg"]], "layer": -int(facts["insertion"][0])}
    drawn = registry.build("sampler", "categorical", {"temperatures": facts["tau"]})
    sampler = Watched(registry.build("sampler", "greedy", {}) if facts.get("top_k") == 1 else drawn)
    recipe = Recipe(
        schedule=schedule,
        guidance=registry.build("guidance", "per_scale", guidance),
        sampler=sampler,
        cache=FULL,
        attend=attend,
        random=randomness("per_image", [0, 1], schedule, (original.bits,), "cpu"),
    )
    tokenizer = original.tokenizer()
    given = original.codes(arrays["bits"]).long().split(schedule.sizes, dim=1)
    codes = []
    states = generate(tokenizer, original.transformer(), original.condition, original.null, recipe)
    for state in states:
        codes.append(state.codes)
        if facts["given"]:
            state.vectors = tokenizer.embed(given[state.step])
    expected = original.codes(arrays[f"infer{run}_logits"]).unflatten(-1, (original.bits, 2))
    golden.assert_close(torch.cat(sampler.logits, dim=1), expected, 1e-5)
    if not facts["given"]:
        assert torch.equal(torch.cat(codes, dim=1), original.codes(arrays[f"infer{run}_bits"]).long())
        pixels = (state.images * 255)[:, :, ::4, ::4].permute(0, 2, 3, 1).flip(-1)
        # the original cuts the fraction off, where rounding errors may cross an integer
        assert (pixels - arrays[f"infer{run}_image"] - 0.5).abs().max() < 0.5 + 1e-2


def test_it_keeps_the_contract(original):
    check_transformer(
        original.transformer(),
        original.condition,
        schedule=original.schedule,
        space=CodeSpace(2, (original.bits,)),
        channels=original.bits,
        cache=FULL,
    )


@torch.no_grad()
def test_padding_is_not_read():
    original = infinities.Original("infinity_tiny")
    model, condition = original.transformer(), original.condition
    inputs = original.codes(original.arrays["transformer_input"], first=1)
    expected = model(inputs, condition, original.schedule, attend)
    for row, length in enumerate(original.arrays["lens"]):
        alone = Condition(condition.vector[:1], condition.tokens[row : row + 1, :length])
        logits = model(inputs[row : row + 1], alone, original.schedule, attend)
        golden.assert_close(logits, expected[row : row + 1], 1e-5)


@pytest.mark.parametrize(
    ("sizes", "parameters"),
    [
        ({"depth": 12, "width": 768, "heads": 8, "bits": 16}, 126e6),
        ({"bits": 32}, 2.2e9),
        ({"depth": 40, "width": 3584, "heads": 28, "patch": 2, "bits": 14}, 8.4e9),
    ],
    ids=["125M", "2B", "8B"],
)
def test_published_sizes(sizes, parameters):
    bits = sizes.pop("bits")
    with torch.device("meta"):
        model = infinities.REGISTRY.build(
            "transformer",
            "infinity",
            sizes,
            schedule=Schedule.of([2, 4]),
            space=CodeSpace(2, (bits,)),
            channels=bits,
        )
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(parameters, rel=0.05)


def test_what_it_cannot_do_is_refused():
    build = partial(
        infinities.REGISTRY.build,
        "transformer",
        "infinity",
        schedule=Schedule.of([1, 2]),
        space=CodeSpace(2, (4,)),
        channels=4,
    )
    small = {"depth": 1, "width": 64, "heads": 4, "text_width": 128}
    with pytest.raises(VartkError, match=r"width=66 is no multiple of 4 x heads=4.*take width=80"):
        build(small | {"width": 66})
    with pytest.raises(VartkError, match=r"64 is no multiple of the 3 heads.*take width=66"):
        build(small | {"text_width": 384})
    with pytest.raises(VartkError, match=r"2 scales for levels=1; take transformer.levels=2"):
        build(small | {"levels": 1})
    model = build(small)
    with pytest.raises(Unsupported, match="take conditioner=text"):
        model.begin(Condition(torch.zeros(1, 128)), Schedule.of([1]), FULL, EAGER)
    patched = build(small | {"patch": 2, "levels": 3})
    text = Condition(torch.zeros(1, 1), torch.randn(1, 3, 128))
    odd = Schedule.of([2, 3])
    with pytest.raises(VartkError, match="patch=2 does not tile a scale of 3x3"):
        patched(torch.zeros(1, 9, 4), text, odd, attend)
    session = model.begin(text, Schedule.of([1]), FULL, attend)
    with pytest.raises(Unsupported, match=r"guidance.layer=2 lies before the first of 1 blocks"):
        session.guided_step(None, 2, torch.add)
