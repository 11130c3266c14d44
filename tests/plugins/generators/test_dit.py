"""DiT on the latents of a tiny tokenizer."""

import pytest
import torch
from tiny import CLASSES, tiny_model

from vartk import VartkError
from vartk.components import plugins
from vartk_registry.testing import check_generator

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of diffusers
]

SMALL = {"depth": 2, "heads": 2, "head_dim": 16, "noise_steps": 40}


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_model(predictor=False).tokenizer.requires_grad_(False)


def build(tokenizer, image_size=(16, 16), classes=CLASSES, **params):
    runtime = {"classes": classes, "image_size": image_size, "tokenizer": tokenizer}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return plugins().registry.build("generator", "dit", {**SMALL, **params}, **runtime)


@pytest.fixture(scope="module")
def dit(tokenizer):
    return build(tokenizer)


@pytest.mark.parametrize("scheduler", ["ddim", "ddpm", "dpm", "unipc", "euler", "HeunDiscreteScheduler"])
def test_it_keeps_the_contract_with_every_scheduler(dit, scheduler):
    check_generator(dit, (16, 16), scheduler=scheduler, steps=4, guidance=1.5)


def test_its_weights_are_not_the_tokenizer_s(dit):
    assert not [name for name in dit.state_dict() if "tokenizer" in name or "quant" in name]


def test_latents_are_trained_at_mean_0_and_deviation_1(dit, tokenizer):
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    dit.prepare(images)
    latents = (tokenizer.features(images) - dit.mean) / dit.std
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(tokenizer.channels), atol=1e-4, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(tokenizer.channels), atol=1e-4, rtol=0)


def test_a_network_without_weights_has_the_loss_of_the_noise(dit):
    """It predicts 0, so the loss is the mean square of normal noise: 1, within 4 standard errors."""
    with torch.no_grad():
        last = dit.network.proj_out_2
        kept = {name: tensor.clone() for name, tensor in last.state_dict().items()}
        last.weight.zero_()
        last.bias.zero_()
        images = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
        losses = dit(images, torch.zeros(64, dtype=torch.int64), torch.Generator().manual_seed(0))
        last.load_state_dict(kept)
    numbers = 64 * dit.latent[0] * dit.latent[1] * dit.latent[2]
    assert float(losses.mean()) == pytest.approx(1, abs=4 * (2 / numbers) ** 0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheduler": "ddimm"}, "did you mean 'ddim'"),
        ({"scheduler": "FlowMatchEulerDiscreteScheduler"}, "do not predict the noise"),
        ({"patch": 3}, "patch=3"),
        ({"classes": []}, "names of the classes"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(tokenizer, changes, message):
    with pytest.raises(VartkError, match=message):
        build(tokenizer, **changes)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("drak", "did you mean 'dark'"),
        (3, "out of range"),
        (-1, "out of range"),
        (None, "neither an index nor"),
    ],
)
def test_an_unknown_class_is_refused(dit, value, message):
    with pytest.raises(VartkError, match=message):
        dit.parse([value])
