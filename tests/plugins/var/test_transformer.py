"""VAR's transformer: the original's numbers, its weights, one pass over all scales."""

import math
from types import SimpleNamespace

import golden
import pytest
import torch
import torch.nn.functional as F
from tiny_transformer import FULL, REGISTRY, attend, batch, build, inputs_of_step, stepwise, tiny

from vartk_plugins.original_var.keys import transformer_state
from vartk_plugins.var.patches import pack, unpack
from vartk_registry import MaskSpec, ParamErrors, Unsupported, VartkError
from vartk_registry.interfaces import CodeSpace, Condition, Schedule

VAR_256 = Schedule.of([1, 2, 3, 4, 5, 6, 8, 10, 13, 16])


VAR_512 = Schedule.of([1, 2, 3, 4, 6, 9, 13, 18, 24, 32])


@pytest.fixture(params=golden.NAMES)
def original(request):
    """The original's tiny model and its outputs."""
    facts, arrays = golden.facts(request.param), golden.arrays(request.param)
    var, vae = facts["var"], facts["vae"]
    schedule = Schedule.of(vae["v_patch_nums"])
    transformer = build(
        schedule,
        space=CodeSpace(vae["vocab_size"]),
        channels=vae["z_channels"],
        depth=var["depth"],
        width=var["embed_dim"],
        heads=var["num_heads"],
        mlp_ratio=var.get("mlp_ratio", 4.0),
        shared_adaln=var["shared_aln"],
        l2_norm=var["attn_l2_norm"],
        drop_path=0.0,
    )
    conditioner = REGISTRY.build(
        "conditioner",
        "class",
        {"count": var["num_classes"]},
        width=transformer.width,
        classes=(),
    )
    model = torch.nn.ModuleDict({"transformer": transformer, "conditioner": conditioner})
    weights = golden.weights(request.param, "var")
    model.load_state_dict(transformer_state(weights))
    return SimpleNamespace(model=model, schedule=schedule, facts=facts, arrays=arrays, names=list(weights))


def test_logits_are_the_original_ones(original):
    model = original.model.eval()
    condition = model["conditioner"](original.arrays["label"])
    inputs = original.arrays["transformer_input"]
    with torch.no_grad():
        logits = model["transformer"](inputs, condition, original.schedule, attend)
    golden.assert_close(logits, original.arrays["logits"], 1e-5)
    steps = stepwise(model["transformer"], inputs, condition, original.schedule)
    golden.assert_close(torch.cat(steps, dim=1), logits, 1e-5)


def test_loss_and_gradients_are_the_original_ones(original):
    model = original.model.train()
    condition = model["conditioner"](original.arrays["label"])
    inputs = original.arrays["transformer_input"]
    logits = model["transformer"](inputs, condition, original.schedule, attend)
    codes = original.arrays["tokens"].long()
    loss = F.cross_entropy(logits.flatten(0, 1), codes.flatten(), label_smoothing=0.1)
    loss.backward()
    expected = float(original.arrays["train_ce_smooth0.1"])
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    norms = {}
    for name in original.names:
        for ours in transformer_state({name: torch.empty(0)}):  # nothing for a buffer
            norms[name] = gradients[ours].norm().item()
    assert norms == pytest.approx(original.facts["grad_norms_var"], rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    ("depth", "schedule", "shared", "published", "drop_path"),
    [
        (16, VAR_256, False, 310_283_520, 0.0667),
        (20, VAR_256, False, 600_917_136, 0.0833),
        (24, VAR_256, False, 1_033_399_360, 0.1),
        (30, VAR_256, False, 2_010_020_356, 0.125),
        (36, VAR_512, True, 2_353_893_904, 0.15),
    ],
)
def test_published_sizes(depth, schedule, shared, published, drop_path):
    """The published counts are those of the parameters alone, without any buffer."""
    with torch.device("meta"):
        model = build(schedule, space=CodeSpace(4096), channels=32, depth=depth, shared_adaln=shared)
        conditioner = REGISTRY.build("conditioner", "class", {"count": 1000}, width=model.width, classes=())
    assert model.width == 64 * depth
    assert model.heads == depth
    total = sum(p.numel() for part in (model, conditioner) for p in part.parameters())
    assert total == published
    assert not list(model.buffers())
    rates = [block.drop_path for block in model.blocks]
    assert rates[0] == 0
    assert rates[1] == pytest.approx(rates[-1] / (depth - 1))
    assert rates[-1] == pytest.approx(drop_path, abs=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_initial_weights(shared):
    torch.manual_seed(0)
    model = build(VAR_256, depth=2, width=96, heads=2, channels=32, shared_adaln=shared, gain_init=1e-2)
    std = math.sqrt(1 / (3 * 96))
    block = model.blocks[1]
    if shared:
        modulation = block.modulation_offset[0, 0]
        modulation_std, relative = math.sqrt(1 / 96), 0.2
    else:
        modulation = block.modulation.weight.unflatten(0, (6, 96))
        modulation_std, relative = std, 0.03
    assert modulation[:2].std().item() == pytest.approx(1e-2 * modulation_std, rel=relative)
    assert modulation[2:].std().item() == pytest.approx(0.5 * modulation_std, rel=relative)
    expected = {
        model.position: std,
        model.embed.weight: std,
        block.attention.qkv.weight: std,
        block.ffn.fc1.weight: std,
        block.ffn.fc2.weight: std / 2,  # sqrt(2 x depth) = 2
        block.attention.proj.weight: std / 2,
        model.head_modulation.weight: std / 2,
        model.head.weight: std * 0.02,
    }
    for weight, value in expected.items():
        assert weight.std().item() == pytest.approx(value, rel=0.05)
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all()
        if name.endswith("bias"):
            assert not parameter.any()
    torch.testing.assert_close(block.attention.log_scale.exp(), torch.full((2,), 4.0))


@pytest.mark.parametrize("shared", [False, True])
def test_weights_without_decay(shared):
    model = build(Schedule.of([1, 2]), depth=2, shared_adaln=shared)
    expected = {"start_position", "position", "level.weight"}
    if shared:
        expected |= {"blocks.0.modulation_offset", "blocks.1.modulation_offset"}
    assert model.no_weight_decay() == expected


def test_a_square_of_codes_is_put_side_by_side():
    grid = (2, 4)  # codes 0 to 3 above 4 to 7, each with a width of 1
    codes = torch.arange(8.0).view(1, 8, 1)
    squares = pack(codes, grid, 2)
    assert squares.tolist() == [[[0, 1, 4, 5], [2, 3, 6, 7]]]
    assert torch.equal(unpack(squares, grid, 2), codes)
    wide = torch.randn(2, 8, 3)
    assert torch.equal(unpack(pack(wide, grid, 2), grid, 2), wide)


def test_patches_shorten_the_sequence_and_leave_the_interface():
    """Of the scales 1, 2, 3 and 4x6, those of even sides are packed: 1 + 1 + 9 + 6 tokens for 38 codes."""
    schedule = Schedule.of([1, 2, 3, (4, 6)])
    model = tiny(schedule, patch=2)
    inputs, condition = batch(schedule)
    seen = []

    def watched(*arguments, mask, **options):
        seen.append(mask)
        return attend(*arguments, mask=mask, **options)

    with torch.no_grad():
        expected = model(inputs, condition, schedule, watched)
    assert set(seen) == {MaskSpec.scale_causal(Schedule.of([1, 1, 3, (2, 3)]))}
    assert expected.shape == (3, 38, 16)
    steps = stepwise(model, inputs, condition, schedule)
    assert [step.shape[1] for step in steps] == list(schedule.sizes)
    golden.assert_close(torch.cat(steps, dim=1), expected, 1e-5)
    other = Schedule.of([1, 4])
    inputs, condition = batch(other)
    assert model(inputs, condition, other, attend).shape == (3, 17, 16)


def test_logits_have_the_shape_of_the_codes():
    schedule = Schedule.of([1, (1, 2)])
    model = tiny(schedule, space=CodeSpace(2, (5,)))
    inputs, condition = batch(schedule)
    assert model(inputs, condition, schedule, attend).shape == (3, 3, 5, 2)
    assert stepwise(model, inputs, condition, schedule)[1].shape == (3, 2, 5, 2)


def test_a_token_sees_its_own_and_coarser_scales_alone():
    schedule = Schedule.of([1, 2, 3])
    model = tiny(schedule)
    inputs, condition = batch(schedule)
    inputs.requires_grad_()
    logits = model(inputs, condition, schedule, attend)
    # a row of the second scale: inputs 0 to 3 are its scale's, 4 to 12 the third's
    (gradient,) = torch.autograd.grad(logits[:, 1].square().sum(), inputs)
    assert gradient[:, :4].abs().amin(dim=(0, 2)).all()
    assert not gradient[:, 4:].any()


def test_softmax_scale_is_bounded():
    schedule = Schedule.of([1, 3])
    model = tiny(schedule)
    inputs, condition = batch(schedule)
    outs = []
    for value in (math.log(100), 9.0):
        for block in model.blocks:
            torch.nn.init.constant_(block.attention.log_scale, value)
        outs.append(model(inputs, condition, schedule, attend))
    golden.assert_close(outs[1], outs[0], 1e-5)


def test_autocast_keeps_the_head_in_fp32():
    schedule = Schedule.of([1, 2, 3])
    model = tiny(schedule)
    inputs, condition = batch(schedule)
    with torch.no_grad():
        exact = model(inputs, condition, schedule, attend)
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(inputs, condition, schedule, attend)
            session = model.begin(condition, schedule, FULL, attend)
            steps = [session.step(inputs_of_step(inputs, schedule, step)) for step in range(3)]
    assert logits.dtype == torch.float32
    assert not torch.equal(logits, logits.bfloat16().float())
    golden.assert_close(logits, exact, 5e-2)
    golden.assert_close(torch.cat(steps, dim=1), exact, 5e-2)
    # k and v, 2 layers, 3 samples, 14 tokens, 32 channels, 2 bytes
    assert session.cache.nbytes() == 2 * 2 * 3 * 14 * 32 * 2


def test_drop_path_skips_sub_layers_of_whole_samples_in_training_alone():
    schedule = Schedule.of([1, 2])
    model = tiny(schedule, drop_path=0.5)
    inputs, condition = batch(schedule, size=1)
    inputs, condition = inputs.expand(32, -1, -1), Condition(condition.vector.expand(32, -1))

    def kinds():
        torch.manual_seed(0)
        logits = model(inputs, condition, schedule, attend)
        rows = logits.detach().flatten(1)
        same = (rows[:, None] - rows).abs().amax(dim=-1) < 1e-3
        return len(same.int().argmax(dim=1).unique())

    assert kinds() == 1
    model.train()
    # only the second block drops: with or without its attention, with or without its feed-forward
    assert kinds() == 4


def test_dropout_is_for_training_alone():
    schedule = Schedule.of([1, 2])
    model, plain = tiny(schedule, dropout=0.5), tiny(schedule)
    inputs, condition = batch(schedule)
    expected = plain(inputs, condition, schedule, attend)
    assert torch.equal(model(inputs, condition, schedule, attend), expected)
    model.train()
    assert not torch.allclose(model(inputs, condition, schedule, attend), expected, atol=1e-2)


def test_checkpointing_has_the_same_gradients_and_keeps_less():
    schedule = Schedule.of([1, 2, 4])
    inputs, condition = batch(schedule)

    def trained(checkpointing):
        model = tiny(schedule, drop_path=0.5, dropout=0.1, checkpointing=checkpointing).train()
        kept = []
        torch.manual_seed(0)
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: kept.append(tensor.nbytes) or tensor, lambda tensor: tensor
        ):
            loss = model(inputs, condition, schedule, attend).square().mean()
        loss.backward()
        return {name: parameter.grad for name, parameter in model.named_parameters()}, sum(kept)

    (expected, all_kept), (gradients, kept) = trained(False), trained(True)
    assert gradients.keys() == expected.keys()
    assert all(torch.equal(gradients[name], expected[name]) for name in expected)
    assert kept < all_kept / 5


def test_what_it_cannot_do_is_refused():
    schedule = Schedule.of([1, 2])
    model = tiny(schedule)
    inputs, condition = batch(schedule)
    text = Condition(condition.vector, tokens=torch.zeros(3, 5, 32))
    with pytest.raises(Unsupported, match="has a sequence of tokens, too"):
        model(inputs, text, schedule, attend)
    with pytest.raises(Unsupported, match="has a sequence of tokens, too"):
        model.begin(text, schedule, FULL, attend)
    with pytest.raises(VartkError, match="width=30 is no multiple of heads=4; take width=32"):
        build(schedule, width=30, heads=4)
    with pytest.raises(ParamErrors, match="did you mean 'depth'"):
        build(schedule, dept=2)
    with pytest.raises(ValueError, match="the first step takes no inputs"):
        model.begin(condition, schedule, FULL, attend).step(inputs)
