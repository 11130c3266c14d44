import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vartk_plugins.discriminators.dino import FeatureDiscriminator
from vartk_registry import ParamErrors, VartkError, discover
from vartk_registry.testing import check_component, check_discriminator

REGISTRY = discover(["vartk_plugins.discriminators"]).registry


def patch(**params):
    torch.manual_seed(0)
    return REGISTRY.build("discriminator", "patch", params)


@pytest.fixture(scope="module")
def backbone():
    """A vision transformer for 32-pixel images, with random weights."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    return VisionTransformer(img_size=32, patch_size=16, embed_dim=24, depth=4, num_heads=2, num_classes=0)


def features(backbone, **params):
    torch.manual_seed(1)
    return FeatureDiscriminator(backbone, **{"blocks": [1, 3], "kernel": 3, **params})


def images(side, batch=2):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_patch_keeps_the_contract():
    check_component(REGISTRY, "discriminator", "patch")


def test_the_default_is_the_papers_70_pixel_patch():
    convolutions = [module for module in patch().modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.in_channels, conv.out_channels) for conv in convolutions] == [
        (3, 64),
        (64, 128),
        (128, 256),
        (256, 512),
        (512, 1),
    ]
    field, jump = 1, 1
    for conv in convolutions:
        field += (conv.kernel_size[0] - 1) * jump
        jump *= conv.stride[0]
    assert field == 70


@torch.no_grad()
def test_a_logit_sees_its_patch_alone():
    judge = patch(width=4, layers=1).eval()  # 16 pixels: 1 + 3 + 3 * 2 + 3 * 2
    changed = images(32)
    changed[..., 16:] = 0
    assert judge(changed).shape == (2, 14, 14)
    same = judge(changed) == judge(images(32))
    # logit x sees the pixels 2 x - 5 to 2 x + 10
    assert same[..., :3].all()
    assert not same[..., 3:].any()


def test_the_weights_have_norm_one():
    """By a second implementation: the largest singular value, after some iterations."""
    judge = patch(width=8, layers=2)
    for _ in range(30):
        judge(images(16))
    for module in judge.modules():
        if isinstance(module, nn.Conv2d):
            largest = torch.linalg.svdvals(module.weight.detach().flatten(1))[0]
            assert largest.item() == pytest.approx(1, abs=0.02)


def test_images_that_are_too_small_are_refused():
    assert patch(layers=2, width=4)(images(12)).shape == (2, 1, 1)
    with pytest.raises(
        VartkError, match=r"layers=3 takes images of 24 pixels .*, not 16x16; lower its layers"
    ):
        patch()(images(16))
    with pytest.raises(ParamErrors, match="layers=0 is out of range"):
        patch(layers=0)


def test_features_keep_the_contract(backbone):
    check_discriminator(features(backbone), (32, 32))
    check_discriminator(features(backbone), (48, 64))


@torch.no_grad()
def test_features_are_the_blocks_of_the_normalised_image(backbone):
    """By hooks on the blocks, and the statistics of ImageNet."""
    judge = features(backbone, blocks=[3, 0]).eval()
    seen = {}
    for index in (0, 3):
        backbone.blocks[index].register_forward_hook(
            lambda m, i, output, index=index: seen.update({index: output})
        )
    logits = judge(images(32))
    assert logits.shape == (2, 2 * 4)
    taken = {index: output.clone() for index, output in seen.items()}
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    backbone.forward_features(((images(32) + 1) / 2 - mean[:, None, None]) / std[:, None, None])
    for index in (0, 3):
        torch.testing.assert_close(seen[index], taken[index])
    # the first of the five tokens is the class's
    expected = torch.cat([judge.heads[0](seen[3][:, 1:]), judge.heads[1](seen[0][:, 1:])], dim=1)
    torch.testing.assert_close(logits, expected)


@torch.no_grad()
def test_other_sizes_are_resized(backbone):
    judge = features(backbone).eval()
    for size in ((64, 48), (20, 20)):
        given = F.interpolate(images(32), size=size)
        resized = F.interpolate(given, size=(32, 32), mode="bilinear", antialias=True)
        torch.testing.assert_close(judge(given), judge(resized), atol=1e-4, rtol=1e-4)


def test_the_backbone_is_frozen(backbone):
    judge = features(backbone)
    trained = [name for name, parameter in judge.named_parameters() if parameter.requires_grad]
    assert trained
    assert all(name.startswith("heads.") for name in trained)
    assert not any(buffer in judge.state_dict() for buffer in ("mean", "std"))


def test_blocks_and_kernels_that_there_are_not(backbone):
    with pytest.raises(VartkError, match=r"blocks=\[4\] must be some of 0 to 3"):
        features(backbone, blocks=[4])
    with pytest.raises(VartkError, match=r"blocks=\[\] must be some of 0 to 3"):
        features(backbone, blocks=[])
    with pytest.raises(VartkError, match=r"blocks=\[1, 3, 1\] has a block twice; type each once"):
        features(backbone, blocks=[1, 3, 1])
    with pytest.raises(VartkError, match=r"kernel=4 must be odd, such as 5"):
        features(backbone, kernel=4)


def test_weights_that_cannot_be_had(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(VartkError, match=r"weights of vit_small_patch16_224.dino.*adversarial=patch"):
        REGISTRY.build("discriminator", "dino", {})
