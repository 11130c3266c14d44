"""Decoding in tiles gives what whole decoding gives, with memory for a part of the finest maps alone."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vartk_plugins.var_vqvae.coder import Decoder
from vartk_plugins.var_vqvae.tiles import decode_tiled, tiles

LATENT = 4


def decoder(multipliers, attention=True, blocks=1):
    torch.manual_seed(0)
    sizes = {"blocks": blocks, "latent": LATENT, "dropout": 0.0, "attention": attention}
    made = Decoder([32 * m for m in multipliers], **sizes).eval()
    for parameter in made.parameters():  # norms with weights of their own, so that each counts
        torch.nn.init.normal_(parameter, std=0.2)
    return made


def latent(height, width):
    """A map whose parts have other means and variances."""
    made = torch.randn(2, LATENT, height, width, generator=torch.Generator().manual_seed(1))
    return made * torch.linspace(0.2, 2, width) + torch.linspace(-1, 1, height)[:, None]


@pytest.mark.parametrize(
    ("multipliers", "blocks", "side"),
    [
        ([1, 1, 1], 1, 8),
        ([1, 1, 1], 2, 20),
        ([1, 2], 2, 8),
        ([1, 1, 2, 1], 1, 32),
        ([1], 1, 8),
        ([1, 1], 1, 999),
    ],
)
@torch.no_grad()
def test_the_images_of_whole_decoding(multipliers, blocks, side):
    made, given = decoder(multipliers, blocks=blocks), latent(5, 8)
    whole = made(given)
    torch.testing.assert_close(decode_tiled(made, given, side), whole, rtol=0, atol=1e-5 * whole.abs().max())


def test_tiles_cover_a_map_once():
    covered = torch.zeros(7, 10)
    for tile in tiles(7, 10, 4, 2):
        tile.inside(covered[tile.rows, tile.columns], 1).add_(1)
        assert max(tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start) <= 8
    assert torch.equal(covered, torch.ones(7, 10))


class Largest(TorchDispatchMode):
    """The number of elements of the largest result of an operation."""

    found = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.found = max(self.found, made.numel())
        return made


@torch.no_grad()
def test_the_finest_maps_are_never_there_as_a_whole():
    made, given = decoder([1, 1, 1], attention=False), latent(32, 32)[:1]
    with Largest() as whole:
        made(given)
    with Largest() as tiled:
        decode_tiled(made, given, 32)
    assert whole.found >= 32 * 128 * 128
    assert tiled.found <= 32 * 64 * 64  # the map of half the size, from which the finest one is made
