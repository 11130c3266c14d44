"""Inception v3 (Szegedy et al. 2016) of 2015-12-05, as TensorFlow computed it for FID."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from vartk_registry import VartkError
from vartk_registry.downloads import download
from vartk_registry.perceptual import map_distance

SHA256 = "6726825d"
"""The beginning of the digest of the published weights, as their file's name has it."""

_DISTANT = ("MaxPool_1", "MaxPool_2", "Mixed_5d", "Mixed_6e", "Mixed_7c")
"""The layers whose maps make the perceptual distance."""

_SPATIAL = 7
"""Channels of the map for sFID: the first ones of the first branch of TensorFlow's block mixed_6."""


class Inception(nn.Module):
    """torch-fidelity's network, whose answers equal those of the TensorFlow graph to 1e-3.

    Args:
        weights: a file of its weights; empty takes the published ones, which are downloaded
            once into torch's hub folder.

    Raises:
        VartkError: the weights are not there and cannot be downloaded, or are not those of this network.
    """

    label = "Inception"
    kinds = ("features", "logits", "spatial")
    published: ClassVar[dict[str, str]] = {"fd": "FID", "sfd": "sFID", "kid": "KID", "is": "IS"}

    def __init__(self, *, weights: str) -> None:
        super().__init__()
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = Path(weights) if weights else _published()
        _require_weights(path)
        try:
            network = FeatureExtractorInceptionV3(
                "inception", ["2048"], feature_extractor_weights_path=str(path)
            )
        except RuntimeError as error:
            raise VartkError(f"{path} does not hold the weights of torch-fidelity's Inception") from error
        # its layers are listed in the order in which they are computed
        self.layers = nn.ModuleDict(network.named_children())
        self.eval().requires_grad_(False)

    def distance(self, images: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
        """Return `map_distance` [B] of images [B, 3, H, W] in [0, 1] to their reference, over five layers."""
        return map_distance(self._distant, images, reference)

    def pooled(self, images: torch.Tensor) -> torch.Tensor:
        """Return the vectors [B, 2048] of the last pooling, which FID compares."""
        return self.vectors(images)["features"]

    def vectors(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return `features` [B, 2048], `logits` [B, 1008] without bias, and `spatial` [B, 7 x 17 x 17].

        Images are rounded to 8 bits. The logits have no bias, as in the first implementation of IS.
        """
        maps = self._maps((images.float() * 255).round(), ("Mixed_6c", "AvgPool"))
        features = maps["AvgPool"].flatten(1)
        logits = F.linear(features, self.layers["fc"].weight)
        spatial = self.layers["Mixed_6d"].branch1x1(maps["Mixed_6c"])[:, :_SPATIAL]
        return {"features": features, "logits": logits, "spatial": spatial.flatten(1)}

    def _distant(self, images: torch.Tensor) -> Iterable[torch.Tensor]:
        """Return the maps [B, C, h, w] of `_DISTANT`."""
        return self._maps(images.float() * 255, _DISTANT).values()

    def _maps(self, pixels: torch.Tensor, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
        """Return what some layers make of pixels [B, 3, H, W] from 0 to 255."""
        from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

        x = interpolate_bilinear_2d_like_tensorflow1x(pixels, size=(299, 299), align_corners=False)
        x = (x - 128) / 128
        found = {}
        for name, layer in self.layers.items():
            x = layer(x)
            if name in names:
                found[name] = x
            if name == names[-1]:
                break
        return found


def _published() -> Path:
    """Return the published weights, where torch-fidelity itself keeps them."""
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    return download(
        URL_INCEPTION_V3,
        Path(torch.hub.get_dir()) / "checkpoints" / Path(URL_INCEPTION_V3).name,
        what="the weights of feature inception",
        advice="name a copy with feature.weights=FILE, or take feature=elite0, whose weights come with vartk",
        sha256=SHA256,
    )


def _require_weights(path: Path) -> None:
    """Raise `VartkError` where a file is missing, cut off, or holds more than tensors.

    torch-fidelity reads the file without torch's safeguard against code in it, so vartk reads it first.
    """
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise VartkError(f"there is no file {path}, which feature.weights names") from error
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise VartkError(f"{path} is cut off or is not a file of weights; delete it and try again") from error
