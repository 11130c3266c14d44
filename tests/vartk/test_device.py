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


@pytest.mark.gpu
@pytest.mark.parametrize(("rank", "count"), [("0", 1), ("1", 0)])
def test_the_first_of_several_processes_names_the_gpu(rank, count, caplog, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "test")
    monkeypatch.setenv("RANK", rank)
    _best.cache_clear()
    as_device("auto")
    assert caplog.text.count(torch.cuda.get_device_name()) == count


@pytest.mark.parametrize(
    "device", ["gpu", "meta", "", True, None, 1.5, "cuda:one", "cuda:-1", "cuda:999", "vulkan", "hpu"]
)
def test_no_device_says_what_to_give(device):
    with pytest.raises(VartkError) as error:
        as_device(device)
    assert str(error.value).startswith(f"device {str(device)!r} cannot be used here: ")
    assert str(error.value).endswith("; give auto, cpu, cuda or cuda:N")
    assert len(str(error.value)) < 160  # torch lists all that it could compute on
