"""Inception with random weights, beside torch-fidelity's own forward pass."""

import pytest
import torch
from inception_weights import save_weights

from vartk_registry import MissingRequirement, VartkError, discover
from vartk_registry.testing import check_feature

REGISTRY = discover(["vartk_plugins.inception"]).registry


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights for torch-fidelity's network."""
    return save_weights(tmp_path_factory.mktemp("weights") / "inception.pth")


@pytest.fixture(scope="module")
def inception(weights):
    return REGISTRY.build("feature", "inception", {"weights": str(weights)})


def pictures(seed, batch=2, size=40):
    return torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_without_torch_fidelity_the_error_says_what_to_type(monkeypatch):
    monkeypatch.setattr("vartk_registry.registry._importable", lambda module: False)
    with pytest.raises(MissingRequirement, match="needs torch_fidelity; type `pip install torch-fidelity`"):
        REGISTRY.build("feature", "inception", {})


@pytest.mark.slow  # three sizes with gradients through 22 M parameters
def test_it_keeps_the_contract(inception):
    check_feature(inception)


def test_it_sees_as_torch_fidelity_does(inception, weights):
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    names = ["2048", "logits_unbiased"]
    other = FeatureExtractorInceptionV3("x", names, feature_extractor_weights_path=str(weights))
    spatial = []
    other.Mixed_6d.branch1x1.register_forward_hook(lambda layer, given, made: spatial.append(made[:, :7]))
    pixels = (pictures(0) * 255).round().to(torch.uint8)
    with torch.no_grad():
        features, logits = other(pixels)
        found = inception.vectors(pixels / 255)
    assert torch.equal(found["features"], features)
    assert torch.allclose(found["logits"], logits, atol=1e-6)
    assert torch.equal(found["spatial"], spatial[0].flatten(1))
    assert found["spatial"].shape == (2, 2023)  # 7 channels of 17x17, as the ADM suite has them


def test_weights_that_are_not_its_own(tmp_path, weights):
    def message(path):
        with pytest.raises(VartkError) as error:
            REGISTRY.build("feature", "inception", {"weights": str(path)})
        return str(error.value)

    assert f"there is no file {tmp_path / 'none.pth'}, which feature.weights names" in message(
        tmp_path / "none.pth"
    )
    torch.save({"fc.weight": torch.zeros(3)}, tmp_path / "other.pth")
    assert "does not hold the weights of torch-fidelity's Inception" in message(tmp_path / "other.pth")
    (tmp_path / "cut.pth").write_bytes(weights.read_bytes()[:100_000])
    assert "cut.pth is cut off or is not a file of weights" in message(tmp_path / "cut.pth")
    torch.save({"code": print}, tmp_path / "code.pth")
    assert "code.pth is cut off or is not a file of weights" in message(tmp_path / "code.pth")


def test_without_a_network_the_error_says_which_file_and_where_it_goes(tmp_path, monkeypatch):
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    url = "http://127.0.0.1:9/weights-inception-2015-12-05-6726825d.pth"
    monkeypatch.setattr(module, "URL_INCEPTION_V3", url)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(VartkError) as error:
        REGISTRY.build("feature", "inception", {})
    place = tmp_path / "hub" / "checkpoints" / "weights-inception-2015-12-05-6726825d.pth"
    assert f"Download {url} by hand and put it at {place}, or name a copy with feature.weights=FILE" in str(
        error.value
    )
