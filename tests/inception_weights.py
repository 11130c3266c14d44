"""A file of random weights for torch-fidelity's Inception, whose published weights are large."""

from pathlib import Path

import pytest
import torch


def save_weights(path: Path) -> Path:
    """Write the weights of a network that is drawn with a fixed seed, and return the path."""
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    torch.save({}, path)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
        network = module.FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(path))
    torch.save(network.state_dict(), path)
    return path
