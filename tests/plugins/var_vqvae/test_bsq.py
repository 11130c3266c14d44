"""Infinity's tokenizer: the original's bits, latents and images."""

import golden
import pytest
import torch

from vartk_registry import discover
from vartk_registry.interfaces import Schedule
from vartk_registry.testing import check_tokenizer

REGISTRY = discover(["vartk_plugins.binary", "vartk_plugins.var_vqvae"]).registry
NAME = "infinity_bsq_tiny"
SCHEDULE = Schedule.of(golden.facts(NAME)["schedule"])


def build(**params):
    def quantizer(dim):
        return REGISTRY.build("quantizer", "bsq", {}, dim=dim)

    return REGISTRY.build("tokenizer", "bsq_vae", params, quantizer=quantizer)


@pytest.fixture(scope="module")
def tokenizer():
    """A tokenizer with the original's weights."""
    sizes = golden.facts(NAME)["vae"]
    tokenizer = build(
        channels=sizes["base_channels"],
        multipliers=sizes["multipliers"],
        blocks=sizes["blocks"],
        latent=sizes["bits"],
    )
    weights = golden.weights(NAME, "vae")
    # the original wraps each convolution and each norm in a module
    renamed = {
        name.replace(".conv.weight", ".weight")
        .replace(".conv.bias", ".bias")
        .replace(".norm.weight", ".weight")
        .replace(".norm.bias", ".bias"): tensor
        for name, tensor in weights.items()
        if not name.endswith("lfq.mask")
    }
    tokenizer.load_state_dict(renamed)
    return tokenizer.eval()


@torch.no_grad()
def test_images_have_the_originals_features_and_bits(tokenizer):
    expected = golden.arrays(NAME)
    golden.assert_close(tokenizer.features(expected["image"]), expected["feature"], 1e-5)
    codes = torch.cat(tokenizer.encode(expected["image"], SCHEDULE), dim=1)
    assert torch.equal(codes, expected["bits"].long())


@torch.no_grad()
def test_bits_have_the_originals_latent_and_image(tokenizer):
    expected = golden.arrays(NAME)
    f_hat = None
    for step, bits in enumerate(expected["bits"].long().split(SCHEDULE.sizes, dim=1)):
        f_hat = tokenizer.accumulate(f_hat, tokenizer.embed(bits), step, SCHEDULE)
    golden.assert_close(f_hat, expected["f_hat_last"], 1e-5)
    golden.assert_close(f_hat, expected["f_hat_from_bits"], 1e-5)
    golden.assert_close(tokenizer.decode(f_hat), expected["reconstruction"], 1e-5)


def test_training_reconstructs_what_inference_does(tokenizer):
    expected = golden.arrays(NAME)
    output = tokenizer(expected["image"], SCHEDULE)
    assert torch.equal(torch.cat(output.codes, dim=1), expected["bits"].long())
    golden.assert_close(output.images.clamp(-1, 1), expected["reconstruction"], 1e-5)


def test_it_keeps_the_contract():
    check_tokenizer(
        build(channels=32, multipliers=[1, 2], blocks=1, latent=6), (8, 12), Schedule.of([1, 2, (4, 6)])
    )


def test_the_default_has_the_released_size():
    with torch.device("meta"):
        tokenizer = build()
    assert tokenizer.latent_grid((1024, 512)) == (64, 32)
    assert tokenizer.channels == 32
