"""References: images, files in the ADM layout, and statistics that vartk saved."""

import numpy as np
import pytest
import torch

from vartk.components import plugins
from vartk.engine.sets import set_distances
from vartk.evaluation.against import Reference
from vartk.evaluation.looking import Look
from vartk_registry import VartkError

REGISTRY = plugins().registry
PIXELS = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
ALL = ["fd", "sfd", "kid"]


class Colours(torch.nn.Module):
    """Means and corners of colours."""

    label = "Colours"
    kinds = ("features", "spatial")
    published = {"fd": "FID"}  # noqa: RUF012

    def distance(self, images, reference):
        return (images - reference).square().mean((1, 2, 3))

    def pooled(self, images):
        return images.mean((2, 3))

    def vectors(self, images):
        return {"features": self.pooled(images), "spatial": images[:, :, 0, 0]}


class Plain(Colours):
    label = "Plain"
    published = {}  # noqa: RUF012


class Silent:
    def __init__(self, title, total):
        pass

    def update(self, done, text=""):
        pass


def looked_at(path, feature=None, kinds=("features", "spatial")):
    feature = feature or Colours()
    look = Look(feature, torch.device("cpu"), kinds, 16, Silent)
    return Reference.read(path, feature).looked_at(look)


def distances(found, reference, metrics=ALL):
    return set_distances(REGISTRY, metrics, found, reference.seen, reference.moments)


@pytest.fixture
def images(tmp_path):
    np.savez(tmp_path / "images.npz", PIXELS)
    return looked_at(tmp_path / "images.npz")


def test_saved_statistics_stand_for_the_images(images, tmp_path):
    images.save(tmp_path / "saved.npz", Colours())
    saved = looked_at(tmp_path / "saved.npz")
    found = images.seen[:17]
    assert distances(found, saved) == pytest.approx(distances(found, images), rel=1e-6)
    assert (saved.count, saved.sizes, saved.pictures) == (40, ((8, 8),), None)
    with pytest.raises(
        VartkError, match="holds statistics of the feature Colours, and this evaluation looks with Pl"
    ):
        looked_at(tmp_path / "saved.npz", Plain())


def test_saved_statistics_have_the_adm_layout(images, tmp_path):
    """With what the ADM suite computes itself: numpy's mean and covariance."""
    images.save(tmp_path / "saved.npz", Colours())
    with np.load(tmp_path / "saved.npz") as saved:
        vectors = PIXELS.astype(np.float64).mean((1, 2)) / 255
        assert np.allclose(saved["mu"], vectors.mean(0))
        assert np.allclose(saved["sigma"], np.cov(vectors, rowvar=False), atol=1e-9)
        corners = PIXELS[:, 0, 0] / 255
        assert np.allclose(saved["mu_s"], corners.mean(0))
        assert np.allclose(saved["sigma_s"], np.cov(corners, rowvar=False), atol=1e-9)


def adm(path, **more):
    """Write a file as the ADM suite publishes it: statistics of other, more numerous images."""
    vectors = np.random.default_rng(2).random((500, 3))
    np.savez(path, mu=vectors.mean(0), sigma=np.cov(vectors.T), mu_s=np.zeros(3), sigma_s=np.eye(3), **more)
    return torch.from_numpy(vectors)


def test_statistics_of_a_published_file_decide_fid(images, tmp_path):
    vectors = adm(tmp_path / "adm.npz", arr_0=PIXELS[:30])
    reference = looked_at(tmp_path / "adm.npz")
    metric = REGISTRY.build("metric", "fd", {})
    metric.update(images.seen.vectors["features"], vectors)
    numbers = distances(images.seen, reference)
    assert numbers["fd"] == pytest.approx(metric.compute()["fd"], rel=1e-6)
    assert numbers["m"] == 30  # and its images the kernel distance
    assert numbers["kid"] == pytest.approx(distances(images.seen, images, ["kid"])["kid"], abs=1e-2)
    # another feature takes the images alone
    plain = looked_at(tmp_path / "adm.npz", Plain())
    assert (plain.moments, plain.count) == ({}, 30)


def test_statistics_without_images(tmp_path):
    adm(tmp_path / "adm.npz")
    reference = looked_at(tmp_path / "adm.npz")
    assert reference.missing(REGISTRY, ["fd", "kid", "sfd", "precision_recall", "is"]) == [
        "kid",
        "precision_recall",
    ]
    with pytest.raises(VartkError, match="has only statistics; --save-reference needs images"):
        reference.save(tmp_path / "saved.npz", Colours())
    with pytest.raises(
        VartkError, match="which Plain cannot use; take feature=inception, or another reference"
    ):
        looked_at(tmp_path / "adm.npz", Plain())


def test_statistics_of_another_width(images, tmp_path):
    np.savez(tmp_path / "wide.npz", mu=np.zeros(64), sigma=np.eye(64))
    with pytest.raises(
        VartkError, match="the vectors of the images have 3 numbers, those of the reference 64"
    ):
        distances(images.seen, looked_at(tmp_path / "wide.npz"), ["fd"])
    np.savez(tmp_path / "broken.npz", mu=np.zeros(64), sigma=np.zeros(3))
    with pytest.raises(VartkError, match=r"mu is \[64\] and sigma is \[3\]; they must be \[D\] and \[D, D\]"):
        looked_at(tmp_path / "broken.npz")
