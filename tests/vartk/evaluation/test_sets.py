"""What an evaluation compares, by hand."""

from typing import ClassVar

import pytest
import torch

from vartk.components import plugins
from vartk.evaluation import Neighbours, Seen, near_copies, set_distances, vector_kinds
from vartk.evaluation.real_images import in_proportion
from vartk_registry import VartkError


class Grey(torch.nn.Module):
    """Pools an image to its mean colour."""

    label = "Grey"

    def distance(self, images, reference):
        return (images - reference).square().mean((1, 2, 3))

    def pooled(self, images):
        return images.mean((2, 3))


def test_images_are_seen_as_files_hold_them():
    image = torch.full((1, 3, 40, 20), 0.5)
    image[:, 0] = 2.0  # clipped
    seen = Seen.of(Grey(), image, ("features", "pixels"))
    assert seen.vectors["features"][0].tolist() == pytest.approx([1, 128 / 255, 128 / 255])
    assert seen.vectors["pixels"].shape == (1, 3 * 32 * 16)  # 40x20, averaged to a longest side of 32
    assert Seen.of(Grey(), torch.zeros(2, 3, 8, 8), ("features", "pixels")).vectors["pixels"].shape == (
        2,
        3 * 8 * 8,
    )  # and not enlarged


def test_sets_of_images_are_compared_by_every_metric():
    x, y = (torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(n)) for n in (9, 7))
    seen = Seen.joined([Seen.of(Grey(), x[:4]), Seen.of(Grey(), x[4:])])
    assert len(seen) == 9
    numbers = set_distances(plugins().registry, ["fd", "kid"], seen, Seen.of(Grey(), y))
    metric = plugins().registry.build("metric", "fd", {})
    metric.update((x * 255).round().div(255).mean((2, 3)), (y * 255).round().div(255).mean((2, 3)))
    assert numbers["fd"] == pytest.approx(metric.compute()["fd"], rel=1e-5)
    assert set(numbers) == {"n", "m", "fd", "kid"}
    assert (numbers["n"], numbers["m"]) == (9, 7)
    assert "fd" not in set_distances(plugins().registry, ["kid"], seen, seen)


class Corner(Grey):
    """Gives the first pixel of each channel as spatial features, too."""

    label = "Corner"
    published: ClassVar = {}
    kinds = ("features", "spatial")

    def vectors(self, images):
        return {"features": self.pooled(images), "spatial": images[:, :, 0, 0]}


def test_only_the_vectors_that_metrics_need_are_kept():
    registry, corner = plugins().registry, Corner()
    assert vector_kinds(registry, ["fd", "kid"], corner) == ("features",)
    kinds = vector_kinds(registry, ["sfd", "fd"], corner)
    assert kinds == ("features", "spatial")
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = Seen.of(corner, images, kinds)
    assert set(seen.vectors) == {"features", "spatial"}
    assert torch.allclose(seen.vectors["spatial"], images[:, :, 0, 0], atol=1 / 500)
    numbers = set_distances(registry, ["sfd"], seen, seen[1:])
    assert numbers["sfd"] != set_distances(registry, ["fd"], seen, seen[1:])["fd"]


def test_metrics_that_cannot_be_computed_are_refused():
    registry = plugins().registry
    with pytest.raises(VartkError, match="metric 'psnr' compares images in pairs"):
        vector_kinds(registry, ["psnr"], Grey())
    with pytest.raises(VartkError, match="metric 'is' needs logits, which the feature Corner does not give"):
        vector_kinds(registry, ["is"], Corner())
    with pytest.raises(VartkError, match="metric 'sfd' needs spatial, which the feature Grey does not give"):
        vector_kinds(registry, ["fd", "sfd"], Grey())


def test_neighbours_by_hand(monkeypatch):
    among = torch.tensor([[0.0, 0], [4, 0], [0, 9]])
    found = torch.tensor([[3.0, 0], [0, 9], [0, 4], [7, 4]])
    for rows in (1024, 3):
        monkeypatch.setattr("vartk.evaluation.neighbours._ROWS", rows)
        near = Neighbours.of(found, among)
        assert near.indices.tolist() == [1, 2, 0, 1]
        assert near.distances.tolist() == pytest.approx([1, 0, 4, 5], abs=1e-5)


def test_exact_copies_are_at_no_distance():
    among = torch.rand(100, 64, generator=torch.Generator().manual_seed(0)) + 30
    near = Neighbours.of(among[40:70], among)
    assert near.indices.tolist() == list(range(40, 70))
    assert near.distances.tolist() == [0.0] * 30


def neighbours(distances):
    return Neighbours(torch.tensor(distances), torch.zeros(len(distances), dtype=torch.int64))


def test_near_copies_by_hand():
    held_out = neighbours([float(d) for d in range(101)])  # its first percentile is 1
    numbers = near_copies(neighbours([0.0, 0.5, 1.0, 7.0, 8.0]), held_out)
    assert numbers == {
        "near_copies": pytest.approx(0.4),
        "share_if_new": pytest.approx(2 / 102),  # below the second of 101: places 1 and 2 of 102
        "threshold": pytest.approx(1),
        "median_of_samples": 1.0,
        "median_of_validation": 50.0,
    }


@pytest.mark.parametrize("n", [5, 60, 201])
def test_the_share_of_new_images(n):
    """Of images drawn as the held-out ones are; it tends to 1 % from far above."""
    draw = torch.Generator().manual_seed(0)
    trials = [
        near_copies(*(Neighbours(d, d) for d in torch.rand(2, n, generator=draw, dtype=torch.float64)))
        for _ in range(4000)
    ]
    shares = torch.tensor([numbers["near_copies"] for numbers in trials])
    error = shares.std().item() / len(trials) ** 0.5
    assert trials[0]["share_if_new"] == pytest.approx(shares.mean().item(), abs=3 * error)


def test_classes_in_proportion():
    labels = [2, 0, 0, 1, 0, 0, 1, 0]  # 5, 2 and 1 of 8
    assert in_proportion(labels, 8) == [0, 0, 0, 0, 0, 1, 1, 2]
    assert in_proportion(labels, 16) == [0] * 10 + [1] * 4 + [2] * 2
    assert in_proportion(labels, 4) == [0, 0, 1, 2]
    assert in_proportion(["b", "a"], 4) == ["a", "a", "b", "b"]
