import golden
import numpy as np
import pytest
import torch

from vartk_plugins.original_var.keys import tokenizer_state
from vartk_plugins.var_vqvae.blocks import Upsample
from vartk_plugins.var_vqvae.phi import phi_of_scale
from vartk_registry import VartkError, discover
from vartk_registry.interfaces import Schedule
from vartk_registry.testing import check_tokenizer

REGISTRY = discover(["vartk_plugins.vq", "vartk_plugins.var_vqvae"]).registry
SMALL = {"channels": 32, "multipliers": [1, 2], "blocks": 1, "latent": 4}
WIDE = Schedule.of([(1, 1), (1, 2), (2, 4)])


def build(params, quantizer="vq", classes=16):
    def make(dim):
        return REGISTRY.build("quantizer", quantizer, {"classes": classes}, dim=dim)

    return REGISTRY.build("tokenizer", "var_vqvae", params, quantizer=make)


def small(**params):
    torch.manual_seed(0)
    return build(SMALL | params)


def images(height, width, batch=2):
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module", params=golden.NAMES)
def original(request):
    """The original's numbers, its schedule, and a tokenizer with its weights."""
    settings = golden.facts(request.param)["vae"]
    tokenizer = build(
        {
            "channels": settings["ch"],
            "latent": settings["z_channels"],
            "phi": settings["share_quant_resi"],
        },
        "vq-cosine" if settings.get("using_znorm") else "vq",
        settings["vocab_size"],
    )
    weights = tokenizer_state(golden.weights(request.param, "vae"))
    tokenizer.load_state_dict(weights, strict=True)
    return request.param, tokenizer, Schedule.of(settings["v_patch_nums"])


def test_encode_gives_the_originals_features_and_tokens(original):
    name, tokenizer, schedule = original
    expected = golden.arrays(name)
    with torch.no_grad():
        golden.assert_close(tokenizer.features(expected["image"]), expected["feature"])
    codes = tokenizer.encode(expected["image"], schedule)
    assert [part.shape[1] for part in codes] == list(schedule.sizes)
    assert torch.equal(torch.cat(codes, dim=1), expected["tokens"].long())


@torch.no_grad()
def test_accumulating_tokens_gives_the_originals_inputs_and_image(original):
    name, tokenizer, schedule = original
    expected = golden.arrays(name)
    f_hat, f_hats, inputs = None, [], []
    for step, (start, stop) in enumerate(schedule.spans):
        if f_hat is not None:
            inputs.append(tokenizer.next_input(f_hat, step, schedule))
        vectors = tokenizer.embed(expected["tokens"][:, start:stop].long())
        f_hat = tokenizer.accumulate(f_hat, vectors, step, schedule)
        f_hats.append(f_hat)
    golden.assert_close(f_hats[0], expected["f_hat_first"])
    golden.assert_close(f_hats[-1], expected["f_hat_last"])
    golden.assert_close(torch.cat(inputs, dim=1), expected["transformer_input"])
    golden.assert_close(tokenizer.decode(f_hat), expected["reconstruction"])


def test_training_has_the_originals_losses_and_gradients(original):
    name, tokenizer, schedule = original
    expected = golden.arrays(name)
    output = tokenizer(expected["image"], schedule)
    l1 = (output.images - expected["image"]).abs().mean()
    golden.assert_close(output.losses["vq"], expected["train_vq_loss"])
    golden.assert_close(l1, expected["train_l1"])
    assert torch.equal(torch.cat(output.codes, dim=1), expected["tokens"].long())

    (output.losses["vq"] + l1).backward()
    norms = golden.facts(name)["grad_norms_vae"]
    ours = dict(tokenizer.named_parameters())
    original_names = tokenizer_state({key: key for key in norms})
    assert set(original_names) == set(ours)
    for key, original_name in original_names.items():
        norm = ours[key].grad.norm().item()
        # a bias cancels ahead of a normalisation with one channel a group: only rounding is left
        assert norm == pytest.approx(norms[original_name], rel=1e-3, abs=1e-6), original_name
    tokenizer.zero_grad()


def test_the_default_is_the_released_tokenizer():
    with torch.device("meta"):
        tokenizer = build({}, classes=4096)
    assert sum(p.numel() for p in tokenizer.parameters()) == 108_948_355
    # the released file has 324 entries; its hit counts are no weights
    assert len(tokenizer.state_dict()) == 323
    assert tokenizer.latent_grid((256, 512)) == (16, 32)


def test_four_phis_serve_ten_scales_as_in_the_original():
    assert [phi_of_scale(step, 10, 4) for step in range(10)] == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 9, 10, 14])
def test_phis_lie_at_the_nearest_ticks(steps):
    positions = np.linspace(0, 1, steps)
    for count in range(1, 15):
        edge = 1 / (3 * count) if count == 4 else 1 / (2 * count)
        ticks = np.linspace(edge, 1 - edge, count)
        for step, position in enumerate(positions):
            distances = np.abs(ticks - position)
            chosen = phi_of_scale(step, steps, count)
            assert distances[chosen] == pytest.approx(distances.min(), abs=1e-12)
    assert [phi_of_scale(step, steps, steps) for step in range(steps)] == list(range(steps))


def test_the_contract_holds():
    check_tokenizer(small(), (4, 8), WIDE)


@torch.no_grad()
def test_images_and_grids_need_not_be_square():
    tokenizer = small(phi=3)
    assert tokenizer.latent_grid((4, 8)) == WIDE.latent
    output = tokenizer(images(4, 8), WIDE)
    assert output.images.shape == (2, 3, 4, 8)
    assert [part.shape for part in output.codes] == [(2, 1), (2, 2), (2, 8)]

    f_hat = None
    for step, codes in enumerate(tokenizer.encode(images(4, 8), WIDE)):
        assert torch.equal(codes, output.codes[step])
        f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(codes), step, WIDE)
    torch.testing.assert_close(tokenizer.decode(f_hat), output.images.clamp(-1, 1))
    assert tokenizer.next_input(f_hat, 1, WIDE).shape == (2, 2, 4)
    # the mean over the left half of the map is the first input on a 1x2 grid
    torch.testing.assert_close(tokenizer.next_input(f_hat, 1, WIDE)[:, 0], f_hat[..., :2].mean(dim=(2, 3)))


def test_a_schedule_of_one_scale_is_a_plain_vqvae():
    output = small()(images(4, 4), Schedule.of([2]))
    assert [part.shape for part in output.codes] == [(2, 4)]


@pytest.mark.parametrize(("size", "nearest"), [((5, 8), "4x8"), ((4, 7), "4x8"), ((1, 2), "2x2")])
def test_an_image_size_that_does_not_fit_names_the_nearest(size, nearest):
    tokenizer = small()
    with pytest.raises(VartkError, match=f"multiples of 2; the nearest size is {nearest}"):
        tokenizer.latent_grid(size)
    with pytest.raises(VartkError, match=f"{size[0]}x{size[1]} pixels"):
        tokenizer.encode(images(*size), WIDE)


def test_an_image_that_does_not_fit_the_schedule_is_refused():
    with pytest.raises(VartkError, match=r"grid 4x4, but the schedule \(1, 1x2, 2x4\) ends"):
        small().encode(images(8, 8), WIDE)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"channels": 40}, "width of 40, which the 32 groups .* try channels=32"),
        ({"multipliers": [1, 0]}, "width of 0"),
        ({"multipliers": []}, "multipliers is empty"),
    ],
)
def test_widths_must_suit_the_normalisation(params, message):
    with pytest.raises(VartkError, match=message):
        small(**params)


@torch.no_grad()
def test_quantisation_is_float32_under_autocast():
    tokenizer = small()
    vectors = torch.randn(1, 2, 4, generator=torch.Generator().manual_seed(2))
    exact = tokenizer.accumulate(None, vectors, 1, WIDE)
    with torch.autocast("cpu", torch.bfloat16):
        cast = tokenizer.accumulate(None, vectors, 1, WIDE)
        output = tokenizer(images(4, 8), WIDE)
    assert torch.equal(cast, exact)
    assert output.images.dtype == output.losses["vq"].dtype == torch.float32


@torch.no_grad()
def test_the_memory_layout_does_not_change_the_result():
    tokenizer = small(attention=True)
    plain = tokenizer(images(4, 8), WIDE).images
    tokenizer.to(memory_format=torch.channels_last)
    last = tokenizer(images(4, 8).to(memory_format=torch.channels_last), WIDE).images
    torch.testing.assert_close(last, plain)
    features = tokenizer.features(images(4, 8).to(memory_format=torch.channels_last))
    assert features.is_contiguous(memory_format=torch.channels_last)


def test_attention_may_be_off():
    names = small(attention=False).state_dict()
    assert not [name for name in names if "attn" in name]
    assert "encoder.mid.attn_1.qkv.weight" in small().state_dict()


def test_a_folded_upsampling_equals_interpolation_and_convolution():
    torch.manual_seed(0)
    upsample = Upsample(5)
    x = torch.randn(2, 5, 3, 4)
    torch.testing.assert_close(upsample.folded(x.device)(x), upsample(x))
