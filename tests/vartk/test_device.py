import logging

import pytest
import torch

from vartk.engine.device import _best, as_device
from vartk_registry import VartkError


def test_auto_takes_the_gpu_if_there_is_one():
    assert as_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.gpu
def test_a_gpu_that_auto_takes_is_named_once(caplog):
    _best.cache_clear()
    with caplog.at_level(logging.WARNING):
        as_device("auto")
        as_device("auto")
    assert caplog.text.count(torch.cuda.get_device_name()) == 1


@pytest.mark.parametrize("device", ["gpu", "meta", True, None, 1.5, "cuda:999"])
def test_no_device_says_what_to_give(device):
    with pytest.raises(VartkError, match="cannot be used here"):
        as_device(device)
