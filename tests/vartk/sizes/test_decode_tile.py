"""Sampling with decoding in tiles: the same images, in every way of sampling."""

import pytest
import torch
from smallest import Patches
from tiny import tiny_model

from vartk.engine.inference.decoding import checked_tile
from vartk_registry import VartkError

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.mark.parametrize("settings", [{}, {"precision": "plain"}, {"record": "always"}, {"size": [16, 32]}])
def test_the_images_are_those_of_whole_decoding(model, settings):
    whole = model.sample([0, 1], seed=3, **settings)
    tiled = model.sample([0, 1], seed=3, decode_tile=8, **settings)
    assert all(torch.equal(a, b) for a, b in zip(whole.codes, tiled.codes, strict=True))
    torch.testing.assert_close(tiled.images, whole.images, rtol=0, atol=1e-5)


def test_codes_are_decoded_by_the_models_own_setting(model):
    codes = model.sample([2], seed=1).codes
    tiled = tiny_model(**{"sampling.decode_tile": 8})
    torch.testing.assert_close(tiled.decode(codes), model.decode(codes), rtol=0, atol=2e-5)


def test_a_tokenizer_that_cannot_is_told(model):
    with pytest.raises(VartkError, match="cannot decode in tiles; leave decode_tile out"):
        checked_tile(Patches(), 8)
    with pytest.raises(VartkError, match="decode_tile=4 is out of range"):
        model.sample([0], decode_tile=4)
