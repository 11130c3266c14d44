import pytest
import torch

from vartk_registry import MissingRequirement, VartkError, discover
from vartk_registry.testing import check_feature

REGISTRY = discover(["vartk_plugins.lpips"]).registry


def build(net):
    return REGISTRY.build("feature", "lpips", {"net": net})


@pytest.fixture
def checkpoints(tmp_path, monkeypatch):
    """An empty folder of downloads."""
    pytest.importorskip("lpips")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def squeeze(checkpoints):
    """LPIPS on a SqueezeNet of random weights, which lie where torchvision keeps its downloads."""
    from torchvision.models import squeezenet1_1

    checkpoints.mkdir(parents=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(squeezenet1_1(weights=None).state_dict(), checkpoints / "squeezenet1_1-b8a52dc0.pth")
    return build("squeeze")


def pictures(seed, size=64):
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_without_the_package_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setattr("vartk_registry.registry._importable", lambda module: False)
    with pytest.raises(MissingRequirement, match="needs lpips; type `pip install lpips`"):
        build("vgg")


def test_it_keeps_the_contract(squeeze):
    check_feature(squeeze)
    assert squeeze.label == "LPIPS-squeeze"


def test_distances_by_hand(squeeze):
    """Of the network's maps and the learned weights: sum over layers, mean over positions."""
    images, reference = pictures(0), pictures(1)
    model, expected = squeeze.model, 0
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    maps = [model.net((x - mean[:, None, None]) / deviation[:, None, None]) for x in (images, reference)]
    for a, b, layer in zip(*maps, model.lins, strict=True):
        weight = layer.model[-1].weight.flatten()
        assert (weight >= 0).all()
        assert weight.any()
        difference = torch.nn.functional.normalize(a, dim=1) - torch.nn.functional.normalize(b, dim=1)
        expected = expected + (difference.square() * weight[:, None, None]).sum(1).mean((1, 2))
    assert torch.allclose(squeeze.distance(images, reference), expected, rtol=2e-3)


@pytest.mark.parametrize("net", ["vgg", "squeeze"])
def test_a_download_that_fails(checkpoints, monkeypatch, net):
    for scheme in ("http", "https"):  # a proxy that is not there, so that no machine is reached
        monkeypatch.setenv(f"{scheme}_proxy", "http://127.0.0.1:9")
    with pytest.raises(VartkError) as error:
        build(net)
    message = str(error.value)
    assert f"the weights of lpips on {net} cannot be had: " in message
    assert "Download https://download.pytorch.org/models/" in message
    assert f"put it into {checkpoints}, or choose feature elite0" in message


@pytest.mark.parametrize("damage", [lambda whole: whole[:1000], lambda whole: b"", lambda whole: b"<html>"])
def test_a_download_that_is_damaged(squeeze, checkpoints, damage):
    (file,) = checkpoints.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(VartkError, match="the weights of lpips on squeeze cannot be had"):
        build("squeeze")


def test_other_errors_are_not_taken_for_missing_weights(squeeze, monkeypatch):
    monkeypatch.setattr("torchvision.models.squeezenet1_1", lambda **arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build("squeeze")
